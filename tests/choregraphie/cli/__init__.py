"""Tests of the command line of an application."""
