"""The commands about dead letters, given odd letters, odd records, a mistyped reason and an interruption."""

from __future__ import annotations

import base64
import json
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.dead_letters import audit, await_count, dlq, letters, reserved, set_aside
from tests.support.operator_commands import command
from tests.support.workers import ROOT, environment, until

if TYPE_CHECKING:
    from tests.support.saga_fixture import SagaFixture


def test_a_letter_from_an_end_of_the_calendar_is_listed_and_shown(idle_saga: SagaFixture) -> None:
    for number, time in enumerate(("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")):
        set_aside(idle_saga.foreign_client, reserved(f"CMD-{number}"), headers={"x-saga-set-aside": time})
    assert "2 dead letters" in dlq(idle_saga, "list")
    assert len(letters(idle_saga, "--since", "1h")) == 0
    for letter in letters(idle_saga):
        assert letter["commande_id"] in dlq(idle_saga, "show", letter["id"])


def test_a_long_text_is_shown_as_text_and_says_how_much_is_left_out(idle_saga: SagaFixture) -> None:
    body = '{"é":"'.encode() + "é".encode() * 5000 + b'"}'
    set_aside(idle_saga.foreign_client, body)
    (letter,) = letters(idle_saga)
    shown = dlq(idle_saga, "show", letter["id"])
    assert '{"é":"éé' in shown
    assert shown.splitlines()[-1] == f"… and {len(body) - 4095:,} bytes more; --raw writes all of them"
    as_json = json.loads(dlq(idle_saga, "show", letter["id"], "--json"))
    assert base64.b64decode(as_json["body_base64"]) == body


def test_an_odd_record_does_not_stop_the_audit(idle_saga: SagaFixture) -> None:
    odd = {"act": "discarded", "letter": ["x"], "at": "0001-01-01T00:00:00+14:00", "body_base64": "é"}
    assert idle_saga.foreign_client.publish("saga.operators", "discarded", json.dumps(odd).encode())
    set_aside(idle_saga.foreign_client, reserved("CMD-1"))
    (letter,) = letters(idle_saga)
    dlq(idle_saga, "discard", letter["id"], "--because", "a test of ours")
    until(lambda: len(audit(idle_saga)) == 2, "both records are in the audit")
    assert dlq(idle_saga, "audit").count("discarded") == 2
    assert dlq(idle_saga, "audit", "--letter", letter["id"], "--original").encode() == reserved("CMD-1")


def test_a_reason_that_no_letter_has_is_said(idle_saga: SagaFixture) -> None:
    set_aside(idle_saga.foreign_client, reserved("CMD-1"))
    mistyped = command("dlq", "list", "--reason", "exausted", **idle_saga.settings)
    assert (mistyped.returncode, mistyped.stdout.strip()) == (0, "0 dead letters")
    assert mistyped.stderr == "services: no dead letter has the reason 'exausted'; there are: exhausted\n"
    replayed = command("dlq", "replay", "--reason", "exausted", **idle_saga.settings)
    assert replayed.returncode == 1
    assert replayed.stderr == "services: no dead letter matches; `dlq list` names all\n"


def test_an_interrupted_replay_says_how_many_were_sent_back(idle_saga: SagaFixture) -> None:
    saga = idle_saga
    for number in range(3):
        set_aside(saga.foreign_client, reserved(f"CMD-{number}"))
    arguments = [sys.executable, "-m", "services", "dlq", "replay", "--all", "--rate", "0.1"]
    replaying = subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment(**saga.settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        await_count(saga, "paiement.inbox", 1)
        replaying.send_signal(signal.SIGINT)
        _, errors = replaying.communicate(timeout=90)
    finally:
        replaying.kill()
        replaying.wait()
    assert replaying.returncode == 130
    # The letter in the inbox may be the one that was under way.
    assert re.fullmatch(
        "[01] were sent back before the interruption; what was under way may have been sent too\n", errors
    )
