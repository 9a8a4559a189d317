"""The monitor's file: what it keeps, forgets and finds."""
