"""Waits for the end of a saga by asking the monitor, each time with a bounded wait."""

import asyncio
import contextlib
import datetime as dt
import json
import re
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import httpx

from choregraphie.errors import MonitorRefused, OutcomeUnknown
from choregraphie.http_answers import AnswerUnreadable, read_answer

# The longest wait that a monitor grants, and what its answer may take beside it.
LONGEST_WAIT_SECONDS = 30.0
ANSWER_SECONDS = 0.5
# A first question is given this long, however short the timeout is.
FIRST_ANSWER_SECONDS = 2.0
# A monitor that has too many waiting already answers at once.
PAUSE_SECONDS = 0.5
# The question may succeed later: no such key yet, the request took too long, too many requests.
_LATER = {404, 408, 429}
_LOGIN = re.compile(r"^(?P<scheme>\w+://)[^/?#]*@")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f]")


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a saga stands, as the monitor knows it.

    state         NEW, RUNNING, FAILED, COMPLETED, COMPENSATING, COMPENSATED
    terminal      it was completed, or everything that was done has been undone
    success       None while it is not decided
    needs_person  a message was given up: it does not end without a person
    reason        the first refusal, else why it was cancelled
    since         when the monitor last heard of it
    """

    saga: str
    key: str
    state: str
    terminal: bool
    success: bool | None
    needs_person: bool
    reason: str | None
    since: dt.datetime | None

    @classmethod
    def of(cls, answer: dict[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError when it is not the answer of a monitor."""
        since = None if answer["since"] is None else dt.datetime.fromisoformat(answer["since"])
        names = ("saga", "key", "state", "terminal", "success", "needs_person", "reason")
        return cls(**{name: answer[name] for name in names}, since=since)


async def outcome(
    url: str,
    saga: str,
    key: str,
    *,
    timeout: float = 30.0,
    token: str = "",
    client: httpx.AsyncClient | None = None,
) -> Outcome:
    """Wait until the instance `key` of `saga` has ended or needs a person, for at most `timeout` seconds.

    When the time is over first, the outcome is the last known state, with `terminal` false. `url` is the monitor's
    web page, `token` its SAGA_MONITOR_TOKEN. `client` is used instead of a new one.
    Raises OutcomeUnknown when the time is over and the monitor has never heard of the key, or has not answered;
    MonitorRefused when it refuses the question, or the token cannot be sent.
    """
    clock = asyncio.get_running_loop().time
    end, monitor = clock() + timeout, _Monitor(url, saga, key, token)
    limit = max(timeout, FIRST_ANSWER_SECONDS)
    async with contextlib.nullcontext(client) if client else httpx.AsyncClient() as asking:
        while True:
            asked_at = clock()
            found = await monitor.ask(asking, end - asked_at, limit)
            if found and (found.terminal or found.needs_person):
                return found
            await asyncio.sleep(max(0.0, min(asked_at + PAUSE_SECONDS, end) - clock()))
            limit = end - clock()
            if limit <= 0:
                return monitor.last_known()


class _Monitor:
    """The monitor, asked about one key; remembers its last answer."""

    def __init__(self, url: str, saga: str, key: str, token: str) -> None:
        # As a parameter: in a path, a proxy may change a key such as `a//b` or `..`.
        self._address = f"{url.rstrip('/')}/api/sagas/{quote(saga, safe='')}?key={quote(key, safe='')}"
        # Of the URL, what an error may show.
        self._place = _LOGIN.sub(r"\g<scheme>", url.rstrip("/"))
        if _CONTROL.search(token):
            # The client's own error would show the token.
            raise MonitorRefused("the token holds a control character; a file's last line ends with one")
        # As bytes: a token may hold any other characters.
        self._headers = {b"accept": b"application/json", b"accept-encoding": b"gzip"}
        if token:
            self._headers[b"authorization"] = f"Bearer {token}".encode(errors="surrogateescape")
        self._about = f"{saga} {key}"
        self._known: Outcome | None = None
        self._why = ""

    async def ask(self, client: httpx.AsyncClient, left: float, limit: float) -> Outcome | None:
        """The state after a wait within `left` seconds, or None. Raises MonitorRefused."""
        wait = min(max(0.0, left - ANSWER_SECONDS), LONGEST_WAIT_SECONDS)
        address = f"{self._address}&wait={wait:.3f}"
        try:
            async with (
                asyncio.timeout(limit),
                client.stream("GET", address, headers=self._headers, timeout=None) as answer,
            ):
                return self._read(answer.status_code, await read_answer(answer))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise MonitorRefused(f"the monitor's URL {self._place}: {error}") from None
        except TimeoutError:
            self._why = f"the monitor at {self._place} has not answered"
        except (httpx.HTTPError, AnswerUnreadable) as error:
            self._why = f"the monitor at {self._place}: {error or type(error).__name__}"
        return None

    def _read(self, status: int, body: bytes) -> Outcome | None:
        if status == httpx.codes.OK:
            with contextlib.suppress(KeyError, TypeError, ValueError, RecursionError):
                self._known = Outcome.of(json.loads(body))
                return self._known
            self._why = f"{self._place} answers otherwise than a monitor"
            return None
        line = f"the monitor at {self._place}: {_line(status, body)}"
        if httpx.codes.is_client_error(status) and status not in _LATER:
            raise MonitorRefused(line)
        self._why = line
        return None

    def last_known(self) -> Outcome:
        """Raises OutcomeUnknown when the monitor has told nothing."""
        if self._known is None:
            raise OutcomeUnknown(f"{self._about}: {self._why}")
        return self._known


def _line(status: int, body: bytes) -> str:
    """What an error answer says, in one line."""
    text = body.decode(errors="replace")
    with contextlib.suppress(KeyError, TypeError, ValueError, RecursionError):
        text = json.loads(body)["error"]
    return " ".join(f"{status} {text}".split())[:300]
