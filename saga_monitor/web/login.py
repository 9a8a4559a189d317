"""The sign-in form, which exchanges the token for a cookie."""

import asyncio
from collections.abc import Callable
from urllib.parse import SplitResult, parse_qs, urlsplit

from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from saga_monitor.web.access import COOKIE, Access, is_loopback

_LARGEST_FORM = 4096
_WRONG_TOKEN_SECONDS = 0.5
# Further wrong guesses are refused at once, so that they do not hold connections.
_MOST_GUESSES = 5

Form = Callable[[Request, str, str, int], Response]


class Login:
    """`form` renders the page from the request, the next address, the error and the status."""

    def __init__(self, access: Access, form: Form) -> None:
        self._access = access
        self._form = form
        # Wrong guesses are delayed one after another, so that parallel ones are not faster.
        self._guessing = asyncio.Lock()
        self._guesses = 0

    async def show(self, request: Request) -> Response:
        return self._form(request, _within(request.query_params.get("next", "/")), "", 200)

    async def sign_in(self, request: Request) -> Response:
        if _of_another_site(request):
            return self._form(request, "/", "That form is not ours.", 403)
        fields = await _fields(request)
        wanted = _within(fields.get("next", "/"))
        if not self._access.token or not self._access.opens(fields.get("token", "").encode()):
            if self._guesses >= _MOST_GUESSES:
                return self._form(request, wanted, "Too many wrong tokens at once; try again.", 429)
            await self._delay()
            return self._form(request, wanted, "That is not the token.", 403)
        answer = RedirectResponse(wanted, 303)
        answer.set_cookie(COOKIE, self._access.pass_, httponly=True, samesite="strict", secure=_encrypted(request))
        return answer

    async def _delay(self) -> None:
        self._guesses += 1
        try:
            async with self._guessing:
                await asyncio.sleep(_WRONG_TOKEN_SECONDS)
        finally:
            self._guesses -= 1


def _encrypted(request: Request) -> bool:
    """Whether the browser uses TLS to a proxy on this machine. The header of another machine is ignored."""
    near = request.client is not None and is_loopback(request.client.host)
    return near and request.headers.get("x-forwarded-proto", "").lower() == "https"


def _of_another_site(request: Request) -> bool:
    # Our own form sends "null", because of no-referrer. Sec-Fetch-Site is checked where a browser sends it.
    origin, context = request.headers.get("origin", "null"), request.headers.get("sec-fetch-site", "same-origin")
    parts = _split(origin)
    foreign = origin != "null" and (parts is None or parts.netloc != request.headers.get("host"))
    return foreign or context not in {"same-origin", "none"}


async def _fields(request: Request) -> dict[str, str]:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LARGEST_FORM:
                return {}
    except ClientDisconnect:
        return {}  # the client has gone or was too slow
    return {name: values[0] for name, values in parse_qs(body.decode("utf-8", "replace")).items()}


def _within(address: str) -> str:
    """`address` if it is one of our pages, else the first page."""
    parts = _split(address.replace("\\", "/"))
    inside = parts is not None and address.startswith("/") and not parts.scheme and not parts.netloc
    return address if inside and address.isprintable() else "/"


def _split(address: str) -> SplitResult | None:
    """The parts of an address; None when it is none, such as `//[`."""
    try:
        return urlsplit(address)
    except ValueError:
        return None
