"""A connection that could not be opened causes no warning on stderr later."""

import subprocess
import sys

# Garbage collection runs on a thread without an event loop, such as the database thread. It needs a process of its
# own, because pytest keeps the log records, and with them the connection.
PROGRAM = """
import asyncio, gc, socket
from choregraphie import BrokerUnavailable, read_settings
from choregraphie.broker.connection import connected

async def attempt():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    kept = []
    try:
        async with connected(read_settings({"SAGA_AMQP_URL": f"amqp://u:p@127.0.0.1:{port}/"}), "test"):
            pass
    except BrokerUnavailable as error:
        kept.append(error)
    print(len(kept))
    await asyncio.to_thread(lambda: (kept.clear(), gc.collect()))

gc.disable()
asyncio.run(attempt())
"""


def test_a_connection_that_failed_is_closed_before_it_is_collected() -> None:
    ended = subprocess.run(
        [sys.executable, "-W", "always::RuntimeWarning", "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert ended.stdout == "1\n"
    assert "never awaited" not in ended.stderr
