"""Signatures of events, and the files of their keys."""
