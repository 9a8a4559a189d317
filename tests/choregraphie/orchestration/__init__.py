"""Tests of choregraphie.orchestration."""
