"""Questions about processes and ports of this machine. Standard library only."""

from __future__ import annotations

import socket
import time
from pathlib import Path

HOST = "127.0.0.1"


def birth(pid: int) -> str | None:
    """An identity that a later process with the same pid does not have; None when the process is gone."""
    stat = _stat(pid)
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return None if not stat or stat[0] in "ZX" else f"{boot}:{stat[19]}"


def stopped(pid: int) -> bool:
    """Whether the process is stopped (SIGSTOP, Ctrl-Z)."""
    return _stat(pid)[:1] == ["T"]


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


def port_is_free(port: int, patience_seconds: float = 0) -> bool:
    """Whether the port can be bound. A process that was just killed may hold its port for another moment."""
    deadline = time.monotonic() + patience_seconds
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                if time.monotonic() >= deadline:
                    return False
            else:
                return True
        time.sleep(0.1)


def answers(port: int, *, amqp: bool) -> bool:
    """Whether a server listens there and, for AMQP, answers with a Connection.Start frame."""
    try:
        with socket.create_connection((HOST, port), timeout=2) as link:
            if not amqp:
                return True
            link.sendall(b"AMQP\x00\x00\x09\x01")
            frame = b""
            while len(frame) < 11 and (more := link.recv(11 - len(frame))):
                frame += more
            return frame[:3] == b"\x01\x00\x00" and frame[7:11] == b"\x00\x0a\x00\x0a"
    except OSError:
        return False
