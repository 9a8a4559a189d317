"""Tests of choregraphie.process."""
