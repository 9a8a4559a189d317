"""The generated documents are valid, and the copies in docs/ are up to date."""

import importlib
import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from xml.etree import ElementTree

import pytest

from choregraphie.cli.choreography import DELAYS
from choregraphie.prover import diagram, documents
from choregraphie.prover.graph import columns, graph_of
from choregraphie.prover.layout import BOX, Drawing, lay_out
from choregraphie.saga.choreography import Choreography
from choregraphie.saga.envelope import Event
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import topology
from choregraphie.service.service import on
from choregraphie.service.transaction import Transaction
from contracts.choreography import CHOREOGRAPHY
from services.application import APP
from tests.choregraphie.prover import travel
from tests.choregraphie.prover.altered import SOUND
from tests.choregraphie.prover.broken import BROKEN
from tests.support.several_sagas import RETOUR_DEMANDE, RETOUR_RECU, RETURNS, SEVERAL

ROOT = Path(__file__).parents[3]
GENERATED = documents(CHOREOGRAPHY, APP.by_name, DELAYS)
OFFICIAL = json.loads((Path(__file__).parent / "asyncapi-3.0.0" / "schema.json").read_text(encoding="utf-8"))
ASYNCAPI = {name: json.loads(GENERATED[f"asyncapi/{name}.json"]) for name in APP.by_name}
SCHEMAS = {event.TYPE: json.loads(GENERATED[f"schemas/{event.TYPE}.json"]) for event in CHOREOGRAPHY.events}
CHOREOGRAPHIES = {
    "shipped": CHOREOGRAPHY,
    **SOUND,
    **travel.SOUND,
    **{broken.name: broken.choreography for broken in BROKEN},
}


@pytest.mark.parametrize("name", GENERATED)
def test_a_copy_in_docs_is_what_would_be_generated_now(name: str) -> None:
    """To update: python -m services choreography generate --into docs"""
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == GENERATED[name]


def test_docs_hold_no_outdated_document() -> None:
    docs = ROOT / "docs"
    held = {p.relative_to(docs).as_posix() for kind in ("asyncapi", "schemas") for p in (docs / kind).iterdir()}
    assert held == {name for name in GENERATED if "/" in name}


@pytest.fixture(scope="module")
def jsonschema() -> ModuleType:
    """Imported late: it takes seconds, and each process of a run reads every file of tests."""
    return importlib.import_module("jsonschema")


@pytest.mark.parametrize("name", ASYNCAPI)
def test_an_asyncapi_document_is_valid_by_the_official_schema(jsonschema: ModuleType, name: str) -> None:
    jsonschema.Draft7Validator(OFFICIAL).validate(ASYNCAPI[name])


def test_the_official_schema_refuses_an_invalid_document(jsonschema: ModuleType) -> None:
    wrong: Any = json.loads(json.dumps(ASYNCAPI["stock"]))
    wrong["operations"]["say_stock_libere"]["bindings"]["amqp"]["deliveryMode"] = 3
    assert not jsonschema.Draft7Validator(OFFICIAL).is_valid(wrong)


@pytest.mark.parametrize("name", ASYNCAPI)
def test_every_reference_has_a_target(name: str) -> None:
    document = ASYNCAPI[name]
    for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
        there: Any = document
        for part in reference.split("/"):
            there = there[part]
        assert there


@pytest.mark.parametrize("name", ASYNCAPI)
def test_an_asyncapi_document_names_exchanges_and_queues_of_the_topology(name: str) -> None:
    held = topology(SagaSet((CHOREOGRAPHY,)), DELAYS)
    exchanges, queues = {e.name for e in held.exchanges}, {q.name for q in held.queues}
    document = ASYNCAPI[name]
    assert {c["bindings"]["amqp"]["exchange"]["name"] for c in document["channels"].values()} <= exchanges
    heard = [o for o in document["operations"].values() if o["action"] == "receive"]
    assert len(heard) == len(APP.by_name[name].reactions)
    for operation in heard:
        retry, dead = operation["x-retry"], operation["x-deadLetter"]
        assert {operation["x-queue"], dead["queue"], *retry["queues"]} <= queues
        assert {dead["exchange"], retry["returnsBy"]} <= exchanges
        assert dead["needsAPerson"] == (dead["says"] is None)


