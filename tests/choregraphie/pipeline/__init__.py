"""Tests of choregraphie.pipeline."""
