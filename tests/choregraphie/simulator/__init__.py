"""The simulation: deterministic, at peace with what we ship, and merciless to what we do not."""
