"""Reports on one saga instance or on all of them, as data."""
