"""Decides who is told of which anomalies, when, and how often."""
