"""One example of every event: read, and written back the same."""

import json

import pytest

from choregraphie.saga.envelope import MAX_BODY_BYTES
from contracts.registry import EVENTS, open_envelope
from tests.contracts.examples import FOLDER, example
from tests.contracts.record import recorded, schema


def test_every_event_has_an_example_and_every_example_an_event() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(EVENTS)


@pytest.mark.parametrize("type_", EVENTS)
def test_an_example_is_read_and_written_back_the_same(type_: str) -> None:
    envelope = open_envelope((FOLDER / f"{type_}.json").read_bytes())
    assert type(envelope.data) is EVENTS[type_]
    assert json.loads(envelope.to_bytes()) == example(type_)


@pytest.mark.parametrize("type_", EVENTS)
def test_an_example_names_its_sender_and_its_version(type_: str) -> None:
    message, event = example(type_), EVENTS[type_]
    assert open_envelope(json.dumps(message).encode()).sender == event.SAID_BY
    assert message["dataschema"] == f"urn:choregraphie:{type_}:{event.VERSION}"
    assert message["subject"] == message["correlationid"] == message["data"]["commande_id"]


def test_the_examples_tell_one_story_in_which_causes_come_first() -> None:
    messages = {message["id"]: message for message in map(example, EVENTS)}
    assert len(messages) == len(EVENTS)
    for message in messages.values():
        cause = messages.get(message.get("causationid", ""))
        assert cause is None or (cause["time"] < message["time"] and cause["subject"] == message["subject"])


@pytest.mark.parametrize("type_", EVENTS)
def test_the_schemas_of_written_messages_are_recorded(type_: str) -> None:
    """A difference changes the contract: run `python -m tests.contracts.record` when that is deliberate."""
    assert schema(type_) == json.loads(recorded(type_).read_bytes())


@pytest.mark.parametrize("type_", EVENTS)
def test_the_longest_message_that_can_be_written_is_far_below_the_limit(type_: str) -> None:
    longest = {"commande_id": "é" * 100, "raison": "é" * 500, "destinataire": "é" * 100}
    message = example(type_)
    data = message["data"] | {name: text for name, text in longest.items() if name in message["data"]}
    body = json.dumps(message | {"data": data, "subject": data["commande_id"], "correlationid": None}).encode()
    assert len(open_envelope(body).to_bytes()) < MAX_BODY_BYTES / 10
