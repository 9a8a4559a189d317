"""Chaos: small faults, a history recorded from outside, and pure checkers that have tests of their own."""
