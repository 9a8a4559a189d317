"""Tests of choregraphie.service."""
