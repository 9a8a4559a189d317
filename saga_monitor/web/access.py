"""Access control of the web page: host names, the token, concurrent requests, response headers."""

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from choregraphie import BadSetting

COOKIE = "chor_monitor"
# Health is public, and the login form needs its style sheet.
_OPEN = ("/livez", "/readyz", "/login", "/static/")
# Cheap requests, and those with a limit of their own.
_NOT_COUNTED = ("/livez", "/readyz", "/login", "/changes")
_WAITING = "/api/sagas/"
LARGEST_HEAD_BYTES = 16 * 1024
# Our addresses are much shorter, and Python does not parse a number of more than 4300 digits.
LONGEST_PATH = 2000
MOST_AT_ONCE = 50
# After a refused token its file is read again, at most this often.
READ_AGAIN_SECONDS = 1.0
HEADERS = {
    "content-security-policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(slots=True)
class Access:
    """`names`: host names that are accepted besides IP addresses and localhost. An empty token disables the login.

    `newer` reads the token again; an empty answer keeps the current token.
    """

    token: str = ""
    names: frozenset[str] = frozenset()
    newer: Callable[[], str] = str
    read_at: float = float("-inf")

    @classmethod
    def at(cls, host: str, token: str, names: Iterable[str], newer: Callable[[], str] = str) -> "Access":
        """Raises BadSetting when others can reach `host` and there is no token, or when the token is not UTF-8."""
        if not token and not is_loopback(host):
            raise BadSetting(
                f"listening at {host} lets others in: set a token (--token or SAGA_MONITOR_TOKEN_FILE),"
                " or listen at 127.0.0.1"
            )
        try:
            token.encode()
        except UnicodeEncodeError:
            raise BadSetting("the token of the web page is not UTF-8") from None
        return cls(token, frozenset(name.lower() for name in (*names, host)), newer)

    def answers_to(self, host: str) -> bool:
        """Whether a request with this Host header is accepted.

        A foreign page can point its own name here (DNS rebinding), but not an IP address or one of our names.
        """
        name = host.rpartition("]")[0].lstrip("[") if host.startswith("[") else host.partition(":")[0]
        return name.lower() in self.names or name.lower() == "localhost" or _is_address(name)

    @property
    def pass_(self) -> str:
        """The value of the cookie: it grants access and does not reveal the token."""
        return hmac.new(self.token.encode(), b"choregraphie.monitor", hashlib.sha256).hexdigest()

    def opens(self, given: bytes) -> bool:
        """Whether `given` is the token in UTF-8, compared in constant time."""
        return _same(given, self.token.encode()) or (self._renewed() and _same(given, self.token.encode()))

    def _renewed(self) -> bool:
        """Whether the token has changed."""
        now, before = time.monotonic(), self.token
        if now - self.read_at < READ_AGAIN_SECONDS:
            return False
        self.read_at = now
        self.token = self.newer() or before
        return self.token != before

    def lets_in(self, headers: Headers, cookies: Mapping[str, str]) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        # Starlette decodes headers as Latin-1; this restores the bytes.
        bearer = scheme.lower() == "bearer" and self.opens(given.strip().encode("latin-1"))
        return not self.token or bearer or _same(cookies.get(COOKIE, "").encode(), self.pass_.encode())


class AccessMiddleware:
    """Checks every request; lets at most `at_once` into the application, besides cheap ones."""

    def __init__(self, app: ASGIApp, access: Access, at_once: int = MOST_AT_ONCE) -> None:
        self._app = app
        self._access = access
        self._at_once = at_once
        self._inside = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                # Static files may be cached, with revalidation.
                kept = scope["path"].startswith("/static/")
                headers.setdefault("cache-control", "no-cache" if kept else "no-store")
            await send(message)

        counted = scope["path"] not in _NOT_COUNTED and not scope["path"].startswith(_WAITING)
        self._inside += counted
        try:
            await (self._refusal(scope) or self._app)(scope, receive, dressed)
        finally:
            self._inside -= counted

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        if _size(scope) > LARGEST_HEAD_BYTES:
            return PlainTextResponse(
                f"The address and the headers are longer than {LARGEST_HEAD_BYTES} bytes.\n", 431
            )
        if len(path) > LONGEST_PATH:
            return PlainTextResponse(f"No page has an address of more than {LONGEST_PATH} characters.\n", 414)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._access.answers_to(hosts[0]):
            text = "This page is not served under that name. SAGA_MONITOR_NAMES lists the names that it has.\n"
            return PlainTextResponse(text, 421)
        if path.startswith(_OPEN) or self._access.lets_in(headers, HTTPConnection(scope).cookies):
            return self._too_many()
        if scope["method"] in {"GET", "HEAD"} and "text/html" in headers.get("accept", ""):
            return RedirectResponse(f"/login?next={quote(_asked(scope), safe='/')}", 303)
        text = "A token is needed: Authorization: Bearer TOKEN, or sign in at /login.\n"
        return PlainTextResponse(text, 401, {"www-authenticate": "Bearer"})

    def _too_many(self) -> Response | None:
        if self._inside <= self._at_once:
            return None
        text = f"{self._at_once} requests are being answered already; try again.\n"
        return PlainTextResponse(text, 503, {"retry-after": "1"})


def _size(scope: Scope) -> int:
    """The size of a request's head, in bytes."""
    headers = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return headers + len(scope.get("raw_path") or b"") + len(scope["query_string"])


def _asked(scope: Scope) -> str:
    query = scope["query_string"].decode("ascii", "replace")
    return f"{quote(scope['path'])}?{query}" if query else quote(scope["path"])


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same(given: bytes, wanted: bytes) -> bool:
    # Digests, because compare_digest wants equal lengths.
    return hmac.compare_digest(hashlib.sha256(given).digest(), hashlib.sha256(wanted).digest())
