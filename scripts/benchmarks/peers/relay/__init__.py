"""The ceiling: the messages of the saga over its topology, with no database and no JSON."""
