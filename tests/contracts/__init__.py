"""What is said: wire format, bounds, choreography and topology."""
