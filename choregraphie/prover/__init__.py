"""The prover: checks a choreography before it runs, and generates what follows from it.

check                       the entry point: prove()
rules                       the rules, and the report of a broken one
static_rules, run_rules     the rules on the declaration, and on every run
conformance                 the services' tables against the declaration
transitions, model          what can happen in an abstract run, as data; and for one choreography
state_space, reduction      the full exploration of the runs, and the one with partial-order reduction
report                      the outcome as text and as data
documents, operations       AsyncAPI and JSON Schema documents; what a service hears and says in them
steps                       the steps of an orchestrated saga as text
graph, layout, formats      the diagram: what it shows, where, and as Mermaid, DOT or SVG
promela, promela_rules, promela_names, promela_text
                            a model of the runs and the rules on them, for the model checker SPIN
promela_orchestrated, promela_bits, promela_orchestrator, promela_services, promela_orchestrated_rules
                            the same of an orchestrated saga
"""

from choregraphie.prover.check import Proof, prove
from choregraphie.prover.documents import FORMATS, as_json, diagram, document, documents, schema
from choregraphie.prover.promela import promela
from choregraphie.prover.report import as_data, as_text
from choregraphie.prover.rules import Rule, Violation
from choregraphie.prover.state_space import TooLarge
from choregraphie.prover.steps import steps_text

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
    "promela",
    "prove",
    "schema",
    "steps_text",
]
