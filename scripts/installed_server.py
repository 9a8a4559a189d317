"""Finds the installed RabbitMQ server and Erlang's epmd. Standard library only."""

from __future__ import annotations

import shutil
from pathlib import Path

SERVERS = ("/usr/lib/rabbitmq/lib", "/opt/rabbitmq", "/usr/local/lib/rabbitmq/lib")


class NodeError(Exception):
    """The private node cannot do what was asked; the text is one sentence for a person."""


def find_server() -> Path:
    """The server's own start script: the wrapper in /usr/sbin insists on another user.

    Raises NodeError.
    """
    pattern = "rabbitmq_server-*/sbin/rabbitmq-server"
    found = [script for folder in SERVERS for script in sorted(Path(folder).glob(pattern))]
    if not found:
        raise NodeError("No RabbitMQ server is installed: run 'apt-get install rabbitmq-server' first.")
    return found[-1]


def find_epmd() -> Path:
    """The path of epmd, which is started on its own so that its process is known and can be ended.

    Raises NodeError.
    """
    for candidate in (shutil.which("epmd"), "/usr/lib/erlang/bin/epmd"):
        if candidate and Path(candidate).exists():
            return Path(candidate)
    raise NodeError("Erlang's epmd was not found: run 'apt-get install erlang-base' first.")
