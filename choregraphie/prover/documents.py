"""Every document that is generated from the declarations, by the path it has under `docs/`. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from choregraphie.prover import asyncapi
from choregraphie.prover import formats as graphs
from choregraphie.prover.graph import Graph, picture
from choregraphie.prover.schemas import schema
from choregraphie.prover.svg import svg
from choregraphie.saga.choreography import Choreography
from choregraphie.service.service import Service

FORMATS = {"mermaid": graphs.mermaid, "dot": graphs.dot, "svg": svg}
_ENDINGS = {"mermaid": "mmd", "dot": "dot", "svg": "svg"}


def diagram(choreography: Choreography, format_: str) -> str:
    """The picture in one of FORMATS."""
    shown: Graph = picture(choreography)
    return FORMATS[format_](shown)


def documents(
    choreography: Choreography,
    services: Mapping[str, Service],
    delays: Sequence[float],
    canvases: Mapping[str, str],
) -> dict[str, str]:
    """Relative path → text, for all of them. `canvases` are the services' first pages."""
    found = {f"choreography.{_ENDINGS[format_]}": diagram(choreography, format_) for format_ in FORMATS}
    for name, service in services.items():
        found[f"asyncapi/{name}.json"] = as_json(
            asyncapi.document(service, choreography, delays, canvases.get(name, ""))
        )
    for event in choreography.events:
        found[f"schemas/{event.TYPE}.json"] = as_json(schema(event))
    return found


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
