"""The events on the wire: format, bounds, recorded schemas, choreography and topology."""
