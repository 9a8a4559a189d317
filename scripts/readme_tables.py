"""Tables derived from declarations: events, rules, invariants, import layers. Markdown."""

import tomllib
from collections.abc import Iterable
from pathlib import Path

from choregraphie.prover import Rule, steps_text
from choregraphie.saga.choreography import Choreography, EventClass
from contracts.choreography import CHOREOGRAPHY
from scripts.nemesis.invariants import MEANINGS
from services.orchestrateur import ORCHESTRATION

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = "contracts/examples"


def events_table(choreography: Choreography = CHOREOGRAPHY) -> str:
    """Every event: who says it, which services hear it, its data, its schema and its example."""
    rows = ["| event | said by | heard by | data, beside `commande_id` |", "|---|---|---|---|"]
    for event in choreography.events:
        hearers = [r.service for r in choreography.reactions if r.hears is event]
        rows.append(f"| {_linked(event)} | {event.SAID_BY} | {', '.join(hearers) or '–'} | {_fields(event)} |")
    return "\n".join(rows)


def _linked(event: EventClass) -> str:
    return f"[`{event.TYPE}`](../{EXAMPLES}/{event.TYPE}.json) ([schema](schemas/{event.TYPE}.json))"


def _fields(event: EventClass) -> str:
    return ", ".join(f"`{name}`" for name in event.model_fields if name != "commande_id") or "–"


def asyncapi_list(choreography: Choreography = CHOREOGRAPHY) -> str:
    """A link to the AsyncAPI document of each service."""
    return "\n".join(f"* [`{name}`](asyncapi/{name}.json)" for name in choreography.services)


def example(choreography: Choreography = CHOREOGRAPHY) -> str:
    """The example message of the event that starts the saga."""
    path = ROOT / EXAMPLES / f"{choreography.starts.TYPE}.json"
    return f"```json\n{path.read_text(encoding='utf-8').strip()}\n```"


def layers_list() -> str:
    """The layers of imports, the highest first, as `pyproject.toml` declares them."""
    linter = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layered = [contract for contract in linter["contracts"] if contract["type"] == "layers"]
    return "\n\n".join(f"{one['name'].partition(':')[0]}:\n\n{_layers(one['layers'])}" for one in layered)


def _layers(layers: Iterable[str]) -> str:
    return "\n".join(["```text", *(", ".join(layer.split(" | ")) for layer in layers), "```"])


def rules_table() -> str:
    """The rules of the prover."""
    return _two_columns("rule", "holds when", ((rule.slug, rule.sentence) for rule in Rule))


def invariants_table() -> str:
    """The invariants of a chaos run."""
    return _two_columns("invariant", "meaning", MEANINGS.items())


def _two_columns(first: str, second: str, rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join([f"| {first} | {second} |", "|---|---|", *(f"| `{name}` | {text} |" for name, text in rows)])


def steps_list() -> str:
    """The steps of the orchestrated order saga, as the command prints them."""
    return f"```text\n{steps_text(ORCHESTRATION)}\n```"
