"""The prover, the generated documents, and the chapter that adds a service."""
