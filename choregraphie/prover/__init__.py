"""The prover: checks a choreography before it runs, and generates what follows from it.

check                       the entry point: prove()
rules                       the rules, and the report of a broken one
static_rules, run_rules     the rules on the declaration, and on every run
conformance                 the services' tables against the declaration
state_space, transitions    every abstract run, and what can happen next in one
report                      the outcome as text and as data
documents                   AsyncAPI and JSON Schema documents
graph, layout, formats      the diagram: what it shows, where, and as Mermaid, DOT or SVG
"""

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
