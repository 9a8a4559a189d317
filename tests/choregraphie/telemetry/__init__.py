"""Tests of choregraphie.telemetry."""
