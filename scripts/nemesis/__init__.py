"""The nemesis: workers, monitor, broker, network and database broken at random, and every invariant checked."""
