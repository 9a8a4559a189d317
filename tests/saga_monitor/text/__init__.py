"""Tables and lines for terminals and pipes."""
