"""Following the history stream into the projection."""
