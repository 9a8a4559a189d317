"""The management's answers about queues, as RabbitMQ 3.10 and 4.x give them, and answers that cannot be used."""

from __future__ import annotations

import pytest

from choregraphie import Settings
from choregraphie.broker import QueueState, queue_states
from choregraphie.errors import BrokerUnavailable, LoginRefused
from tests.support.fake_management import management_that_answers

FIGURES = '"messages": 3, "messages_ready": 1, "messages_unacknowledged": 0'


@pytest.mark.parametrize(
    ("row", "state"),
    [
        pytest.param(f'"leader": "a@b", "online": ["a@b"], "state": "running", {FIGURES}', (True, 2), id="hidden"),
        pytest.param(f'"leader": null, "online": ["a@b"], "state": "running", {FIGURES}', (False, 2), id="3.10"),
        pytest.param('"leader": null, "online": []', (False, None), id="3.10, its node restarted since"),
        pytest.param('"leader": "", "state": "running"', (False, None), id="3.8"),
        pytest.param(f'"leader": "a@b", "state": "down", {FIGURES}', (False, 2), id="4.x, down"),
        pytest.param(f'"leader": "a@b", "state": "minority", {FIGURES}', (False, 2), id="4.x, minority"),
        pytest.param(f'"state": "running", {FIGURES}', (True, 2), id="classic"),
        pytest.param('"leader": "a@b", "online": ["a@b"]', (True, None), id="declared just now"),
        pytest.param(
            '"messages": true, "messages_ready": 1, "messages_unacknowledged": 0', (True, None), id="bool"
        ),
        pytest.param(
            '"messages": 1, "messages_ready": 2, "messages_unacknowledged": 0', (True, 0), id="of two times"
        ),
        pytest.param('"state": ["down"], "online": 7, "messages": "3"', (True, None), id="other types"),
    ],
)
async def test_what_the_management_says_of_a_queue(row: str, state: tuple[bool, int | None]) -> None:
    answer = f'[{{"name": "stock.inbox", {row}}}, 7, {{"name": null}}]'
    with management_that_answers(answer.encode()) as settings:
        assert await queue_states(settings) == {"stock.inbox": QueueState(*state)}


@pytest.mark.parametrize(
    ("content", "status", "error"),
    [
        (b'{"error":"not_authorized"}', 401, LoginRefused),
        (b"{}", 200, BrokerUnavailable),
        (b"<html>", 200, BrokerUnavailable),
        (b"[" * 100_000, 200, BrokerUnavailable),
        (b"[" + b" " * 8_000_001 + b"]", 200, BrokerUnavailable),
        (b"", 503, BrokerUnavailable),
    ],
)
async def test_an_answer_that_cannot_be_used_is_an_error(
    content: bytes, status: int, error: type[Exception]
) -> None:
    with management_that_answers(content, status) as settings, pytest.raises(error):
        await queue_states(settings)


async def test_without_the_setting_the_management_is_not_asked() -> None:
    assert await queue_states(Settings()) is None
