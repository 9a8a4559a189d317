"""The commands of the project, run as a person runs them, and the documents that describe them."""
