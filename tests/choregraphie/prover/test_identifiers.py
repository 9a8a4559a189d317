"""In generated documents, names that differ by punctuation alone have different identifiers."""

import re
from typing import ClassVar

from choregraphie.cli.choreography import DELAYS
from choregraphie.prover import diagram
from choregraphie.prover.documents import document
from choregraphie.prover.graph import Kind, graph_of
from choregraphie.saga.choreography import Reaction
from choregraphie.service.service import Service
from contracts.client import CommandeInitiee
from contracts.notification import NotificationEnvoyee
from contracts.stock import StockLibere
from tests.choregraphie.prover.altered import plus


class Separee(NotificationEnvoyee):
    TYPE: ClassVar[str] = "colis.parti.tard"
    SAID_BY: ClassVar[str] = "quai-nord"


class Jointe(NotificationEnvoyee):
    TYPE: ClassVar[str] = "colis.parti_tard"
    SAID_BY: ClassVar[str] = "quai_nord"


class CommeUneVoie(NotificationEnvoyee):
    TYPE: ClassVar[str] = "lane.quai_nord"
    SAID_BY: ClassVar[str] = "quai_nord"


# Events, services, notes and joins whose names differ by nothing that an identifier has.
ALIKE = plus(
    Reaction("quai-nord", CommandeInitiee, (Separee,)),
    Reaction("quai_nord", CommandeInitiee, (Jointe, CommeUneVoie)),
    Reaction("quai-nord", Separee),
    Reaction("quai_nord", Separee),
    Reaction("quai_nord", Jointe),
    Reaction("entrepot", (Separee, Jointe), (StockLibere,)),
    Reaction("entrepot", (Separee, CommeUneVoie), (StockLibere,)),
)


def test_the_identifiers_of_a_diagram_are_unique() -> None:
    graph = graph_of(ALIKE)
    assert len(graph.by_key) == len(graph.nodes)
    assert {(node.lane, node.label) for node in graph.nodes if node.label.startswith("colis.")} == {
        ("quai-nord", "colis.parti.tard"),
        ("quai_nord", "colis.parti_tard"),
    }
    lanes_of_notes = sorted(node.lane for node in graph.nodes if node.kind is Kind.NOTE)
    assert [lane for lane in lanes_of_notes if lane.startswith("quai")] == ["quai-nord", "quai_nord", "quai_nord"]
    assert sum(node.kind is Kind.JOIN for node in graph.nodes) == 2
    mermaid = re.findall(r"^ +(?:subgraph )?(\w+)(?:\[|\(\[)", diagram(ALIKE, "mermaid"), re.MULTILINE)
    dot = re.findall(r"^ +(?:(?:subgraph )(\w+)|(\w+) \[label=)", diagram(ALIKE, "dot"), re.MULTILINE)
    for declared in (mermaid, [lane or node for lane, node in dot]):
        assert len(declared) == len(graph.nodes) + len(graph.lanes)
        assert len(set(declared)) == len(declared)


def test_the_operations_of_an_asyncapi_document_are_unique() -> None:
    quai = Service("quai_nord", foreign=True)
    described = document(quai, ALIKE, DELAYS, "")
    told = {operation["channel"]["$ref"].rsplit("/", 1)[1] for operation in described["operations"].values()}
    assert told >= {"colis.parti.tard", "colis.parti_tard", "commande.initiee"}
