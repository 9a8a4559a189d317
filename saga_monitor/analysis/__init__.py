"""What the events of one saga instance mean. Pure functions; `saga_state.py` is the entry point."""
