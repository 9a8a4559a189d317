"""Dead letters: what is read of them, what a replay would do."""
