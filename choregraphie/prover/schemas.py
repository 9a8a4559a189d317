"""A JSON Schema (2020-12) per event, for whoever speaks to us in another language. Pure."""

from typing import Any

from choregraphie.saga.choreography import EventClass
from choregraphie.saga.registry import adapter

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema(event: EventClass) -> dict[str, Any]:
    """The whole message of `event`, envelope and data. Self-contained: it refers to nothing."""
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
    who = "clients/" if event.SAID_BY == "client" else f"services/{event.SAID_BY}(/|$)"
    return rf"^/{who}[^\x00-\x20\x7f]*$"


def _clean(part: Any, definitions: dict[str, Any]) -> Any:
    """References followed, generated titles left out."""
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
    """An attribute of the envelope that has no value is left out by whoever writes, never null."""
    if "anyOf" not in attribute:
        return attribute
    (inside,) = (choice for choice in attribute["anyOf"] if choice != {"type": "null"})
    return dict(inside)
