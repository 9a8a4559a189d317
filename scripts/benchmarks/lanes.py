"""The benchmark of the lanes: processor time of a message, lean and public by turns, on one broker."""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections import defaultdict
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from choregraphie import Settings
from choregraphie.broker.connection import connected
from choregraphie.broker.lanes import open_consuming, open_publishing
from choregraphie.messaging import Delivery, Outgoing, Properties
from scripts.cli_parser import positive
from scripts.installed_server import NodeError
from scripts.private_node import PrivateNode
from scripts.progress import Phases, phases

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from choregraphie.broker.lanes import Publishing

ABOUT = __doc__
LANES: tuple[Literal["lean", "public"], ...] = ("lean", "public")
QUEUE = "bench.lanes"
GROUP = 64
BODY = b'{"specversion": "1.0", "data": {"commande_id": "CMD-1"}}'.ljust(500)


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--messages", type=positive, default=6400, help="a round (default: %(default)s)")
    parser.add_argument("--rounds", type=positive, default=5, help="of each lane (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(arguments: argparse.Namespace) -> int:
    with phases("bench lanes", 10 + arguments.rounds * arguments.messages / 1500) as progress:
        progress.begin("the broker starts")
        with tempfile.TemporaryDirectory(prefix="bench-lanes-") as folder:
            node = PrivateNode(Path(folder) / "node", "bench-lanes")
            try:
                url = node.start()
                figures = asyncio.run(_measure(url, arguments.messages, arguments.rounds, progress))
            except NodeError as error:
                raise SystemExit(f"scripts/bench: {error}") from None
            finally:
                node.stop(wipe=True)
    print(json.dumps(figures, indent=2) if arguments.json else text(figures))
    return 0


async def _measure(url: str, messages: int, rounds: int, progress: Phases) -> dict[str, dict[str, list[float]]]:
    """For publishing and for consuming, the microseconds a message of each lane, a round each."""
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds):
        for lane in LANES:
            progress.begin(f"round {number + 1}, {lane}")
            async with AsyncExitStack() as open_until_end:
                connection = await open_until_end.enter_async_context(
                    connected(Settings(amqp_url=url, lane=lane), "bench")
                )
                consuming = await open_consuming(connection, 4 * GROUP)
                queue = {"x-queue-type": "quorum"}
                await consuming.channel.queue_declare(QUEUE, durable=True, arguments=queue)
                publishing, _ = await open_publishing(connection)
                found["publishing"][lane].append(await _timed(_publish(publishing, messages), messages))
                found["consuming"][lane].append(await _timed(_consume(consuming, messages), messages))
    return {what: dict(each) for what, each in found.items()}


async def _timed(work: Any, messages: int) -> float:
    began = time.process_time()
    await work
    return (time.process_time() - began) * 1e6 / messages


async def _publish(publishing: Publishing, messages: int) -> None:
    for at in range(0, messages, GROUP):
        group = [_message(number) for number in range(at, min(at + GROUP, messages))]
        await publishing.publish(group)


def _message(number: int) -> Outgoing:
    shown = Properties(message_id=f"{number:036}", type="commande.initiee", content_type="application/json")
    return Outgoing("", QUEUE, BODY, shown)


async def _consume(consuming: Any, messages: int) -> None:
    left, done = messages, asyncio.Event()
    acks: set[asyncio.Task[None]] = set()

    def take(deliveries: list[Delivery]) -> None:
        nonlocal left
        before, left = left, left - len(deliveries)
        if before // GROUP != left // GROUP or not left:
            acks.add(asyncio.ensure_future(consuming.ack(deliveries[-1].tag, multiple=True)))
        if not left:
            done.set()

    await consuming.consume(QUEUE, take)
    await done.wait()
    await asyncio.gather(*acks)


def text(figures: dict[str, dict[str, list[float]]]) -> str:
    """A table: the median and the spread of each lane, and of the ratio of each round."""
    lines = [f"{'µs of processor time a message':<32}{'lean':>18}{'public':>18}{'public ÷ lean':>18}"]
    for what, each in figures.items():
        ratios = [public / lean for lean, public in zip(each["lean"], each["public"], strict=True)]
        cells = [_spread(each["lean"], 0), _spread(each["public"], 0), _spread(ratios, 1)]
        lines.append(f"{what:<32}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def _spread(values: list[float], digits: int) -> str:
    form: Callable[[float], str] = f"{{:.{digits}f}}".format
    return f"{form(statistics.median(values))} ({form(min(values))}–{form(max(values))})"
