"""The examples, each run as a person runs it."""
