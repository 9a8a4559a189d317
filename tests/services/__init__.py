"""The services on the real delivery path and a real database, without a broker."""
