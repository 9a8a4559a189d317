"""The history, followed."""
