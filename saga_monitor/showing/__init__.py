"""What the monitor knows, for a person: on a terminal, on a pipe, as tables."""
