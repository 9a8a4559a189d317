"""Tests of choregraphie.saga."""
