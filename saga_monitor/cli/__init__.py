"""The monitor's command line."""
