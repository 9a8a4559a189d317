"""What the tests stand on: a broker, a look into it, and a client that shares no code with the project."""
