"""The whole saga, on a real broker, with real worker processes."""
