"""Structured logs: JSON off a terminal, without secrets or bodies."""

import asyncio
import io
import json
import logging
from typing import Any, Literal

import pytest
import structlog

from choregraphie import Row, Settings, Transaction
from choregraphie.logs import configure_logs
from choregraphie.storage.invocation import Invocation
from choregraphie.testing import ServiceHarness
from services.notification import SERVICE as NOTIFICATION
from tests.support.event_builders import creee, initiee
from tests.support.fake_session import until
from tests.support.running_pipeline import envelope, running_pipeline


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def logged(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_off_a_terminal_a_line_is_a_json_object() -> None:
    out = io.StringIO()
    configure_logs(Settings(), out)
    structlog.contextvars.bind_contextvars(service="stock")
    structlog.get_logger().info("worker.ready", hears=["commande.initiee"])
    (line,) = logged(out)
    expected = {"event": "worker.ready", "service": "stock", "level": "info", "hears": ["commande.initiee"]}
    assert line.items() >= expected.items()
    assert line["timestamp"].endswith("Z")


def test_on_a_terminal_a_line_is_readable() -> None:
    out = Terminal()
    configure_logs(Settings(), out)
    structlog.get_logger().info("worker.ready")
    assert "worker.ready" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_the_format_can_be_chosen() -> None:
    out = Terminal()
    configure_logs(Settings(log_format="json"), out)
    structlog.get_logger().info("worker.ready")
    assert logged(out)


def test_the_level_can_be_chosen() -> None:
    out = io.StringIO()
    configure_logs(Settings(log_level="warning"), out)
    structlog.get_logger().info("not.shown")
    structlog.get_logger().warning("shown")
    assert [line["event"] for line in logged(out)] == ["shown"]


def test_other_libraries_log_json_too_and_the_broker_client_logs_nothing() -> None:
    """At DEBUG it would log whole bodies."""
    out = io.StringIO()
    configure_logs(Settings(log_level="debug"), out)
    logging.getLogger("sqlalchemy").warning("something")
    logging.getLogger("aio_pika").error("a body")
    logging.getLogger("aiormq.connection").error("a body")
    assert [line["event"] for line in logged(out)] == ["something"]


def test_a_delivery_is_logged_by_its_ids_and_not_by_its_content(harness: ServiceHarness) -> None:
    out = io.StringIO()
    configure_logs(Settings(log_level="debug"), out)
    order = harness.enveloped(initiee("C-1", client_id="secret-client", produit_id="A"), id="e-1")
    harness.hear(order)
    harness.hear(order)
    done, repeated = logged(out)
    ids = {"saga": "commande", "key": "C-1", "event_id": "e-1", "event_type": "commande.initiee", "attempt": 1}
    assert done.items() >= {"event": "reaction.done", "says": ["stock.reserve"], **ids}.items()
    assert repeated.items() >= {"event": "delivery.repeated", **ids}.items()
    assert "secret-client" not in out.getvalue()


def test_at_the_usual_level_nothing_of_a_delivery_is_logged_or_prepared(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    configure_logs(Settings(), out)
    prepared: list[Invocation] = []
    monkeypatch.setattr(Invocation, "bound", prepared.append)
    order = harness.enveloped(initiee("C-1", produit_id="A"))
    harness.hear(order, order)
    assert harness.said == ["stock.reserve"]
    assert (out.getvalue(), prepared) == ("", [])


def test_a_broken_log_stream_affects_no_delivery(harness: ServiceHarness) -> None:
    out = io.StringIO()
    configure_logs(Settings(), out)
    out.close()
    assert [type(event).TYPE for event in harness.hear(initiee(produit_id="A", quantite=1))] == ["stock.reserve"]
    logging.getLogger("anybody").warning("and this one is lost too")


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_failing_reaction_is_logged_with_its_place_and_without_the_content(
    harness: ServiceHarness, log_format: Literal["json", "console"]
) -> None:
    out = io.StringIO()
    configure_logs(Settings(log_format=log_format), out)
    # The row does not exist; the text of the assertion holds nothing of the order.
    harness.hear(initiee("C-1", client_id="secret-client", produit_id="NO-SHELF"), tolerate=True)
    text = out.getvalue()
    assert "reaction.failed" in text
    assert "sample_service.py" in text
    assert "assert found is not None" in text
    assert "secret-client" not in text


def test_every_line_logged_while_a_delivery_is_handled_names_it(
    harness: ServiceHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.StringIO()
    configure_logs(Settings(log_format="json"), out)
    add = Transaction.add

    def logging_reaction(tx: Transaction, row: Row) -> None:
        logging.getLogger("library").warning("hm")
        structlog.get_logger().info("own", attempt="of its own")
        add(tx, row)

    monkeypatch.setattr(Transaction, "add", logging_reaction)
    orders = [harness.enveloped(initiee(f"C-{n}", produit_id="A"), id=f"e-{n}") for n in (1, 2)]
    harness.hear(*orders)
    logging.getLogger("library").warning("afterwards")
    *lines, afterwards = logged(out)
    for n in (1, 2):
        ids = {"saga": "commande", "key": f"C-{n}", "event_id": f"e-{n}", "event_type": "commande.initiee"}
        library, own = lines[2 * n - 2 : 2 * n]
        assert library.items() >= {"event": "hm", "attempt": 1, **ids}.items()
        assert own.items() >= {"event": "own", "attempt": "of its own", **ids}.items()
    assert "key" not in afterwards


async def test_every_line_logged_during_an_external_call_names_its_delivery(settings: Settings) -> None:
    class LoggingCarrier:
        async def envoyer(self, *_: str) -> str:
            logging.getLogger("library").warning("hm")
            await asyncio.sleep(0)
            structlog.get_logger().info("own")
            return "somebody@clients.invalid"

    out = io.StringIO()
    configure_logs(Settings(log_format="json"), out)
    async with running_pipeline(settings, NOTIFICATION, LoggingCarrier()) as run:
        tags = [run.session.deliver(envelope(creee(f"C-{n}"), id=f"e-{n}")) for n in (1, 2)]
        await until(lambda: sorted(run.session.acked) == tags)
        await run.stop()
    lines = [line for line in logged(out) if line["event"] in {"hm", "own"}]
    named = sorted((line["event"], line["key"], line["event_id"], line["event_type"]) for line in lines)
    assert named == [(event, f"C-{n}", f"e-{n}", "commande.creee") for event in ("hm", "own") for n in (1, 2)]


def test_on_a_terminal_no_field_holds_a_control_character() -> None:
    """A sender chooses the id of its message, and to a terminal an escape is a command."""
    out = Terminal()
    configure_logs(Settings(log_format="console"), out)
    structlog.get_logger().warning("message.dead_lettered", message_id="\x1b]0;owned\x07", routing_key="a\x9bb")
    assert r"\x1b]0;owned\x07" in out.getvalue()
    assert r"a\x9bb" in out.getvalue()
    assert "\x07" not in out.getvalue()
    assert "\x9b" not in out.getvalue()
