"""A dead letter in words: why it was set aside, what to do, the commands to type, its headers and its bytes."""

import base64
import codecs
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from choregraphie.saga.topology import dlq
from saga_monitor.analysis.interventions import GIVEN_UP
from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.saga_state import State
from saga_monitor.diagnosis.causes import remedy
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection.dead_letters import Mentions
from saga_monitor.projection.queries import Order
from saga_monitor.reports.report import rfc3339
from saga_monitor.text.sanitize import printable, safe

_ROW = 16


@dataclass(frozen=True, slots=True)
class Command:
    """A command to type, and what it shows."""

    line: str
    shows: str


@dataclass(frozen=True, slots=True)
class Body:
    """`about`: the number of bytes and how they are shown. `lines`: printable; empty when no copy is kept."""

    about: str
    lines: tuple[str, ...]


def why(letter: DeadLetter) -> str:
    """Why it was set aside, in a sentence."""
    return f"{letter.service} set {letter.type or 'a message'} aside: {because(letter.reason, letter.detail)}."


def advice(letter: DeadLetter, order: Order | None) -> str:
    """What to do about it, in a sentence. `order`: the order that it belongs to, if any."""
    text = remedy(letter, undone=order is not None and order.state is State.COMPENSATED)
    return f"{text[:1].upper()}{text[1:]}."


def commands(letter: DeadLetter, order: Order | None) -> Iterator[Command]:
    """Commands that show more about it."""
    if order is not None and letter.commande_id:
        yield Command(f"python -m saga_monitor show {_argument(letter.commande_id)}", "the order, step by step")
        journal = f"python -m services journal {_argument(letter.commande_id)}"
        yield Command(journal, "what each service did for it, and what was undone")
    if letter.commande_id:
        history = f"python -m saga_monitor history --all --commande={_quoted(letter.commande_id)}"
        yield Command(history, "every event about it, with the retries")
    if letter.reason in GIVEN_UP:
        yield Command(f"python -m services ready {letter.service}", "whether a worker of the service is there")
        yield Command(f"python -m services inspect {letter.service}", "what the service knows")
    else:
        yield Command("python -m services choreography schemas", "what each type of event must look like")
    yield Command(
        f"python -m saga_monitor letter {letter.offset}", f"this message, which is in {dlq(letter.service)}"
    )


def body(letter: DeadLetter) -> Body:
    """The bytes as text if they are UTF-8, else in hexadecimal."""
    copy = letter.copy
    if copy is None:
        return Body("its bytes are not kept here any more; the command `history --all` reads the stream", ())
    kept = len(copy.start)
    size = f"{copy.size} byte{'' if copy.size == 1 else 's'}"
    size += f", of which the first {kept} are shown" if kept < copy.size else ""
    text = _text(copy.start, complete=kept == copy.size)
    if text is None:
        return Body(f"{size}, in hexadecimal: they are not UTF-8 text", tuple(_hexadecimal(copy.start)))
    return Body(size, tuple(printable(line) for line in text.split("\n")) if text else ())


def headers(letter: DeadLetter) -> Sequence[tuple[str, str]]:
    """Its headers, printable."""
    found = letter.copy.headers if letter.copy else {}
    return [(printable(name), printable(str(value))) for name, value in found.items()]


def as_json(letter: DeadLetter) -> dict[str, Any]:
    """`body_base64`: the kept bytes, of `size` in all; null when none are kept."""
    copy = letter.copy
    return {
        "offset": letter.offset,
        "commande_id": letter.commande_id,
        "service": letter.service,
        "event_id": letter.event_id,
        "type": letter.type,
        "reason": letter.reason,
        "detail": letter.detail,
        "at": rfc3339(letter.at),
        "size": copy.size if copy else 0,
        "headers": dict(copy.headers) if copy else {},
        "routing_key": copy.routing_key if copy else "",
        "body_base64": base64.b64encode(copy.start).decode("ascii") if copy else None,
    }


def mentions_json(key: str, found: Mentions) -> dict[str, Any]:
    """What is known about a key without an order, for a program: like an order without a state."""
    return {
        "commande_id": key,
        "state": None,
        "retries": found.retries,
        "dead_letters": [as_json(letter) for letter in found.letters],
        "unknown_events": [
            {"type": u.type, "source": u.source, "time": rfc3339(u.time), "offset": u.offset}
            for u in found.unknown
        ],
        "refused_events": [
            {"type": r.type, "source": r.source, "exchange": r.exchange, "at": rfc3339(r.at)}
            for r in found.refused
        ],
    }


def _text(start: bytes, *, complete: bool) -> str | None:
    try:
        # The copy may end within a character.
        return codecs.getincrementaldecoder("utf-8")().decode(start, final=complete)
    except UnicodeDecodeError:
        return None


def _hexadecimal(data: bytes) -> Iterator[str]:
    for place in range(0, len(data), _ROW):
        row = data[place : place + _ROW]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        yield f"{place:06x}  {row.hex(' '):<{3 * _ROW - 1}}  {shown}"


def _argument(text: str) -> str:
    return f"-- {_quoted(text)}" if text.startswith("-") else _quoted(text)


def _quoted(text: str) -> str:
    """`text` quoted as one word for a shell; unprintable characters are escaped for bash's $''."""
    if text.isprintable():
        return shlex.quote(text)
    return "$'" + printable(text.replace("\\", "\\\\").replace("'", "\\'")) + "'"


def dead_letter_view(letter: DeadLetter, order: Order | None) -> RenderableType:
    """Everything that is known about the dead letter, as lines."""
    state = f" ({order.state})" if order else " (no order began under this id)" if letter.commande_id else ""
    shown = body(letter)
    facts = (
        ("at", rfc3339(letter.at)),
        ("queue", f"{letter.service}.dlq"),
        ("event", letter.type or "unreadable"),
        ("order", f"{letter.commande_id or 'none can be read'}{state}"),
        *((("event id", letter.event_id),) if letter.event_id else ()),
    )
    lines = [safe(why(letter), "bold red"), safe(advice(letter, order)), Text()]
    lines += [Text(f"{name:<9} ", style="dim").append_text(safe(value)) for name, value in facts]
    lines += [Text(), *(_command(one) for one in commands(letter, order)), Text()]
    lines += [Text(f"{name}: ", style="dim").append(value) for name, value in headers(letter)]
    lines += [Text(shown.about, style="dim"), *map(Text, shown.lines)]
    return Group(*lines)


def _command(command: Command) -> Text:
    return Text(command.line, style="cyan").append(f"  # {command.shows}", style="dim")


def mentions_view(key: str, found: Mentions) -> RenderableType:
    """What is known about a key without an order, as lines."""
    lines = [Text.assemble(safe(key, "bold"), "  no order began under this id")]
    for letter in found.letters:
        what = f"{why(letter)} `python -m saga_monitor letter {letter.offset}` shows it."
        lines.append(safe(f"{rfc3339(letter.at)}  {what}"))
    lines += [
        safe(f"{rfc3339(u.time) or '–'}  {u.type} from {u.source}: not of this choreography")
        for u in found.unknown
    ]
    for one in found.refused:
        text = f"{one.type} from {one.source} came by {one.exchange}: nobody acts on it"
        lines.append(safe(f"{rfc3339(one.at)}  {text}"))
    return Group(*lines)
