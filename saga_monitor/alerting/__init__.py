"""Alerts: which anomalies are sent to whom, when, and how often."""
