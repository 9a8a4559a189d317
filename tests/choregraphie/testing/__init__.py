"""Tests of what the engine offers to the tests of a saga."""
