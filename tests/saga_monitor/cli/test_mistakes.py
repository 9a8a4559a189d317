"""An empty option, or an order that is not there, is said in one line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.saga_monitor.cli.test_verbs import told

if TYPE_CHECKING:
    from tests.saga_monitor.memory_stream import Stream

__all__ = ["told"]


def test_a_history_without_the_order_says_so(command: Any, told: Stream) -> None:
    nothing = "saga_monitor: no such event of order NOPE in the history\n"
    assert command("history", "--key", "NOPE") == (1, "", nothing)
    of_another_type = command("history", "--key", "CMD-0", "--type", "stock.libere")
    assert of_another_type == (1, "", nothing.replace("NOPE", "CMD-0"))


@pytest.mark.parametrize(
    "arguments",
    [["report", "--since", ""], ["history", "--since", ""], ["list", "--at", ""], ["show", "CMD-0", "--at", ""]],
    ids=" ".join,
)
def test_an_empty_time_is_no_time(command: Any, told: Stream, arguments: list[str]) -> None:
    """As the variable of a shell that is not set: the answer would be about all of the history."""
    code, out, err = command(*arguments)
    assert (code, out) == (2, "")
    assert "is not a time" in err


@pytest.mark.parametrize("option", ["--token", "--host"])
def test_an_empty_option_of_the_page_is_refused(command: Any, option: str) -> None:
    with pytest.raises(SystemExit) as left:
        command("serve", option, "", "--port", "0")
    assert left.value.code == 2
