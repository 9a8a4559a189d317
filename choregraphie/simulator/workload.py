"""What the clients of any saga do: they begin instances, cancel, repeat themselves, say invalid things."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from choregraphie.messaging import Outgoing, Properties
from choregraphie.saga.choreography import Choreography
from choregraphie.saga.envelope import Event, wrap
from choregraphie.saga.topology import events
from choregraphie.simulator.clock import EPOCH
from choregraphie.simulator.plan import OTHER_SOURCE, ClientAction, Plan
from choregraphie.simulator.randomness import Randomness

ACTION_SECONDS = 1.0  # all actions begin within this time
LATEST_ACTION_SECONDS = 3600.0  # of a replay file; a run goes through all the time before its last action
_MOMENTS = 3

# The probability of each further action about an instance.
_SHARES = {
    "cancel": 0.3,
    "again": 0.15,
    "second": 0.05,
    "rival": 0.05,
    "collide": 0.04,
    "namesake": 0.05,
    "garbage": 0.08,
}
# Whoever takes such an action expects an instance of that key.
BEGINNING = frozenset({"start", "second", "rival", "namesake"})
INVALID_KINDS = (
    "not json",
    "no data",
    "unknown type",
    "unknown version",
    "other subject",
    "forged",
    "another's event",
)


@dataclass(frozen=True)
class Workload:
    """What the clients of a saga do.

    begin   randomness and key → the data, as JSON, of the event that begins an instance, beside its key
    rival   what of the data another event with the same key changes
    cancel  the data of a demand to cancel, beside the key
    prefix  of the keys
    """

    choreography: Choreography
    begin: Callable[[Randomness, str], Mapping[str, Any]]
    rival: Mapping[str, Any]
    cancel: Mapping[str, Any]
    prefix: str

    def plan(self, seed: int, instances: int) -> Plan:
        """What the clients do with the seed `seed` and that many instances."""
        randomness = Randomness(seed)
        actions = (action for number in range(instances) for action in self._actions(randomness, number + 1))
        return Plan(seed, tuple(actions))

    def _actions(self, randomness: Randomness, number: int) -> Iterator[ClientAction]:
        key = f"{self.prefix}-{number:02}"
        data = self.begin(randomness, key)
        first = ClientAction(_moment(randomness, "order", key), "start", key, f"{key}-initiee", data)
        yield first
        for kind, share in _SHARES.items():
            if randomness.fraction(kind, key) < share:
                yield self._more(randomness, kind, first)

    def _more(self, randomness: Randomness, kind: str, first: ClientAction) -> ClientAction:
        at, key = _moment(randomness, kind, first.key), first.key
        if kind == "cancel":
            return ClientAction(at, kind, key, f"{key}-annulation")
        if kind == "garbage":
            what, name = randomness.choice(INVALID_KINDS, "garbage of", key), f"{key}-faux"
            return replace(first, at=at, kind=kind, key=name, event=name, what=what)
        changes: dict[str, dict[str, Any]] = {
            "again": {},
            "second": {"event": f"{key}-deuxieme"},
            "rival": {"event": f"{key}-rivale", "data": {**first.data, **self.rival}},
            "collide": {"key": f"{key}-autre"},
            "namesake": {"key": f"{key}-homonyme", "source": OTHER_SOURCE},
        }
        return replace(first, at=at, kind=kind, **changes[kind])

    def read_action(self, number: int, content: dict[str, Any]) -> ClientAction:
        """The action that a replay file holds as its number `number`. Raises TypeError or ValueError."""
        action = ClientAction(**content)
        texts = (action.kind, action.key, action.event, action.what, action.source)
        at_a_time = isinstance(action.at, int | float) and 0 <= action.at <= LATEST_ACTION_SECONDS
        if not at_a_time or not all(isinstance(text, str) for text in texts):
            raise ValueError(f"action {number}: {content!r}")
        if action.kind not in {"start", *_SHARES}:
            raise ValueError(f"action {number}: no such kind: {action.kind!r}")
        if action.what not in {"", *INVALID_KINDS}:
            raise ValueError(f"action {number}: no such kind of invalid message: {action.what!r}")
        try:
            self.message_of(action)
        except (ArithmeticError, TypeError, ValueError):
            raise ValueError(f"action {number}: no valid event: {action.data!r}") from None
        return action

    def event_of(self, action: ClientAction) -> Event:
        """The event that `action` says; of an invalid message, the one that it was made of."""
        saga, cancels = self.choreography, action.kind == "cancel"
        cls, data = (saga.cancel_asked, self.cancel) if cancels else (saga.starts, action.data)
        # From JSON, where an amount is a number.
        return cls.model_validate_json(json.dumps({saga.key: action.key, **data}))

    def message_of(self, action: ClientAction) -> Outgoing:
        """The message that `action` publishes."""
        said = self.event_of(action)
        body = wrap(said, id=action.event, source=action.source, time=EPOCH).to_bytes()
        properties = Properties(
            message_id=action.event, type=said.TYPE, correlation_id=action.key, app_id=said.SAID_BY
        )
        return Outgoing(events(said.SAID_BY), said.TYPE, self._corrupted(action.what, body), properties)

    def _corrupted(self, what: str, body: bytes) -> bytes:
        """The body of an invalid message of the kind `what`; an empty kind leaves `body` as it is."""
        if what == "not json":
            return body[:-10]
        saga, other = self.choreography, self.choreography.created
        changes: dict[str, dict[str, Any]] = {
            "": {},
            "no data": {"data": {}},
            "unknown type": {"type": f"{saga.name}.rêvée"},
            "unknown version": {"dataschema": f"urn:choregraphie:{saga.starts.TYPE}:99"},
            "other subject": {"subject": f"{self.prefix}-AUTRE"},
            "forged": {"source": f"/services/{saga.services[0]}"},
            "another's event": {"type": other.TYPE, "dataschema": None},
        }
        return json.dumps(json.loads(body) | changes[what]).encode() if what else body


def _moment(randomness: Randomness, *name: object) -> float:
    return int(randomness.fraction("moment", *name) * _MOMENTS) * ACTION_SECONDS / _MOMENTS
