"""The Jinja environment and its filters: every value is made printable, then escaped."""

import datetime as dt
import functools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from choregraphie.printable import printable
from choregraphie.saga.saga_set import SagaSet
from choregraphie.terminal.formats import format_count, format_duration
from saga_monitor.diagnosis.wording import because, because_label, flag_words
from saga_monitor.web.reader import MOST_COUNTED


class Named(Protocol):
    """What names an instance, as far as it is known."""

    @property
    def saga(self) -> str | None: ...
    @property
    def key(self) -> str | None: ...


HERE = Path(__file__).parent
# A browser removes these two from a path.
_NOT_IN_A_PATH = {".", ".."}


def environment(sagas: SagaSet) -> Environment:
    """The Jinja environment for pages about `sagas`. An undefined name is an error."""
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    named = (clock, number, counted, instance_path, pretty, ago, with_code, because, flag_words)
    made.filters |= {function.__name__: function for function in named}
    made.filters |= {"duration": format_duration, "iso": _iso, "reason": because_label}
    made.globals |= {"sagas": sagas, "icon": icon}
    for name in made.list_templates():
        # Compile now, so that the first request does not wait.
        made.get_template(name)
    return made


def _shown(value: Any) -> Any:
    """`value` with unprintable characters escaped, because they could rearrange the page."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return printable(value)
    return value


@functools.cache
def icon(name: str) -> Markup:
    """An icon of the page's sprite, hidden from screen readers."""
    return Markup('<svg class="icon" aria-hidden="true"><use href="#i-{}"/></svg>').format(name)


def clock(time: dt.datetime | None, now: dt.datetime) -> str:
    """The time of day, with the date unless it is today."""
    if time is None:
        return "–"
    return f"{time:%H:%M:%S}" if time.date() == now.date() else f"{time:%Y-%m-%d %H:%M:%S}"


def ago(time: dt.datetime | None, now: dt.datetime) -> str:
    """How long ago, in short."""
    if time is None:
        return "–"
    seconds = max(0, int((now - time).total_seconds()))
    return "now" if seconds < 1 else format_duration(seconds // 1 * 1000).replace(".0", "")


def _iso(time: dt.datetime | None) -> str:
    return "" if time is None else time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def number(value: int) -> Markup:
    return Markup(format_count(value))  # noqa: S704 - digits and commas


def counted(value: int) -> Markup:
    """A number that was counted up to `MOST_COUNTED`; `+` when there are more."""
    return number(MOST_COUNTED) + "+" if value > MOST_COUNTED else number(value)


def instance_path(instance: Named, of: str = "sagas") -> str:
    """The address of an instance's page, for any key; `of`: `raw` for that of its raw events.

    Without a known saga, it is the page of the key.
    """
    folder = f"{of}/{quote(instance.saga, safe='')}" if instance.saga else "keys"
    key = quote(instance.key or "", safe="")
    return f"/{folder}?key={key}" if instance.key in _NOT_IN_A_PATH else f"/{folder}/{key}"


def with_code(sentence: str) -> Markup:
    """A sentence with the commands between backticks as code."""
    parts = [printable(part) for part in sentence.split("`")]
    # An odd number of backticks: some belong to a foreign text.
    if len(parts) % 2 == 0:
        return Markup("`").join(parts)
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(part) if n % 2 else part for n, part in enumerate(parts))


def pretty(value: Mapping[str, Any] | str) -> Markup:
    """JSON on several lines, each printable and escaped."""
    text = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
    return Markup("\n").join(printable(line) for line in text.split("\n"))
