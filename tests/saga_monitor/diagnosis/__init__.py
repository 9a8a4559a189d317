"""Anomalies and their causes."""
