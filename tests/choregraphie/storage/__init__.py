"""Tests of choregraphie.storage."""
