"""Tests of the monitor: on streams in memory, on a real broker, in a terminal and in a browser."""
