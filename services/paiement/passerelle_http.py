"""A card gateway over HTTP: two requests, both idempotent by key.

    PUT    /debits/KEY   {"client_id", "montant"}   200 {"acceptee": true}, or {"acceptee": false, "raison"}
    DELETE /debits/KEY                              204; a key never charged is refused from then on

Any other answer, and none in time, leaves the outcome unknown: the runtime asks again with the same key.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Annotated
from urllib.parse import quote

import httpx
from pydantic import BaseModel, BeforeValidator, ConfigDict

from choregraphie import read_answer
from services.paiement.passerelle import Reponse

REFUSED = "carte refusée"
LONGEST_REASON = 300


def _sayable(raison: object) -> str:
    """A reason as an event may carry it: one line of printable text, bounded, never empty."""
    # The refusal is what counts. Were its wording to make the answer unreadable, a card plainly refused would be
    # asked for again until the order needs a person.
    text = raison if isinstance(raison, str) else ""
    printable = "".join(c for c in text if c.isprintable() or c.isspace())
    return " ".join(printable.split())[:LONGEST_REASON].rstrip() or REFUSED


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, hide_input_in_errors=True)

    acceptee: bool
    raison: Annotated[str, BeforeValidator(_sayable)] = REFUSED


class PasserelleHttp:
    """Asks the gateway through `client`, whose base URL and timeout are set by whoever opened it.

    When the gateway does not let us in, `newer` is asked for another URL, which is used from then on. An empty one
    changes nothing.
    """

    def __init__(self, client: httpx.AsyncClient, newer: Callable[[], str] = str) -> None:
        self._client = client
        self._newer = newer

    async def debiter(self, cle: str, client_id: str, montant: Decimal) -> Reponse:
        """Charge once per key.

        Raises httpx.HTTPError, AnswerUnreadable or pydantic.ValidationError when the outcome is unknown.
        """
        wanted = {"client_id": client_id, "montant": str(montant)}
        async with self._client.stream("PUT", _path(cle), json=wanted) as answer:
            self._check(answer)
            read = _Answer.model_validate_json(await read_answer(answer))
        return Reponse(read.acceptee, "" if read.acceptee else read.raison)

    async def annuler(self, cle: str) -> None:
        """Take back the charge of that key. Raises as `debiter` when it is not known to be."""
        async with self._client.stream("DELETE", _path(cle)) as answer:
            self._check(answer)
            await read_answer(answer)  # it says nothing, but read to its end the connection can be used again

    def _check(self, answer: httpx.Response) -> None:
        if answer.status_code in {401, 403} and (url := self._newer()):
            self._client.base_url = httpx.URL(url)
        answer.raise_for_status()


def _path(cle: str) -> str:
    return f"/debits/{quote(cle, safe='')}"
