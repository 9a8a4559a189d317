"""TLS to PostgreSQL: beyond this machine the server's name is verified, or clear text is asked for by name.

libpq's own default, `prefer`, sends everything in clear text to a server that offers no TLS, and to whoever stands
in its place. `require` and `verify-ca` encrypt for anybody with any certificate, or with any of that authority.
https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-PROTECTION
"""

import contextlib
import os
import socket
import struct
from pathlib import Path

from sqlalchemy.engine import URL

from choregraphie.errors import DatabaseRefused
from choregraphie.paths import is_file
from choregraphie.tls import PROBE_SECONDS, handshake_refusal
from choregraphie.urls import LOOPBACK

VERIFIED, CLEAR = "verify-full", "disable"
_UNVERIFIED = {
    "allow": "falls back to clear text",
    "prefer": "falls back to clear text",
    "require": "does not verify who answers",
    "verify-ca": "does not verify the name of the server",
}
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl")
# Values of sslrootcert and sslcert that are no paths.
_NO_FILES = {"", "system"}
_PORT = 5432
# SSLRequest: https://www.postgresql.org/docs/current/protocol-message-formats.html
_TLS_REQUEST = struct.pack(">II", 8, 80877103)


def tls_parameters(url: URL) -> dict[str, str]:
    """The parameters that the URL leaves open. Raises DatabaseRefused for TLS that does not verify the server."""
    for name in _FILES:
        path = str(url.query.get(name, ""))
        try:
            usable = path in _NO_FILES or is_file(Path(path))
        except OSError as error:  # its folder may not be looked into, its name is too long
            raise DatabaseRefused(f"SAGA_DATABASE_URL: {name}: {error.strerror}") from None
        if not usable:
            raise DatabaseRefused(f"SAGA_DATABASE_URL: {name}: there is no such file")
    if _is_local(url):
        return {}
    asked = url.query.get("sslmode")
    mode = str(asked or os.environ.get("PGSSLMODE", VERIFIED))
    if mode in _UNVERIFIED:
        where = "SAGA_DATABASE_URL: sslmode" if asked else "PGSSLMODE"
        raise DatabaseRefused(
            f"{where}={mode} {_UNVERIFIED[mode]}; beyond this machine it is {VERIFIED}, or {CLEAR} where the"
            " network is private"
        )
    return {"sslmode": mode}


def is_clear(url: URL) -> bool:
    """Whether everything is sent in clear text to another machine."""
    return tls_parameters(url).get("sslmode") == CLEAR


def why_untrusted(url: URL) -> str:
    """Why TLS with the server fails, and what to do; empty when it works, or verifies nothing. Asks the server."""
    mode = url.query.get("sslmode") or tls_parameters(url).get("sslmode")
    host = str(url.query.get("host", url.host or ""))
    if mode != VERIFIED or not host or host.startswith(("/", "@")) or "," in host:
        return ""
    with contextlib.suppress(OSError), socket.create_connection((host, url.port or _PORT), PROBE_SECONDS) as plain:
        plain.sendall(_TLS_REQUEST)
        if plain.recv(1) != b"S":
            return f"it offers no TLS; set ssl = on there, or sslmode={CLEAR} where the network is private"
        return handshake_refusal(plain, host, _certificates(url), "sslrootcert", "sslcert and sslkey") or ""
    return ""


def _certificates(url: URL) -> dict[str, str]:
    """The files that libpq uses, by the names of our own parameters."""
    home = Path.home() / ".postgresql"
    files = {
        "cafile": url.query.get("sslrootcert") or os.environ.get("PGSSLROOTCERT") or home / "root.crt",
        "certfile": url.query.get("sslcert") or os.environ.get("PGSSLCERT") or home / "postgresql.crt",
        "keyfile": url.query.get("sslkey") or os.environ.get("PGSSLKEY") or home / "postgresql.key",
    }
    return {name: str(path) for name, path in files.items() if Path(str(path)).is_file()}


def _is_local(url: URL) -> bool:
    """Whether all servers that the URL may lead to are on this machine."""
    if url.query.get("service") or os.environ.get("PGSERVICE"):
        return False  # a file names the host
    given = url.query.get("host", url.host or os.environ.get("PGHOST", ""))
    hosts = [given] if isinstance(given, str) else [*given]
    address = url.query.get("hostaddr") or os.environ.get("PGHOSTADDR")
    hosts = [host for part in [*hosts, str(address or "")] for host in part.split(",") if host]
    # Without a host, and with a path or an abstract name, it is a Unix socket.
    return all(host in LOOPBACK or host.startswith(("/", "@")) for host in hosts)
