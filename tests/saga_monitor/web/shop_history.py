"""Orders of every kind, dated some seconds ago."""

from __future__ import annotations

import datetime as dt
import json

from choregraphie.saga.topology import ATTEMPT_HEADER, DETAIL_HEADER, REASON_HEADER, dlx, retry
from tests.saga_monitor.memory_stream import (
    CONFIRMED,
    CREATED,
    HELD,
    PAID,
    PLACED,
    SCENARIOS,
    UNPAID,
    Line,
    Stream,
    event_bytes,
    undone,
)

HOSTILE = {
    "script": "<script>alert(1)</script>",
    "image": '"><img src=x onerror=alert(1)>',
    "template": "{{7*7}}${7*7}",
    "right to left": "CMD-\u200f1000-DMC\u200e",
    "long": "L" * 100,
    "emoji": "🧾-№-été-👩‍👩‍👧",
    "path": "../../etc/passwd?x=1#y&z",
    "dots": "..",
    "quotes": "'`\"&amp;<b>",
    "style": "</style><style>*{display:none}",
}


def seconds(count: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) - dt.timedelta(seconds=count)


def every_kind(stream: Stream, *, many: int = 0) -> None:
    """One order of each scenario and of each problem, and `many` more that succeeded."""
    for number in range(many):
        stream.publish(f"CMD-1{number:04d}", CONFIRMED, seconds(1800 - number))
    for number, (_, lines) in enumerate(SCENARIOS.items()):
        last = max(line.ms for line in lines) / 1000
        stream.publish(f"CMD-{number:04d}", lines, seconds(20 - number + last))
    stream.publish("CMD-NEW", PLACED, seconds(2))
    stream.publish("CMD-RUNNING", HELD, seconds(3))
    stream.publish("CMD-FAILED", UNPAID, seconds(3))
    stream.publish("CMD-UNDOING", [*UNPAID, *undone("paiement.echoue")[:2]], seconds(3))
    stream.publish("CMD-SILENT", PAID, seconds(400))
    stream.publish(
        "CMD-TWICE", [*CREATED, Line("commande.creee", "paiement.effectue", 700, id="again")], seconds(9)
    )
    retried(stream)


def retried(stream: Stream) -> None:
    """An order whose payment was tried three times and then set aside."""
    at = seconds(90)
    stream.publish("CMD-LOST", HELD, at)
    body = event_bytes("CMD-LOST", HELD[1], at)
    for attempt in (1, 2):
        headers = {ATTEMPT_HEADER: attempt, DETAIL_HEADER: "the gateway did not answer within 5 s"}
        stream.add(body, retry("paiement"), headers, at + dt.timedelta(seconds=attempt * 5))
    headers = {REASON_HEADER: "exhausted", DETAIL_HEADER: "the gateway did not answer within 5 s"}
    stream.add(body, dlx("paiement"), headers, at + dt.timedelta(seconds=20))


def hostile(stream: Stream) -> None:
    """Orders with hostile ids and reasons: markup, scripts, control characters."""
    for id_ in HOSTILE.values():
        lines = [*PLACED, Line("stock.reservation_echouee", "commande.initiee", 100, {"raison": id_})]
        stream.publish(id_, [*lines, *undone("stock.reservation_echouee")], seconds(5))


def without_an_order(stream: Stream) -> None:
    """Messages that began no order: dead letters, unknown types, foreign exchanges; most with hostile keys."""
    for id_ in (*HOSTILE.values(), "%2e%2e", ".", "a?b#c%20d", "CMD-\u202e1", "é" * 100, "-5", "L" * 101):
        body = {"specversion": "1.0", "id": f"e-{id_}"[:100], "type": "commande.initiee", "source": "/clients/web"}
        about = {**body, "data": {"commande_id": f"bad {id_}"[:100], "montant": -5}}
        invalid = {REASON_HEADER: "invalid", DETAIL_HEADER: f"data.montant: greater_than {id_}"}
        stream.add(json.dumps(about).encode(), dlx("stock"), invalid, seconds(30))
        unknown = {**about, "type": f"{id_}"[:100], "data": {"commande_id": f"unknown {id_}"[:100]}}
        stream.add(json.dumps(unknown).encode(), "client.events", {}, seconds(20))
        forged = event_bytes(f"forged {id_}"[:100], PLACED[0], seconds(10)) if id_.isprintable() else b"{}"
        stream.add(forged, "stock.events", {}, seconds(10))
    for bytes_ in (b"", b"\x00\xff\xfe<script>", b"not JSON", b"x" * 300_000, "é".encode() * 3000):
        headers: dict[str, object] = {
            REASON_HEADER: "unreadable",
            "x-<b>": "<script>alert(1)</script>",
            "x-bytes": b"\xff",
        }
        stream.add(bytes_, dlx("paiement"), headers, seconds(15))
    stream.add(event_bytes("CMD-SEEN-IN-A-RETRY", PLACED[0]), retry("stock"), {ATTEMPT_HEADER: 1}, seconds(10))
