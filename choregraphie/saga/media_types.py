"""Compares media types by type and subtype, whatever their case and parameters (RFC 9110, 8.3.1)."""

import re

LONGEST = 200

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_MEDIA_TYPE = re.compile(rf"[ \t]*({_WORD})/({_WORD})[ \t]*((?:;.*)?)", re.ASCII)
_PARAMETER = re.compile(
    rf';[ \t]*(?:(?P<name>{_WORD})=(?:(?P<token>{_WORD})|"(?P<quoted>(?:[^"\\]|\\.)*)"))?[ \t]*', re.ASCII
)


def parsed(text: str) -> tuple[str, dict[str, str]] | None:
    """The type in lower case (`application/json`) and its parameters, or None for a text that is not a media type.

    Of a parameter given twice, the first value counts.
    """
    found = _MEDIA_TYPE.fullmatch(text) if len(text) <= LONGEST else None
    if found is None:
        return None
    parameters: dict[str, str] = {}
    rest, at = found[3], 0
    while at < len(rest):
        parameter = _PARAMETER.match(rest, at)
        if parameter is None:
            return None
        if parameter["name"]:
            quoted = re.sub(r"\\(.)", r"\1", parameter["quoted"] or "")
            parameters.setdefault(parameter["name"].lower(), parameter["token"] or quoted)
        at = parameter.end()
    return f"{found[1]}/{found[2]}".lower(), parameters


def is_json(text: str) -> bool:
    """Whether `text` names JSON or a format based on it (RFC 6839, 3.1: `application/vnd.x+json`)."""
    found = parsed(text)
    return found is not None and (found[0] in {"application/json", "text/json"} or found[0].endswith("+json"))


def charset(text: str) -> str | None:
    """The charset that `text` names, in lower case, or None."""
    found = parsed(text)
    return found[1].get("charset", "").lower() or None if found else None


def is_utf8(text: str) -> bool:
    """Whether `text` names no charset but UTF-8, the only one for JSON between systems (RFC 8259, 8.1)."""
    return charset(text) in {None, "utf-8", "utf8"}
