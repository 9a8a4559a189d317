"""Tests of saga_monitor.cli."""
