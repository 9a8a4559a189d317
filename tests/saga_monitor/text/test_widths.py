"""Tables at every width: ids of orders are whole and no value is split; on a pipe everything is in full."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from choregraphie.terminal.tables import UNBOUNDED, Column, Fitted, short_ids
from contracts.choreography import CHOREOGRAPHY
from saga_monitor.text.event_tables import every_event, timeline_table
from tests.saga_monitor.console.test_terminal import terminal
from tests.saga_monitor.memory_stream import SCENARIOS, Line, Stream, event_id, undone
from tests.saga_monitor.test_live import channel, environment, publish

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType

__all__ = ["channel", "environment"]

WIDTHS = (60, 80, 100, 200)
ORDER = "CMD-65B0CCC543E14A4E"
REFUSED = SCENARIOS["refused by payment"]


def lines_of(shown: RenderableType, width: int) -> list[str]:
    console = Console(width=width, highlight=False, emoji=False)
    with console.capture() as captured:
        console.print(shown)
    return [line.rstrip() for line in captured.get().splitlines()]


def of_an_order(command: Any) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = json.loads(command("show", ORDER, "--json")[1])["events"]
    return [event | {"id": str(uuid.uuid5(uuid.NAMESPACE_URL, event["id"]))} for event in events]


@pytest.mark.parametrize("width", WIDTHS)
def test_an_event_takes_one_line(command: Any, stream: Stream, width: int) -> None:
    stream.publish(ORDER, REFUSED)
    events = of_an_order(command)
    shown = lines_of(timeline_table(CHOREOGRAPHY, events, events[0]["time"]), width)
    assert max(map(len, shown)) <= width
    rows = [line for line in shown if line[:3].strip().isdigit()]
    assert [row.split()[1:4] for row in rows[:2]] == [
        ["+0", "ms", "commande.initiee"],
        ["+100", "ms", "stock.reserve"],
    ]
    assert len(rows) == len(events) == len(REFUSED)


def test_what_an_event_answers_is_a_number_of_the_table(command: Any, stream: Stream) -> None:
    stream.publish(ORDER, [*REFUSED, Line("stock.libere", "commande.creee", 900, id="late")])
    events = json.loads(command("show", ORDER, "--json")[1])["events"]
    rows = lines_of(timeline_table(CHOREOGRAPHY, events, events[0]["time"]), 100)
    assert "#1" in next(row for row in rows if "stock.reserve" in row)
    assert "#2" in next(row for row in rows if "paiement.echoue" in row)
    assert "not heard" in next(row for row in rows if "+900 ms" in row)


def test_a_pipe_and_wide_have_every_value_in_full(command: Any, stream: Stream) -> None:
    long = "L" * 100
    stream.publish(
        long, [Line("commande.initiee"), Line("commande.annulee", None, 5, {"raison": "why " * 120 + "end"})]
    )
    out = command("show", long)[1]
    reason = ("why " * 120 + "end").strip()
    row = next(line for line in out.splitlines() if reason in line)
    assert event_id(long, Line("commande.annulee")) in row
    assert "2024-11-22T18:47:00.005Z" in row
    assert command("show", long, "--wide")[1] == out
    assert long in command("list")[1]
    assert long in command("report", "--orders")[1]
    events = json.loads(command("show", long, "--json")[1])["events"]
    assert len(lines_of(every_event(events), UNBOUNDED)) == 1 + len(events)


def rows(*given: Sequence[str]) -> Fitted:
    table = Fitted(
        Column("order"), Column("state", goes=2), Column("last event", goes=1), Column("why", wraps=True)
    )
    for row in given:
        table.add_row(*row)
    return table


def test_the_least_wanted_columns_go_first_and_that_is_said() -> None:
    table = rows((ORDER, "COMPENSATED", "commande.annulation_demandee", "because of this and of that and of more"))
    assert "commande.annulation_demandee" in lines_of(table, 100)[1]
    at_80 = lines_of(table, 80)
    assert ORDER in at_80[1]
    assert at_80[-1] == "not shown: state; --wide shows all"
    at_60 = lines_of(table, 60)
    assert ORDER in at_60[1]
    assert at_60[-1] == "not shown: state, last event; --wide shows all"
    assert "not shown" not in "".join(lines_of(table, UNBOUNDED))


def test_a_key_longer_than_the_terminal_is_folded_and_not_cut() -> None:
    key = "".join(f"{number:03}" for number in range(33))
    shown = lines_of(rows((key, "NEW", "x", "y")), 60)
    assert key in "".join(line.split(" ")[0] for line in shown[1:])
    assert max(map(len, shown)) <= 60


def test_an_empty_table_has_its_headings() -> None:
    assert lines_of(rows(), 60)[0].split("  ") == ["order", "state", "last event", "why"]


def test_short_ids_tell_each_id_from_the_others() -> None:
    of_one_moment = [f"0198f3d2-7c00-7000-8000-00000000000{n}" for n in range(9)]
    short = short_ids([*of_one_moment, "e-1", "e-1"])
    assert len(set(short.values())) == 10
    assert max(map(len, short.values())) == 9
    assert short["e-1"] == "e-1"
    assert short_ids([]) == {}
    assert len(set(short_ids(["a" * 30, "a" * 31, "a" * 32]).values())) == 3


@pytest.mark.parametrize("width", [60, 80, 100])
def test_an_order_is_read_on_a_real_terminal(environment: dict[str, str], channel: Any, width: int) -> None:
    publish(channel, ORDER, [*REFUSED[:-4], *undone("paiement.echoue")])
    with terminal(environment, width, 40) as window:
        window.run("show", ORDER)
        shown = window.awaits("left with 0")
        row = next(line for line in shown.splitlines() if "paiement.echoue" in line)
        assert row.split()[:5] == ["3", "+300", "ms", "paiement.echoue", "#2"]
        window.run("list")
        shown = window.awaits("left with 0")
        assert ORDER in shown
        assert "COMPENSATED" in shown


def test_where_columns_have_no_room_each_row_is_a_list_of_its_fields() -> None:
    table = Fitted(
        Column("id"), Column("service"), Column("order"), Column("event", goes=1), Column("why", wraps=True)
    )
    for number in "12":
        why = "the account is empty, and nothing was reserved"
        table.add_row(f"1f071eb0f76{number}", "paiement", ORDER, "stock.reserve", why)
    shown = lines_of(table, 40)
    assert max(map(len, shown)) <= 40
    assert shown[:4] == [
        "id       1f071eb0f761",
        "service  paiement",
        f"order    {ORDER}",
        "event    stock.reserve",
    ]
    assert shown[4] == "why      the account is empty, and"
    assert shown.count("") == 1
    assert "not shown" not in "".join(shown)
