"""A run told to a person: numbered steps, and a Mermaid sequence diagram. Pure."""

import re
from collections.abc import Iterator, Sequence

from choregraphie.simulator.trace import Line

# A diagram longer than this is no picture any more; its end is where things go wrong.
MOST_STEPS = 120
# Mermaid ends a statement at these, or reads markup into them.
_FORBIDDEN = re.compile(r"[;:#<>\n]+")
_OFTEN_FIRST = ("client", "stock", "paiement", "commande", "notification")


def steps(lines: Sequence[Line]) -> list[str]:
    """One numbered sentence per line of the diary."""
    return [
        f"{number:3}. {line.time:7.2f} s  {line.who} {line.what}{f' ({line.order})' if line.order else ''}"
        for number, line in enumerate(lines, start=1)
    ]


def mermaid(lines: Sequence[Line], found: Sequence[str]) -> str:
    """Arrows are drawn as the messages are taken, so overtaking is seen; what happened to somebody is a note."""
    shown = lines[-MOST_STEPS:]
    names = [*dict.fromkeys(name for line in shown for name in _named(line))]
    first = [name for name in _OFTEN_FIRST if name in names]
    drawn = ["sequenceDiagram"]
    drawn += [f"    participant {name}" for name in (*first, *(name for name in names if name not in first))]
    drawn += [f"    {_drawn(line)}" for line in shown]
    if names:
        across = f"{(first or names)[0]},{(first or names)[-1]}"
        drawn += [f"    Note over {across}: ✗ {_plain(violation)}" for violation in found]
    return "\n".join(drawn)


def _named(line: Line) -> Iterator[str]:
    if line.fro:
        yield _program(line.fro)
    yield _program(line.who)


def _drawn(line: Line) -> str:
    about = _plain(f"{line.what} {line.order}".strip())
    if line.fro:
        return f"{_program(line.fro)}->>{_program(line.to)}: {about}"
    return f"Note over {_program(line.who)}: {about}"


def _program(name: str) -> str:
    """Several workers of a service share a line of life."""
    return re.sub(r"-\d+$", "", name).replace(" ", "_")


def _plain(text: str) -> str:
    return " ".join(_FORBIDDEN.sub(" ", text).split())[:120]
