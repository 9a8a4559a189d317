"""The choreography, checked before it runs and drawn for people: everything follows from the declarations."""

from choregraphie.prover.check import Proof, prove
from choregraphie.prover.documents import FORMATS, as_json, diagram, document, documents, schema
from choregraphie.prover.report import as_data, as_text
from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import TooLarge

__all__ = [
    "FORMATS",
    "Proof",
    "Rule",
    "TooLarge",
    "Violation",
    "as_data",
    "as_json",
    "as_text",
    "diagram",
    "document",
    "documents",
    "prove",
    "schema",
]
