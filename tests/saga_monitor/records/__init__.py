"""Entries of the history, parsed."""
