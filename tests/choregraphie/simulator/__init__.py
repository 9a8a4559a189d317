"""Tests of choregraphie.simulator: deterministic runs, the model of the broker, mutants that it must detect."""
