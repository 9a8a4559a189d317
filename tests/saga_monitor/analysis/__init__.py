"""Where an order stands, from the set of its events."""
