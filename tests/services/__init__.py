"""Each service at its desk: no broker, a real database."""
