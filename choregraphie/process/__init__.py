"""The process itself: its resources, its ports, its streams, and whose failure an error is."""
