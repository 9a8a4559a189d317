"""The verbs of `python -m saga_monitor`, one module each: its arguments, and what it does."""
