"""TLS of the connections that this program opens: certificates named in URLs, and why one was refused."""

import asyncio
import base64
import binascii
import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from choregraphie.paths import is_file, is_folder
from choregraphie.url_parameters import Parameters, options_of, parameters_of

TRUSTED = ("cafile", "capath", "cadata")
CERTIFICATES = (*TRUSTED, "certfile", "keyfile")

PROBE_SECONDS = 2.0

# OpenSSL's X509_V_ERR_*: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_NOT_YET_VALID, _EXPIRED, _OTHER_NAME = 9, 10, {62, 64}
# Alerts by which a server refuses the certificate of its client, or asks for one (RFC 8446, 6.2; RFC 5246, 7.2.2).
_REFUSES_OURS = (
    "CERTIFICATE_REQUIRED",
    "UNKNOWN_CA",
    "BAD_CERTIFICATE",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN",
    "UNSUPPORTED_CERTIFICATE",
    "HANDSHAKE_FAILURE",
)
# What a server that speaks TLS answers begins with: a handshake or an alert (RFC 8446, 5.1).
_RECORDS = (b"\x16\x03", b"\x15\x03")
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")


def _file(value: str) -> str:
    return _existing(value, is_file, "there is no such file")


def _folder(value: str) -> str:
    return _existing(value, is_folder, "there is no such folder")


def _existing(value: str, exists: Callable[[Path], bool], otherwise: str) -> str:
    try:
        found = exists(Path(value))
    except OSError as error:  # its folder may not be looked into, its name is too long
        raise ValueError(error.strerror) from None
    if not found:
        raise ValueError(otherwise)
    return value


def _base64(value: str) -> str:
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error:
        raise ValueError("expected base64; a + in it is written %2B") from None
    return value


PARAMETERS: Parameters = {
    "cafile": ("cafile", _file),
    "cacertfile": ("cafile", _file),
    "capath": ("capath", _folder),
    "cadata": ("cadata", _base64),
    "certfile": ("certfile", _file),
    "keyfile": ("keyfile", _file),
}


def client_context(options: Mapping[str, str]) -> ssl.SSLContext:
    """A context that verifies the server's certificate and its name. `options`: by the names of CERTIFICATES.

    Without a trusted authority in them, those of the system count. Raises ValueError when a file cannot be used.
    """
    certificate, key = options.get("certfile"), options.get("keyfile")
    if key and not certificate:
        raise ValueError("keyfile: there is no certfile beside it")
    given = [name for name in TRUSTED if name in options]
    at_fault = f"{' and '.join(given)}: no certificate of an authority"
    try:
        context = ssl.create_default_context(
            cafile=options.get("cafile"),
            capath=options.get("capath"),
            cadata=base64.b64decode(options["cadata"]) if "cadata" in options else None,
        )
        if certificate:
            at_fault = f"{'certfile and keyfile' if key else 'certfile'}: no certificate with its key"
            # With a password given, OpenSSL does not prompt for one.
            context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError):
        raise ValueError(at_fault) from None
    return context


def https_options(url: str) -> dict[str, str]:
    """The certificates that the parameters of an HTTP URL name. Raises ValueError when some cannot be used."""
    parts = urlsplit(url)
    given = parameters_of(parts.query)
    if any(name not in PARAMETERS for name, _ in given):
        raise ValueError(f"has a query parameter that is not used; what is: {', '.join(CERTIFICATES)}")
    options = options_of(given, PARAMETERS)
    if options and parts.scheme != "https":
        raise ValueError(f"{next(iter(options))} is for https://, and this is {parts.scheme}://")
    if options:
        client_context(options)
    return options


def https_address(url: str) -> tuple[str, ssl.SSLContext | bool]:
    """The URL without its parameters, and what httpx verifies with. Raises as `https_options`."""
    parts = urlsplit(url)
    verify = client_context(https_options(url)) if parts.scheme == "https" else True
    return parts._replace(query="").geturl(), verify


def distrust(error: BaseException, authority: str = "cafile", own: str = "certfile and keyfile") -> str | None:
    """Why TLS failed, and what to do, in one line; None when `error` and those below it are no such failure.

    `authority` and `own`: the parameters that name the trusted authority and our own certificate.
    """
    for one in _errors_below(error):
        if isinstance(one, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {_untrusted(one.verify_code, authority)}"
        if isinstance(one, ssl.SSLError) and (one.reason or "").endswith(_REFUSES_OURS):
            return f"it refuses our certificate; {own} name one that its authority has signed"
        if isinstance(one, ssl.SSLError) and one.reason in _NO_TLS:
            return "it does not speak TLS there; name its TLS port"
    return None


def _untrusted(code: int, authority: str) -> str:
    if code == _EXPIRED:
        return "it has expired; renew it on the server"
    if code == _NOT_YET_VALID:
        return "it is not valid yet; compare the clocks"
    if code in _OTHER_NAME:
        return "it does not name this host; use a name that it has, or issue it for this one"
    return f"no authority that we know has signed it; {authority} names the authority"


async def refusal_of(host: str, port: int, options: Mapping[str, str]) -> str | None:
    """Why a server that listens there refuses TLS with us, as `distrust` says it; None when it does not. Asks it.

    A server that refuses our certificate resets the connection, and what we have sent meanwhile makes the reason
    unreadable: since TLS 1.3 it comes after the handshake. So nothing is sent here.
    """
    writer = None
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, ssl=client_context(options))
            await reader.read(1)
    except OSError as error:  # a failed verification is a ValueError too
        return distrust(error)
    except ValueError as error:
        return str(error)
    finally:
        if writer is not None:
            writer.transport.abort()
    return None


async def speaks_tls(host: str, port: int) -> bool:
    """Whether a server that listens there answers the beginning of a TLS handshake. Asks it."""
    writer = None
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(_client_hello(host))
            return await reader.readexactly(len(_RECORDS[0])) in _RECORDS
    except (OSError, EOFError):
        return False
    finally:
        if writer is not None:
            writer.transport.abort()


def _client_hello(host: str) -> bytes:
    """The first bytes of a TLS handshake with `host`."""
    sent = ssl.MemoryBIO()
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).wrap_bio(ssl.MemoryBIO(), sent, server_hostname=host)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return sent.read()


def handshake_refusal(
    plain: socket.socket, host: str, options: Mapping[str, str], authority: str, own: str
) -> str | None:
    """The same of a server on an open socket, which blocks."""
    try:
        with client_context(options).wrap_socket(plain, server_hostname=host) as secured:
            secured.recv(1)
    except OSError as error:  # a failed verification is a ValueError too
        return distrust(error, authority, own)
    except ValueError as error:
        return str(error)
    return None


def _errors_below(error: BaseException) -> list[BaseException]:
    """`error` and those below it.

    There may be a cycle: an error that is raised again can become the context of its own cause.
    """
    found: dict[int, BaseException] = {}
    below: list[BaseException | None] = [error]
    while below:
        one = below.pop()
        if one is not None and id(one) not in found:
            found[id(one)] = one
            below += [one.__cause__, one.__context__]
    return [*found.values()]
