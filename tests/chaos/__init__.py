"""The chaos tool: its checkers on sample histories, its faults, and short runs on private nodes."""
