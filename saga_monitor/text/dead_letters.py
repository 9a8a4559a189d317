"""A dead letter in words: why it was set aside, what to do, the commands to type, its headers and its bytes."""

import base64
import codecs
import datetime as dt
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from choregraphie.dead_letters.grouping import group_as_json
from choregraphie.printable import printable
from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from choregraphie.saga.topology import dlq
from saga_monitor.analysis.interventions import GIVEN_UP
from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.analysis.saga_state import State
from saga_monitor.diagnosis.causes import remedy
from saga_monitor.diagnosis.letter_faults import JudgedLetter, LetterFault
from saga_monitor.diagnosis.wording import because
from saga_monitor.projection.dead_letters import Mentions
from saga_monitor.projection.queries import Queries, SagaSummary
from saga_monitor.reports.report import identified, rfc3339
from saga_monitor.text.sanitize import safe

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


def instance_of(queries: Queries, letter: DeadLetter, now: dt.datetime) -> SagaSummary | None:
    """The instance that the dead letter is about; None when there is none, or its saga cannot be told."""
    return queries.instance(Instance(letter.saga, letter.key), now) if letter.saga and letter.key else None


def why(letter: DeadLetter) -> str:
    """Why it was set aside, in a sentence."""
    ended = f" Since then it was {letter.ended}." if letter.ended else ""
    return (
        f"{letter.service} set {letter.type or 'a message'} aside: {because(letter.reason, letter.detail)}.{ended}"
    )


def advice(letter: DeadLetter, instance: SagaSummary | None, sagas: SagaSet, program: str) -> str:
    """What to do about it, in a sentence. `instance`: the instance that it belongs to, if any.

    `program`: how a person starts the application's command line.
    """
    if letter.ended:
        return "Nothing is to be done about it."
    undone = instance is not None and instance.state is State.COMPENSATED
    text = remedy(letter, sagas.by_name.get(letter.saga or ""), program, undone=undone)
    return f"{text[:1].upper()}{text[1:]}."


def commands(letter: DeadLetter, instance: SagaSummary | None, sagas: SagaSet, program: str) -> Iterator[Command]:
    """Commands that show more about it. `program`: how a person starts the application's command line."""
    if instance is not None:
        of_saga = f"--saga {shlex.quote(instance.saga)} " if sagas.several else ""
        show = f"python -m saga_monitor show {of_saga}{_argument(instance.key)}"
        yield Command(show, f"the {sagas.noun_of(instance.saga)[0]}, step by step")
        journal = f"{program} journal {_argument(instance.key)}"
        yield Command(journal, "what each service did for it, and what was undone")
    if letter.key:
        of_saga = f"--saga {shlex.quote(letter.saga)} " if sagas.several and letter.saga else ""
        history = f"python -m saga_monitor history --all {of_saga}--key={_quoted(letter.key)}"
        yield Command(history, "every event about it, with the retries")
    if letter.reason not in GIVEN_UP:
        yield Command(f"{program} choreography schemas", "what each type of event must look like")
    elif letter.service not in sagas.foreign:
        yield Command(f"{program} ready {letter.service}", "whether a worker of the service is there")
        yield Command(f"{program} inspect {letter.service}", "what the service knows")
    if letter.letter and not letter.ended and letter.service not in sagas.foreign:
        yield Command(f"{program} dlq show {letter.letter}", "what sending it back would do")
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


def as_json(letter: DeadLetter, sagas: SagaSet) -> dict[str, Any]:
    """`body_base64`: the kept bytes, of `size` in all; null when none are kept."""
    copy = letter.copy
    return {
        "offset": letter.offset,
        "letter": letter.letter,
        "ended": letter.ended or None,
        **identified(sagas, letter.saga, letter.key),
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


def judged_as_json(one: JudgedLetter, sagas: SagaSet) -> dict[str, Any]:
    """A letter with what its replay would do; null once an operator has dealt with it."""
    replay = {"effect": one.prediction.effect.value, "why": one.prediction.why}
    return as_json(one.letter, sagas) | {
        "held": one.held or None,
        "replay": None if one.letter.ended else replay,
    }


def fault_as_json(fault: LetterFault) -> dict[str, Any]:
    """A fault as `dlq list` shows it, with how many letters have each effect when they are replayed."""
    effects = {effect.value: count for effect, count in fault.effects.items()}
    return group_as_json(fault.group) | {"effects": effects}


def mentions_json(sagas: SagaSet, saga: str | None, key: str, found: Mentions) -> dict[str, Any]:
    """What is known about a key without an instance, for a program: like an instance without a state."""
    return {
        **identified(sagas, saga, key),
        "state": None,
        "retries": found.retries,
        "dead_letters": [as_json(letter, sagas) for letter in found.letters],
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


def dead_letter_view(
    letter: DeadLetter, instance: SagaSummary | None, sagas: SagaSet, program: str
) -> RenderableType:
    """Everything that is known about the dead letter, as lines. `program`: as in `commands`."""
    noun = sagas.noun_of(letter.saga)[0]
    state = f" ({instance.state})" if instance else f" ({no_instance(sagas, letter.saga)})" if letter.key else ""
    shown = body(letter)
    facts = (
        ("at", rfc3339(letter.at)),
        ("queue", f"{letter.service}.dlq"),
        ("event", letter.type or "unreadable"),
        *((("saga", letter.saga),) if sagas.several and letter.saga else ()),
        (noun, f"{letter.key or 'none can be read'}{state}"),
        *((("event id", letter.event_id),) if letter.event_id else ()),
    )
    lines = [safe(why(letter), "bold red"), safe(advice(letter, instance, sagas, program)), Text()]
    lines += [Text(f"{name:<9} ", style="dim").append_text(safe(value)) for name, value in facts]
    lines += [Text(), *(_command(one) for one in commands(letter, instance, sagas, program)), Text()]
    lines += [Text(f"{name}: ", style="dim").append(value) for name, value in headers(letter)]
    lines += [Text(shown.about, style="dim"), *map(Text, shown.lines)]
    return Group(*lines)


def _command(command: Command) -> Text:
    return Text(command.line, style="cyan").append(f"  # {command.shows}", style="dim")


def no_instance(sagas: SagaSet, saga: str | None) -> str:
    """That a key has no instance, in words."""
    return f"no {sagas.noun_of(saga)[0]} began under this id"


def mentions_view(sagas: SagaSet, saga: str | None, key: str, found: Mentions) -> RenderableType:
    """What is known about a key without an instance, as lines."""
    lines = [Text.assemble(safe(key, "bold"), "  ", no_instance(sagas, saga))]
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
