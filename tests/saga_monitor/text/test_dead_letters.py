"""A dead letter on a terminal, and an id of which only dead letters are known."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from choregraphie.saga.topology import DETAIL_HEADER, REASON_HEADER, dlx
from saga_monitor.diagnosis.anomalies import Anomaly, Kind
from saga_monitor.projection import dead_letters
from saga_monitor.text.anomaly_list import anomaly_view
from services.application import APP
from tests.saga_monitor.memory_stream import HELD, START, event_bytes
from tests.support.order_saga import order_with

if TYPE_CHECKING:
    from pathlib import Path

    from tests.saga_monitor.memory_stream import Stream

REFUSED = b'{"type": "commande.initiee", "id": "e-1", "data": {"commande_id": "-CMD \'1\'", "montant": -5}}'


def set_aside(stream: Stream, body: bytes = REFUSED, service: str = "stock") -> int:
    headers = {REASON_HEADER: "invalid", DETAIL_HEADER: "data.montant: greater_than"}
    stream.add(body, dlx(service), headers, START)
    return stream.next - 1


def test_a_letter_is_shown_whole(command: Any, stream: Stream) -> None:
    offset = set_aside(stream)
    code, out, err = command("letter", str(offset))
    assert (code, err) == (0, "")
    assert out.startswith("stock set commande.initiee aside: it is not valid")
    assert REFUSED.decode() in out
    assert f"{REASON_HEADER}: invalid" in out
    assert "no order began under this id" in out
    assert """python -m saga_monitor history --all --key='-CMD '"'"'1'"'"''""" in out
    shown = json.loads(command("letter", str(offset), "--json")[1])
    assert (shown["service"], shown["offset"], shown["size"]) == ("stock", offset, len(REFUSED))
    assert shown["headers"] == {REASON_HEADER: "invalid", DETAIL_HEADER: "data.montant: greater_than"}


def test_a_letter_about_an_order_names_it(command: Any, stream: Stream) -> None:
    stream.publish("CMD-1", HELD)
    stream.set_aside("paiement", event_bytes("CMD-1", HELD[1]), "exhausted")
    out = command("letter", "2")[1]
    assert "CMD-1 (RUNNING)" in out
    assert "python -m services journal CMD-1" in out
    assert "Mend the cause, then `python -m services dlq replay " in out
    (listed,) = json.loads(command("show", "CMD-1", "--json")[1])["dead_letters_set_aside"]
    assert listed["offset"] == 2


def test_an_id_without_an_order_shows_what_was_heard_of_it(command: Any, stream: Stream) -> None:
    offset = set_aside(stream)
    code, out, err = command("show", "--", "-CMD '1'")
    assert (code, err) == (1, "saga_monitor: no order -CMD '1' in the history\n")
    assert f"python -m saga_monitor letter {offset}" in out
    shown = json.loads(command("show", "--json", "--", "-CMD '1'")[1])
    assert (shown["state"], [one["offset"] for one in shown["dead_letters"]]) == (None, [offset])


@pytest.mark.parametrize("full", [True, False])
def test_the_list_of_what_is_wrong_says_how_to_see_each_letter(full: bool) -> None:
    found = [
        Anomaly(Kind.DEAD_LETTER, None, None, "stock", START, "unreadable", "set aside", letter=n) for n in (7, 8)
    ]
    found.append(Anomaly(Kind.STUCK, *order_with("CMD-1"), "stock", START, "unknown", "it waits"))
    console = Console(width=80)
    with console.capture() as capture:
        console.print(anomaly_view(found, APP.saga_set, full=full))
    shown = " ".join(capture.get().split())
    for offset in (7, 8):
        assert f"set aside (`python -m saga_monitor letter {offset}` shows it)" in shown
    assert shown.count("monitor letter ") == 2


def test_an_offset_without_a_letter_is_one_line(command: Any, stream: Stream) -> None:
    stream.publish("CMD-1", HELD)
    assert command("letter", "0") == (1, "", "saga_monitor: no dead letter at offset 0 of the history\n")


def test_only_the_newest_copies_are_kept(
    command: Any, stream: Stream, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dead_letters, "COPIES_KEPT", 3)
    for number in range(10):
        set_aside(stream, b"x" * 100_000 + bytes([number]))
    assert "its bytes are not kept here any more" in command("letter", "6")[1]
    assert "of which the first 4096 are shown" in command("letter", "7")[1]
    with sqlite3.connect(tmp_path / "deep" / "monitor.sqlite3") as file:
        kept = file.execute('SELECT "offset", length(body) FROM copies').fetchall()
    file.close()
    assert kept == [(7, 4096), (8, 4096), (9, 4096)]
