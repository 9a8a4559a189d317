"""The bytes of a dead letter are changed in an editor: what is refused, and what is kept."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from choregraphie.saga.envelope import MAX_BODY_BYTES
from tests.support.dead_letters import await_count, dlq, letters, reserved, set_aside
from tests.support.saga_fixture import SagaFixture

WORDS = reserved("CMD-1").replace(b'"montant": 10', b'"montant": "ten"')


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The program that $VISUAL names; a test writes what it does with the path `p`."""
    program = tmp_path / "editor.py"
    monkeypatch.setenv("VISUAL", f"{sys.executable} {program}")
    program.write_text(ON_PATH)
    return program


ON_PATH = "import pathlib, sys\np = pathlib.Path(sys.argv[1])\n"


def test_an_edited_letter_takes_the_place_of_its_original_which_the_audit_keeps(
    idle_saga: SagaFixture, editor: Path
) -> None:
    saga = idle_saga
    set_aside(saga.foreign_client, WORDS)
    (letter,) = letters(saga)
    editor.write_text(ON_PATH + "p.write_bytes(p.read_bytes().replace(b'\"ten\"', b'10') + b'\\n')")
    new_id = dlq(saga, "edit", letter["id"], "--because", "the amount was a word").split()[0]
    (edited,) = letters(saga)
    assert (edited["id"], edited["original"]) == (new_id, letter["id"])
    assert edited["edited"].endswith(": the amount was a word")
    assert dlq(saga, "audit", "--letter", letter["id"], "--original").encode() == WORDS
    assert "1 sent back" in dlq(saga, "replay", new_id)
    back = saga.foreign_client.get("paiement.inbox", within_seconds=90)
    assert back is not None
    assert back.body == reserved("CMD-1")


def test_an_edit_that_the_service_would_not_accept_changes_nothing(idle_saga: SagaFixture, editor: Path) -> None:
    saga = idle_saga
    set_aside(saga.foreign_client, WORDS)
    (letter,) = letters(saga)
    assert "nothing was changed" in dlq(saga, "edit", letter["id"], "--because", "no", code=2)
    editor.write_text(ON_PATH + "p.write_bytes(b'{}')")
    error = dlq(saga, "edit", letter["id"], "--because", "empty", code=2)
    assert "would not accept it (invalid: " in error
    assert kept_text(error) == b"{}"
    assert letters(saga) == [letter]
    await_count(saga, "paiement.dlq", 1)


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1])
def test_a_text_that_is_too_long_is_kept(idle_saga: SagaFixture, editor: Path, size: int) -> None:
    set_aside(idle_saga.foreign_client, WORDS)
    (letter,) = letters(idle_saga)
    editor.write_text(ON_PATH + f"p.write_bytes(b'x' * {size})")
    error = dlq(idle_saga, "edit", letter["id"], "--because", "no", code=2)
    assert f"{size} bytes are too many" in error
    assert len(kept_text(error)) == size


def test_a_text_whose_letter_went_away_meanwhile_is_kept(idle_saga: SagaFixture, editor: Path) -> None:
    set_aside(idle_saga.foreign_client, WORDS)
    (letter,) = letters(idle_saga)
    queue = "paiement.dlq"
    editor.write_text(
        ON_PATH + f"p.write_bytes({reserved('CMD-1')!r})" + PURGE.format(url=idle_saga.url, queue=queue)
    )
    error = dlq(idle_saga, "edit", letter["id"], "--because", "the amount was a word", code=2)
    assert f"no dead letter {letter['id']}" in error
    assert kept_text(error) == reserved("CMD-1")


PURGE = """
import pika
with pika.BlockingConnection(pika.URLParameters({url!r})) as connection:
    connection.channel().queue_purge({queue!r})
"""


def kept_text(error: str) -> bytes:
    """The text that the error says is kept; it is removed."""
    (kept,) = (Path(found) for found in re.findall(r"is in (\S+\.json)", error))
    text = kept.read_bytes()
    kept.unlink()
    return text
