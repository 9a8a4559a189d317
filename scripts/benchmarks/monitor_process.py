"""A `saga_monitor serve` in its own process, measured from outside."""

from __future__ import annotations

import http.client
import os
import re
import resource
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import IO, cast
from urllib.parse import urlsplit

from saga_monitor.projection.queries import Queries
from services.application import APP

ROOT = Path(__file__).resolve().parent.parent.parent
STUCK_AFTER = 60.0
_POLL_SECONDS = 0.02
_END_SECONDS = 30


class MonitorProcess:
    """`one_core`: pin the process to one core. End it with `close`."""

    def __init__(self, path: Path, module: str, *arguments: str, one_core: bool, amqp_url: str) -> None:
        settings = {
            "SAGA_AMQP_URL": amqp_url,
            "SAGA_MONITOR_DATABASE": str(path),
            "SAGA_MONITOR_PORT": "0",
            "SAGA_STUCK_AFTER": str(STUCK_AFTER),
        }
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
        self.path = path
        self._process = subprocess.Popen(  # noqa: S603 - one of our own modules
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=inherited | settings,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.pipe, self._stderr = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stderr)
        if one_core:
            # The broker and this process have the other cores.
            os.sched_setaffinity(self._process.pid, {max(os.sched_getaffinity(0))})
        self._url = urlsplit(self._address())
        # Its log must be read, or the pipe fills and blocks it.
        self._drain = threading.Thread(target=self._stderr.read, daemon=True)
        self._drain.start()

    def until(self, offset: int) -> None:
        """Wait until the entry at `offset` has been read."""
        with closing(Queries(self.path, STUCK_AFTER, APP.saga_set)) as queries:
            while queries.last_offset() < offset:
                if self._process.poll() is not None:
                    raise RuntimeError(f"the monitor has ended with {self._process.returncode}")
                time.sleep(_POLL_SECONDS)

    def get_ms(self, path: str) -> float:
        """The time of a page in ms, from the request to its last byte, on a new connection."""
        connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=60)
        with closing(connection):
            started = time.perf_counter()
            connection.request("GET", path, headers={"accept": "text/html"})
            response = connection.getresponse()
            response.read()
            elapsed_ms = (time.perf_counter() - started) * 1000
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status}")
        return elapsed_ms

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> int:
        """The resident memory now, not its maximum."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() // 1_000_000

    def close(self) -> None:
        self._end()
        self._drain.join()
        self._stderr.close()

    def _end(self) -> None:
        self.pipe.close()
        self._process.terminate()
        try:
            self._process.wait(_END_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()

    def _address(self) -> str:
        line = self._stderr.readline().decode()
        found = re.search(r"http://\S+/", line)
        if found is None:
            self._end()
            line += self._stderr.read().decode()
            self._stderr.close()
            raise RuntimeError(f"the monitor does not serve: {line}")
        return found[0]
