"""Tests of choregraphie.broker, on a real broker."""
