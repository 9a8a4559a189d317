"""Servers that a setting names by a URL, and the certificates that it brings; mistakes are told in one line."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import SplitResult, urlsplit


def server_of(url: str, schemes: tuple[str, ...], example: str) -> SplitResult:
    """The parts of a URL that names a server. Raises ValueError with one line for a person."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"expected {example}") from None
    if parts.scheme not in schemes or not parts.hostname or " " in url:
        raise ValueError(f"expected {example}")
    try:
        parts.port  # noqa: B018 - it is read, and checked, only now
    except ValueError:
        raise ValueError("the port is not a number of a port") from None
    return parts


def check_certificates(query: Mapping[str, str]) -> None:
    """Use the certificates that a URL names, once. Raises ValueError.

    Whoever opens a session could not tell a file that is of no use from a broker that is away.
    """
    for name in ("cafile", "certfile", "keyfile"):
        if name in query and not Path(query[name]).is_file():
            raise ValueError(f"{name}: there is no such file")
    certificate, key = query.get("certfile"), query.get("keyfile")
    at_fault = "cafile: no certificate of an authority"
    try:
        context = ssl.create_default_context(cafile=query.get("cafile"))
        if certificate:
            at_fault = f"{'certfile and keyfile' if key else 'certfile'}: no certificate with its key"
            # A password is given so that nobody is asked for one.
            context.load_cert_chain(certificate, key, password="")
    except OSError:
        raise ValueError(at_fault) from None
