"""A dead letter, as a page and for a program."""

import datetime as dt

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.diagnosis.letter_faults import judged_letter, letter_faults
from saga_monitor.projection.dead_letters import letter_at
from saga_monitor.text import dead_letters
from saga_monitor.web.context import WebContext
from saga_monitor.web.filters import known, read_saga
from saga_monitor.web.reader import Reader

# The largest integer of SQLite.
_LAST_OFFSET = 2**63 - 1


class DeadLetterPages:
    """One method per route, each on a thread."""

    def __init__(self, context: WebContext) -> None:
        self._context = context

    def page(self, request: Request) -> Response:
        known(request.query_params, ())
        now, sagas, program = dt.datetime.now(dt.UTC), self._context.sagas, self._context.thresholds.command
        with self._context.readers.reader() as reader:
            letter = requested_dead_letter(request, reader)
            instance = dead_letters.instance_of(reader, letter, now)
            return self._context.page(
                request,
                "letter.html",
                reader,
                now=now,
                letter=letter,
                of=sagas.noun_of(letter.saga)[0],
                replay=None if letter.ended else judged_letter(reader, letter).prediction,
                why=dead_letters.why(letter),
                advice=dead_letters.advice(letter, instance, sagas, program),
                commands=list(dead_letters.commands(letter, instance, sagas, program)),
                headers=dead_letters.headers(letter),
                body=dead_letters.body(letter),
            )

    def api(self, request: Request) -> Response:
        known(request.query_params, ())
        now, sagas, program = dt.datetime.now(dt.UTC), self._context.sagas, self._context.thresholds.command
        with self._context.readers.reader() as reader:
            letter = requested_dead_letter(request, reader)
            instance = dead_letters.instance_of(reader, letter, now)
            judged = judged_letter(reader, letter)
        advice = dead_letters.advice(letter, instance, sagas, program)
        shown = dead_letters.judged_as_json(judged, sagas)
        return JSONResponse(shown | {"why": dead_letters.why(letter), "do": advice})

    def all(self, request: Request) -> Response:
        """The newest letters that nobody has dealt with, by fault; of one saga where the parameter names it."""
        known(request.query_params, ("saga",))
        sagas = self._context.sagas
        with self._context.readers.reader() as reader:
            found = letter_faults(reader, read_saga(request.query_params, sagas) or None)
        letters = [dead_letters.judged_as_json(one, sagas) for fault in found for one in fault.letters]
        return JSONResponse({"groups": [dead_letters.fault_as_json(fault) for fault in found], "letters": letters})


def requested_dead_letter(request: Request, reader: Reader) -> DeadLetter:
    """The dead letter at the offset in the path. Raises HTTPException when there is none."""
    offset = request.path_params["offset"]
    letter = letter_at(reader, offset) if offset <= _LAST_OFFSET else None
    if letter is None:
        raise HTTPException(404, f"No dead letter is known at offset {offset}: it was pruned or never existed.")
    return letter
