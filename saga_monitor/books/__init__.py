"""The projection's tables: how they are kept, what is kept in them, and what they answer."""
