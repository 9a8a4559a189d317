"""Parses stream entries and queue counts into plain records."""
