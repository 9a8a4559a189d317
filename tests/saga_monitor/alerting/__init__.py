"""Tests of saga_monitor.alerting."""
