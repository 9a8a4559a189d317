"""Tests of choregraphie.terminal."""
