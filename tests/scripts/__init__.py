"""The project's own commands, run as a person runs them, and what the documents say of them."""
