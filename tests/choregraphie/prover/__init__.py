"""Tests of choregraphie.prover: the checks, the generated documents, the chapter that adds a service."""
