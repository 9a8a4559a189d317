"""The choreography, checked before it runs and drawn for people: everything follows from the declarations."""

from services.choreography.account import as_data, as_text
from services.choreography.asyncapi import document
from services.choreography.documents import FORMATS, as_json, diagram, documents
from services.choreography.proof import Proof, prove
from services.choreography.runs import TooLarge
from services.choreography.schemas import schema
from services.choreography.violations import Rule, Violation

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
