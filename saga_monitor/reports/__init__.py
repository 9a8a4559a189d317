"""Reports over one saga instance or all of them, as data."""
