"""The project's own commands; each is run from the root of the repository."""
