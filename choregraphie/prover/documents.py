"""Documents generated from the declarations: AsyncAPI 3.0 by service, JSON Schema by event, the diagram. Pure."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from choregraphie.prover.formats import dot, mermaid, svg
from choregraphie.prover.graph import Graph, graph_of
from choregraphie.prover.identifiers import identifiers
from choregraphie.prover.operations import ReceiveOperation, receive_operations, said_by_service
from choregraphie.saga.choreography import Choreography, EventClass
from choregraphie.saga.envelope import CONTENT_TYPE
from choregraphie.saga.registry import adapter
from choregraphie.saga.topology import (
    DETAIL_HEADER,
    REASON_HEADER,
    dlq,
    dlx,
    exchange_of,
    inbox,
    requeue,
    retry_queue,
)
from choregraphie.saga.trace_context import TRACEPARENT_HEADER, TRACESTATE_HEADER
from choregraphie.service.service import Service
from choregraphie.service.verdict import RetryOverride

FORMATS = {"mermaid": mermaid, "dot": dot, "svg": svg}
_ENDINGS = {"mermaid": "mmd", "dot": "dot", "svg": "svg"}


def diagram(choreography: Choreography, format_: str) -> str:
    """The graph of `choreography` in one of FORMATS."""
    graph: Graph = graph_of(choreography)
    return FORMATS[format_](graph)


def documents(
    choreography: Choreography,
    services: Mapping[str, Service],
    delays: Sequence[float],
) -> dict[str, str]:
    """Every document: its path under `docs/` → its text."""
    found = {f"choreography.{_ENDINGS[format_]}": diagram(choreography, format_) for format_ in FORMATS}
    for name in choreography.services:
        if service := services.get(name):
            found[f"asyncapi/{name}.json"] = as_json(document(service, choreography, delays, service.canvas))
    for event in choreography.events:
        found[f"schemas/{event.TYPE}.json"] = as_json(schema(event))
    return found


def as_json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


BINDING = "0.3.0"


def document(
    service: Service, choreography: Choreography, delays: Sequence[float], description: str
) -> dict[str, Any]:
    """The AsyncAPI document of `service`: what it hears and says, its retries and its dead letters.

    `delays` are the retry delays in seconds; `description` is the canvas of the service.
    """
    operations = [*receive_operations(service, choreography)]
    heard = [one.event for one in operations]
    said = said_by_service(service, choreography)
    words = identifiers([*heard, *said], lambda event: event.TYPE)
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": service.name,
            "version": "1",
            "description": description.strip(),
            "license": {"name": "MIT"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": {event.TYPE: _channel(event) for event in dict.fromkeys((*heard, *said))},
        "operations": {
            **{f"hear_{words[one.event]}": _hear(service, one, delays) for one in operations},
            **{f"say_{words[event]}": _say(event) for event in said},
        },
        "components": {
            "messages": {e.TYPE: _message(e, choreography.noun[0]) for e in dict.fromkeys((*heard, *said))}
        },
    }


def _channel(event: EventClass) -> dict[str, Any]:
    exchange = {"name": exchange_of(event), "type": "topic", "durable": True, "autoDelete": False}
    return {
        "address": event.TYPE,
        "description": f"What {event.SAID_BY} says: only {event.SAID_BY} may write to this exchange.",
        "messages": {event.TYPE: {"$ref": f"#/components/messages/{event.TYPE}"}},
        "bindings": {"amqp": {"is": "routingKey", "exchange": exchange, "bindingVersion": BINDING}},
    }


def _message(event: EventClass, noun: str) -> dict[str, Any]:
    header = {"type": "string", "description": "W3C trace context"}
    return {
        "name": event.TYPE,
        "title": event.TYPE,
        "summary": " ".join((event.__doc__ or "").split()),
        "contentType": CONTENT_TYPE,
        "headers": {"type": "object", "properties": {TRACEPARENT_HEADER: header, TRACESTATE_HEADER: header}},
        "correlationId": {
            "location": "$message.payload#/correlationid",
            "description": f"the {noun}, as in data.{event.KEY}",
        },
        "payload": {name: part for name, part in schema(event).items() if name not in {"$schema", "$id"}},
        "bindings": {"amqp": {"messageType": event.TYPE, "bindingVersion": BINDING}},
    }


def _hear(service: Service, heard: ReceiveOperation, delays: Sequence[float]) -> dict[str, Any]:
    others = sorted(other.TYPE for other in heard.awaits if other is not heard.event)
    return {
        "action": "receive",
        "channel": _reference(heard.event),
        "summary": heard.summary,
        "messages": [_reference(heard.event, "messages")],
        "bindings": {"amqp": {"ack": True, "bindingVersion": BINDING}},
        "x-queue": inbox(service.name),
        **({"x-awaits": others} if others else {}),
        "x-says": sorted(said.TYPE for said in heard.says),
        "x-undoes": sorted(undone.TYPE for undone in heard.undoes),
        "x-retry": _retry(service, heard.retry, delays),
        "x-deadLetter": {
            "exchange": dlx(service.name),
            "queue": dlq(service.name),
            "headers": [REASON_HEADER, DETAIL_HEADER],
            "says": heard.refusal.TYPE if heard.refusal else None,
            "needsAPerson": heard.refusal is None,
        },
    }


def _retry(service: Service, retry: RetryOverride, delays: Sequence[float]) -> dict[str, Any]:
    policy = retry.policy(tuple(delays))
    return {
        "tries": policy.tries,
        "delaysInSeconds": list(policy.delays),
        "queues": [retry_queue(service.name, seconds) for seconds in policy.delays],
        "returnsBy": requeue(service.name),
        "neverOn": sorted(error.__name__ for error in retry.never),
    }


def _say(event: EventClass) -> dict[str, Any]:
    amqp = {"deliveryMode": 2, "mandatory": True, "timestamp": True, "bindingVersion": BINDING}
    return {
        "action": "send",
        "channel": _reference(event),
        "summary": " ".join((event.__doc__ or "").split()),
        "messages": [_reference(event, "messages")],
        "bindings": {"amqp": amqp},
    }


def _reference(event: EventClass, *inside: str) -> dict[str, str]:
    parts = ("channels", event.TYPE, *(part for name in inside for part in (name, event.TYPE)))
    return {"$ref": "#/" + "/".join(parts)}


DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(event: EventClass) -> dict[str, Any]:
    """The JSON Schema of the whole message of `event`, envelope and data, without references."""
    raw = adapter(event).json_schema(mode="serialization")
    envelope: dict[str, Any] = _clean(raw, raw.get("$defs", {}))
    properties = {name: _never_null(part) for name, part in envelope["properties"].items()}
    properties["type"] = {"const": event.TYPE}
    properties["dataschema"] = {"const": event.schema_urn()}
    properties["source"] |= {"pattern": _source(event)}
    return {
        "$schema": DIALECT,
        "$id": event.schema_urn(),
        "title": event.TYPE,
        "description": properties["data"].pop("description", ""),
        "type": "object",
        "properties": properties,
        "required": envelope["required"],
    }


def _source(event: EventClass) -> str:
    sender = "clients/" if event.SAID_BY == "client" else f"services/{event.SAID_BY}(/|$)"
    return rf"^/{sender}[^\x00-\x20\x7f]*$"


def _clean(part: Any, definitions: dict[str, Any]) -> Any:
    """`part` with its references resolved and without generated titles."""
    if isinstance(part, list):
        return [_clean(item, definitions) for item in part]
    if not isinstance(part, dict):
        return part
    if "$ref" in part:
        return _clean(definitions[part["$ref"].rpartition("/")[2]], definitions)
    return {
        name: {key: _clean(value, definitions) for key, value in inner.items()}
        if name == "properties"
        else _clean(inner, definitions)
        for name, inner in part.items()
        if name not in {"title", "$defs"}
    }


def _never_null(attribute: dict[str, Any]) -> dict[str, Any]:
    """The schema of an optional attribute of the envelope, which a writer leaves out and never sets to null."""
    if "anyOf" not in attribute:
        return attribute
    (inside,) = (choice for choice in attribute["anyOf"] if choice != {"type": "null"})
    return dict(inside)
