"""The command line of the monitor, one module per command."""
