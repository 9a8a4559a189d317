"""`python -m tests.support.crash_loop stock`: a worker that one kind of order kills, started again each time.

An order of CLIENT-TUEUR ends the worker that takes it at once, as a fault in a library would. Each is forked
from a process that has imported everything, so that a whole loop takes seconds.
"""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from contracts.client import CommandeInitiee
from services.__main__ import main
from services.application import SERVICES

if TYPE_CHECKING:
    from collections.abc import Callable

KILLER = "CLIENT-TUEUR"
# prctl(2): what this process gets when its parent is gone.
PR_SET_PDEATHSIG = 1


def deadly(do: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(do)
    def react(heard: Any, *more: Any) -> Any:
        if heard.client_id == KILLER:
            os.kill(os.getpid(), signal.SIGKILL)
        return do(heard, *more)

    return react


def invocation(name: str) -> None:
    """In the child, to its end."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    for line in SERVICES[name].reactions:
        if line.hears is CommandeInitiee:
            line.__dict__["do"] = deadly(line.do)  # frozen for everybody else
    os._exit(main(["run", name]))


def loop(name: str) -> int:
    """Until a worker ends otherwise than by being killed; its exit code."""
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
