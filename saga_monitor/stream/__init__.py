"""Follows the history stream into the projection."""
