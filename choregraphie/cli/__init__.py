"""The commands of an application. Each module adds one command to the parser and executes it."""
