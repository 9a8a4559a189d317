"""Certificates, good and bad, as files, and servers that use them."""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import random
import shutil
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import trustme

from scripts.nemesis.private_postgres import unprivileged
from scripts.private_node import PORTS, PrivateNode
from scripts.probes import HOST, port_is_free

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "localhost"
LONG_AGO = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
# The certificates of a server that no client may accept.
BAD_SERVERS = ("elsewhere", "expired", "unknown")


@dataclass(frozen=True)
class Certificates:
    """A folder: `NAME.pem` and `NAME.key` of each certificate, `ca.pem` of the authority of the good ones.

    server      for localhost
    elsewhere   for another name
    expired     for localhost, long ago
    unknown     for localhost, of another authority
    client      of a client; its user is `saga`
    stranger    of a client of another authority
    """

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Certificates:
        authority, other = trustme.CA(), trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "ca.pem"))
        day = dt.timedelta(days=1)
        leaves = {
            "server": authority.issue_cert(NAME),
            "elsewhere": authority.issue_cert("elsewhere.invalid"),
            "expired": authority.issue_cert(NAME, not_before=LONG_AGO, not_after=LONG_AGO + day),
            "unknown": other.issue_cert(NAME),
            "client": authority.issue_cert("saga@clients.invalid", common_name="saga"),
            "stranger": other.issue_cert("saga@clients.invalid", common_name="saga"),
        }
        for name, leaf in leaves.items():
            _write(leaf, folder, name)
        return cls(folder)

    def path(self, name: str) -> str:
        return str(self.folder / name)

    def server_context(self, name: str, *, asks: bool = False) -> ssl.SSLContext:
        """A server's, with the certificate `name`. `asks`: only clients with a certificate are let in."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self.path("ca.pem"))
        context.load_cert_chain(self.path(f"{name}.pem"), self.path(f"{name}.key"))
        context.verify_mode = ssl.CERT_REQUIRED if asks else ssl.CERT_NONE
        return context

    def query(self, own: str = "", authority: str = "ca.pem") -> str:
        """The parameters of a URL of a broker or of HTTP: the authority, and the certificate `own`."""
        named = {"cafile": authority} | ({"certfile": f"{own}.pem", "keyfile": f"{own}.key"} if own else {})
        return "&".join(f"{name}={quote(self.path(file))}" for name, file in named.items())


def _write(leaf: trustme.LeafCert, folder: Path, name: str) -> None:
    (folder / f"{name}.pem").write_bytes(b"".join(pem.bytes() for pem in leaf.cert_chain_pems))
    key = folder / f"{name}.key"
    key.write_bytes(leaf.private_key_pem.bytes())
    key.chmod(0o600)  # libpq and PostgreSQL refuse one that others may read


def copy_for_postgres(certificates: Certificates, folder: Path, name: str = "server") -> None:
    """Copy to `cert`, `key` and `ca` in `folder`, for the user as whom a private PostgreSQL runs."""
    for use, file in {"cert": f"{name}.pem", "key": f"{name}.key", "ca": "ca.pem"}.items():
        shutil.copyfile(certificates.path(file), folder / use)
        (folder / use).chmod(0o600)
    if "user" in (who := unprivileged()):
        for path in (folder, *folder.iterdir()):
            shutil.chown(path, who["user"], who["group"])


@dataclass(frozen=True)
class TlsNode:
    """A private RabbitMQ that also listens with TLS, and asks clients of its AMQP port for a certificate."""

    amqps: int
    https: int
    certificates: Certificates

    def url(self, own: str = "client", authority: str = "ca.pem", host: str = NAME) -> str:
        return f"amqps://guest:guest@{host}:{self.amqps}/?{self.certificates.query(own, authority)}"

    def management(self, authority: str = "ca.pem", host: str = NAME) -> str:
        return f"https://guest:guest@{host}:{self.https}?{self.certificates.query(authority=authority)}"


@contextlib.contextmanager
def tls_node(folder: Path, certificates: Certificates, server: str = "server") -> Iterator[TlsNode]:
    """A running node with the certificate `server`."""
    amqps, https = itertools.islice(filter(port_is_free, random.sample(PORTS, 50)), 2)
    lines = []
    for options in ("ssl_options", "management.ssl"):
        lines += [
            f"{options}.cacertfile = {certificates.path('ca.pem')}",
            f"{options}.certfile = {certificates.path(f'{server}.pem')}",
            f"{options}.keyfile = {certificates.path(f'{server}.key')}",
        ]
    lines += [
        f"listeners.ssl.default = {HOST}:{amqps}",
        "ssl_options.verify = verify_peer",
        "ssl_options.fail_if_no_peer_cert = true",
        f"management.ssl.ip = {HOST}",
        f"management.ssl.port = {https}",
    ]
    node = PrivateNode(folder, "tls", "\n".join(lines) + "\n")
    try:
        node.start()
        yield TlsNode(amqps, https, certificates)
    finally:
        node.stop(wipe=True)
