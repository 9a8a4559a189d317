"""Messages on their way in the exhaustive search, by number, so that its states are small."""

from dataclasses import dataclass

from choregraphie.messaging import Delivery, Outgoing, Properties, Scalar
from choregraphie.simulator.broker_model import Broker


@dataclass(frozen=True, slots=True)
class Letter:
    """A message on its way to one service, or in its dead letters.

    `by`: who published it first; `name`: its id; `died`: the broker set it aside, and nobody said why.
    """

    service: str
    body: bytes
    exchange: str
    routing_key: str
    by: str
    headers: tuple[tuple[str, Scalar], ...] = ()
    name: str = ""
    died: bool = False

    def delivery(self) -> Delivery:
        properties = Properties(message_id=self.name, app_id=self.by)
        return Delivery(0, self.body, self.exchange, self.routing_key, dict(self.headers), properties)


class Numbers:
    """Letters by number, so that states are small."""

    def __init__(self) -> None:
        self._letters: list[Letter] = []
        self._numbers: dict[Letter, int] = {}

    def of(self, number: int) -> Letter:
        return self._letters[number]

    def number(self, letter: Letter) -> int:
        if letter not in self._numbers:
            self._numbers[letter] = len(self._letters)
            self._letters.append(letter)
        return self._numbers[letter]

    def routed(self, message: Outgoing, routes: Broker) -> list[int]:
        """A copy for each inbox that is bound for it."""
        reached = routes.route(message.exchange, message.routing_key)
        shown, key = message.properties, message.routing_key
        by, id_ = shown.app_id or "", shown.message_id or ""
        names = (queue.partition(".")[0] for queue in reached if queue.endswith(".inbox"))
        return [self.number(Letter(name, message.body, message.exchange, key, by, (), id_)) for name in names]
