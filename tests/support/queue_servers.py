"""Takes the server of a quorum queue away, so that the queue has no leader until somebody starts one."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scripts.nemesis.nodes import InstalledNode

# Its supervisor stops restarting it at the third crash within five seconds. On a busy machine a restart takes a
# moment: the server is gone when thirty looks in a row, 0.1 s apart, have not found it.
_KILL = (
    "F = fun(F, 0) -> gone; (F, N) -> case whereis('%2F_{queue}') of "
    "undefined -> timer:sleep(100), F(F, N - 1); "
    "Pid -> exit(Pid, kill), timer:sleep(100), F(F, 30) end end, F(F, 30)."
)


def take_server_away(node: InstalledNode, queue: str) -> None:
    """Kill the server of `queue`, of the virtual host `/`, until it is not started again."""
    node.control("eval", _KILL.format(queue=queue))
