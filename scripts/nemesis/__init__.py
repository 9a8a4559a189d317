"""The chaos tool: breaks workers, monitor, broker, network and database at random, then checks every invariant."""
