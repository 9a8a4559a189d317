"""`python -m tests.support.crash_loop stock`: a worker that one kind of order kills, restarted each time.

An order of CLIENT-TUEUR ends at once the worker that takes it, as a fault in a C library would. Each worker is
forked from a process that has imported everything, so that the whole loop takes seconds.
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import sys
from typing import TYPE_CHECKING, Any
from unittest import mock

from choregraphie.pipeline.supervisor import run_workers
from contracts.client import CommandeInitiee
from services.__main__ import main
from services.application import APP

if TYPE_CHECKING:
    from collections.abc import Callable

KILLER = "CLIENT-TUEUR"
# prctl(2): the signal that this process gets when its parent ends.
PR_SET_PDEATHSIG = 1


def deadly(do: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(do)
    def react(heard: Any, *more: Any) -> Any:
        if heard.client_id == KILLER:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(heard, *more)

    return react


def invocation(name: str) -> None:
    """Run the worker in the forked child, and exit."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)

    async def run_deadly_workers(*given: Any) -> None:
        for line in APP.by_name[name].reactions:
            if line.hears == (CommandeInitiee,):
                line.__dict__["do"] = deadly(line.do)  # a Handler is frozen
        await run_workers(*given)

    # Not before: the declarations are compared with the code first.
    mock.patch("choregraphie.cli.run.run_workers", run_deadly_workers).start()
    os._exit(main(["run", name]))


def loop(name: str) -> int:
    """Start workers until one ends without being killed. Returns its exit code."""
    while True:
        child = os.fork()
        if not child:
            invocation(name)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status != -signal.SIGKILL:
            return status
        print("killed", flush=True)


if __name__ == "__main__":
    sys.exit(loop(sys.argv[1]))
