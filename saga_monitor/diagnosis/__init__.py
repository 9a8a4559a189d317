"""What is wrong, why, and what to do. `anomalies.py` is the entry point, `causes.py` finds reasons."""