@pytest.mark.parametrize("type_", SCHEMAS)
def test_a_schema_is_valid_and_accepts_the_example_of_its_event(jsonschema: ModuleType, type_: str) -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMAS[type_])
    example = json.loads((ROOT / "contracts" / "examples" / f"{type_}.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(SCHEMAS[type_])
    validator.validate(example)
    wrong: list[dict[str, Any]] = [{"type": "autre"}, {"source": "/autre"}, {"data": {}}, {"subject": None}]
    for part in wrong:
        assert not validator.is_valid(example | part)


def test_a_schema_bounds_an_amount() -> None:
    amount = SCHEMAS["paiement.effectue"]["properties"]["data"]["properties"]["montant"]
    assert amount == {
        "description": "at most 2 decimals",
        "exclusiveMinimum": 0,
        "maximum": 1_000_000,
        "type": "number",
    }


@pytest.mark.parametrize("format_", ["mmd", "dot"])
def test_a_diagram_shows_every_event_and_is_balanced(format_: str) -> None:
    text = GENERATED[f"choreography.{format_}"]
    assert all(event.TYPE in text for event in CHOREOGRAPHY.events)
    for opening, closing in ("{}", "[]", "()"):
        assert text.count(opening) == text.count(closing)


def test_a_service_whose_name_has_a_hyphen_has_an_identifier_in_a_diagram() -> None:
    """Mermaid and DOT read a hyphen as syntax; labels keep the name."""
    named = replace(
        CHOREOGRAPHY, reactions=tuple(replace(r, service=f"web-{r.service}") for r in CHOREOGRAPHY.reactions)
    )
    for line in (*diagram(named, "mermaid").splitlines(), *diagram(named, "dot").splitlines()):
        # Neither a label nor an arrow.
        assert "web-" not in re.sub(r'"[^"]*"|\[[^]]*\]', "", line)


def test_the_svg_is_self_contained_xml_with_a_dark_theme() -> None:
    text = GENERATED["choreography.svg"]
    ElementTree.fromstring(text)
    assert "prefers-color-scheme:dark" in text
    assert all(event.TYPE in text for event in CHOREOGRAPHY.events)
    assert not re.search(r"<script|href=|@import|url\((?!#)", text)


@pytest.mark.parametrize("choreography", CHOREOGRAPHIES.values(), ids=CHOREOGRAPHIES)
def test_boxes_do_not_overlap_and_no_arrow_runs_through_one(choreography: Choreography) -> None:
    graph = graph_of(choreography)
    drawing = lay_out(graph)
    for one, other in itertools.combinations(drawing.boxes, 2):
        apart = one.x + one.width <= other.x or other.x + other.width <= one.x
        assert apart or abs(one.y - other.y) >= BOX
    column = columns(graph)
    if all(column[source] < column[target] for source, target in graph.arrows):
        assert _run_through(drawing) == []


def _run_through(drawing: Drawing) -> list[str]:
    """The boxes that an arrow crosses. An arrow that closes a cycle runs backwards, and may cross."""
    hit = []
    for connector in drawing.connectors:
        for (x0, y0), (x1, y1) in itertools.pairwise(connector.corners):
            left, right, top, bottom = min(x0, x1), max(x0, x1), min(y0, y1), max(y0, y1)
            hit += [
                box.node.key
                for box in drawing.boxes
                if left < box.x + box.width - 1 and right > box.x + 1 and top < box.y + BOX and bottom > box.y
            ]
    return hit


def test_a_document_of_one_saga_has_nothing_of_another() -> None:
    """A service may take part in several sagas; each saga has a document of it."""
    of_orders = APP.by_name["stock"]
    of_both = replace(of_orders, reactions=(*of_orders.reactions, on(RETOUR_DEMANDE, _take_back)))
    found = documents(RETURNS, SEVERAL.by_name | {"stock": of_both}, DELAYS)
    assert "asyncapi/stock.json" in found
    assert "asyncapi/commande.json" not in found, "which has no part in it"
    stock = json.loads(found["asyncapi/stock.json"])
    spoken = {channel["address"] for channel in stock["channels"].values()}
    assert RETOUR_DEMANDE.TYPE in spoken
    assert not spoken & set(CHOREOGRAPHY.event_types), "which are of orders"


def _take_back(now: Transaction, event: Event) -> Iterator[RETOUR_RECU]:  # type: ignore[valid-type]
    yield RETOUR_RECU(**{RETOUR_RECU.KEY: event.key})
