"""The process: its resources, its ports, its standard streams, and whom an error is attributed to."""
