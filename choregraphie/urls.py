"""Checks the URLs of settings: every part of a URL is used, or refused in one line."""

import re
from urllib.parse import SplitResult, unquote, urlsplit

from choregraphie.tls import https_options

LOOPBACK = {"localhost", "127.0.0.1", "::1"}

_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_NAME = re.compile(r"[\w.-]{1,253}")
# Parts of a URL that only some settings use.
USER, PATH, QUERY = "user", "path", "query"


def server_of(url: str, schemes: tuple[str, ...], example: str, uses: tuple[str, ...] = ()) -> SplitResult:
    """The parts of a URL that names one server. `uses`: those of USER, PATH and QUERY that the caller reads.

    Raises ValueError, in one line that holds no part of the URL: it may be a secret.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ValueError(f"expected {example}") from None
    if parts.scheme not in schemes or not parts.hostname or _UNPRINTABLE.search(url):
        raise ValueError(f"expected {example}")
    _check_place(parts, example)
    given = {USER: "@" in parts.netloc, PATH: parts.path not in {"", "/"}, QUERY: bool(parts.query)}
    if unused := [part for part, is_given in given.items() if is_given and part not in uses]:
        raise ValueError(f"has a {unused[0]}, which is not used; expected {example}")
    if "#" in url:
        raise ValueError("has a fragment, which is not used; a # in a password is written %23")
    _check_escapes(url)
    if _CONTROL.search(unquote(parts.username or "") + unquote(parts.password or "")):
        raise ValueError("the user or the password holds a control character")
    return parts


def _check_escapes(url: str) -> None:
    try:
        unquote(url, errors="strict")
    except UnicodeDecodeError:
        # Decoded leniently, the user, password or path would be another one.
        raise ValueError("has a character that is not escaped as UTF-8; an é is written %C3%A9") from None


def check_login(parts: SplitResult) -> None:
    """Raises ValueError unless the URL names a user and a password: clients put `guest` for what is missing."""
    if not parts.username:
        raise ValueError("names no user before the @")
    if not parts.password:
        raise ValueError("names a user without a password; expected user:password@host")


def check_no_guest(parts: SplitResult) -> None:
    """Raises ValueError for RabbitMQ's default user on another machine: everybody knows its password."""
    if unquote(parts.username or "") == "guest" and parts.hostname not in LOOPBACK:
        raise ValueError(
            "names guest, which is only for this machine; 'topology users' makes a user for each part"
        )


def _check_place(parts: SplitResult, example: str) -> None:
    place = parts.netloc.rpartition("@")[2]
    if "," in place or ";" in place:
        raise ValueError("names several servers, and only one can be used")
    if not place.startswith("[") and not _NAME.fullmatch(parts.hostname or ""):
        raise ValueError(f"expected {example}")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the port is not a number of a port") from None
    if port == 0 or place.endswith(":"):
        raise ValueError("the port is not a number of a port")


def check_webhook(url: str) -> str:
    """`url` unchanged: empty or an HTTP URL. Raises ValueError for anything else."""
    if url:
        server_of(url, ("http", "https"), "https://host/path", (USER, PATH, QUERY))
    return url


def check_management(url: str) -> str:
    """`url` unchanged: empty or the URL of RabbitMQ's management with a user. Raises ValueError otherwise."""
    if url:
        parts = server_of(url, ("http", "https"), "https://user:password@host:15671", (USER, PATH, QUERY))
        https_options(url)
        if not parts.username:
            raise ValueError("names no user; expected https://user:password@host:15671")
        check_login(parts)
        check_no_guest(parts)
    return url


def check_path(path: object) -> object:
    """`path` unchanged. Raises ValueError when it is a URL, which would become the name of a folder."""
    if re.match("[a-z][a-z0-9+.-]*:/", str(path)):
        raise ValueError("expected the path of a file, such as var/monitor.sqlite3, and no URL")
    return path
