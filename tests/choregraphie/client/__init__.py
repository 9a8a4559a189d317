"""Beginning a saga inside one's own transaction: say, the relay, the outcome."""
