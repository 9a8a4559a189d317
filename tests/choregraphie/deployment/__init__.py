"""Tests of what an operator sets up on the broker: topology, definitions, users."""
