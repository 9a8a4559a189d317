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
from typing import IO, TYPE_CHECKING, cast
from urllib.parse import urlsplit

from saga_monitor.projection.queries import Queries

if TYPE_CHECKING:
    pass

ROOT = Path(__file__).resolve().parent.parent.parent
STUCK_AFTER = 60.0
_LOOK_SECONDS = 0.02
_FAREWELL_SECONDS = 30


class Served:
    """`one_core`: it has no more of the machine. Leave by `close`."""

    def __init__(self, path: Path, module: str, *arguments: str, one_core: bool, amqp_url: str) -> None:
        own = {
            "SAGA_AMQP_URL": amqp_url,
            "SAGA_MONITOR_DATABASE": str(path),
            "SAGA_MONITOR_PORT": "0",
            "SAGA_STUCK_AFTER": str(STUCK_AFTER),
        }
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SAGA_")}
        self.path = path
        self._process = subprocess.Popen(  # noqa: S603 - one of our own modules
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=kept | own,
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.pipe, self._said = cast("IO[bytes]", self._process.stdin), cast("IO[bytes]", self._process.stderr)
        if one_core:
            # Whatever else has a part in it has the other cores.
            os.sched_setaffinity(self._process.pid, {max(os.sched_getaffinity(0))})
        self._url = urlsplit(self._address())
        # What it logs from here on would fill the pipe one day, and hold it up.
        self._drain = threading.Thread(target=self._said.read, daemon=True)
        self._drain.start()

    def until(self, offset: int) -> None:
        """Wait until the entry at `offset` has been read."""
        with closing(Queries(self.path, STUCK_AFTER)) as queries:
            while queries.last_offset() < offset:
                if self._process.poll() is not None:
                    raise RuntimeError(f"the monitor has ended with {self._process.returncode}")
                time.sleep(_LOOK_SECONDS)

    def get_ms(self, path: str) -> float:
        """How long a page takes, from the question to its last byte, on a connection of its own."""
        connection = http.client.HTTPConnection(self._url.hostname or "", self._url.port, timeout=60)
        with closing(connection):
            begun = time.perf_counter()
            connection.request("GET", path, headers={"accept": "text/html"})
            answer = connection.getresponse()
            answer.read()
            taken = (time.perf_counter() - begun) * 1000
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status}")
        return taken

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> int:
        """What the process holds now, not what it held at most."""
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * resource.getpagesize() // 1_000_000

    def close(self) -> None:
        self.pipe.close()
        self._process.terminate()
        try:
            self._process.wait(_FAREWELL_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()

    def _address(self) -> str:
        said = self._said.readline().decode()
        found = re.search(r"http://\S+/", said)
        if found is None:
            self.close()
            said += self._said.read().decode()
            raise RuntimeError(f"the monitor does not serve: {said}")
        return found[0]
