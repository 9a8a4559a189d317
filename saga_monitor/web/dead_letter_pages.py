"""The pages without an order: a dead letter, or a key of which only dead letters and retries are known."""

import datetime as dt

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.projection.dead_letters import Mentions, letter_at
from saga_monitor.text import dead_letters
from saga_monitor.web.context import WebContext
from saga_monitor.web.filters import known
from saga_monitor.web.reader import Reader

# The largest integer of SQLite.
_LAST_OFFSET = 2**63 - 1


class DeadLetterPages:
    """One method per route, each on a thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def page(self, request: Request) -> Response:
        known(request.query_params, ())
        now = dt.datetime.now(dt.UTC)
        with self._context.readers.reader() as reader:
            letter = requested_dead_letter(request, reader)
            order = reader.order(letter.commande_id, now) if letter.commande_id else None
            return self._context.page(
                request,
                "letter.html",
                reader,
                now=now,
                letter=letter,
                why=dead_letters.why(letter),
                advice=dead_letters.advice(letter, order),
                commands=list(dead_letters.commands(letter, order)),
                headers=dead_letters.headers(letter),
                body=dead_letters.body(letter),
            )

    def api(self, request: Request) -> Response:
        known(request.query_params, ())
        now = dt.datetime.now(dt.UTC)
        with self._context.readers.reader() as reader:
            letter = requested_dead_letter(request, reader)
            order = reader.order(letter.commande_id, now) if letter.commande_id else None
        return JSONResponse(
            dead_letters.as_json(letter)
            | {"why": dead_letters.why(letter), "do": dead_letters.advice(letter, order)}
        )


def key_page(context: WebContext, request: Request, reader: Reader, key: str, found: Mentions) -> Response:
    """The page of a key without an order."""
    return context.page(request, "key.html", reader, key=key, found=found)


def requested_dead_letter(request: Request, reader: Reader) -> DeadLetter:
    """The dead letter at the offset in the path. Raises HTTPException when there is none."""
    offset = request.path_params["offset"]
    letter = letter_at(reader, offset) if offset <= _LAST_OFFSET else None
    if letter is None:
        raise HTTPException(404, f"No dead letter is known at offset {offset}: it was pruned or never existed.")
    return letter
