"""Access control: host names, tokens, security headers."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest
from playwright.sync_api import expect
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from choregraphie import BadSetting
from saga_monitor.web.access import COOKIE, Access
from saga_monitor.web.login import Login
from tests.saga_monitor.web.served import served
from tests.support.http_get import get

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.saga_monitor.memory_stream import Stream
    from tests.saga_monitor.web.served import Served

TOKEN = "orange été 🧾 sésame"


@pytest.fixture
def closed(tmp_path: Path, stream: Stream) -> Iterator[Served]:
    with served(tmp_path / "monitor.sqlite3", stream, Access.at("127.0.0.1", TOKEN, ())) as site:
        yield site


@pytest.mark.parametrize("path", ["/", "/nothing", "/api/report", "/livez", "/static/style.css", "/login"])
def test_every_answer_carries_the_headers(site: Served, path: str) -> None:
    headers = get(site.at(path)).headers
    policy = headers["content-security-policy"].split("; ")
    assert policy[0] == "default-src 'self'"
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:80", "", "[::1"]
)
def test_a_page_under_another_name_is_refused(site: Served, host: str) -> None:
    """DNS rebinding: a foreign name that resolves to this machine."""
    answer = get(site.url, headers={"host": host})
    assert answer.status_code == 421
    assert "SAGA_MONITOR_NAMES" in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8787", "127.0.0.1", "[::1]:8787"])
def test_this_machine_s_names_are_answered(site: Served, host: str) -> None:
    assert get(site.url, headers={"host": host}).status_code == 200


def test_a_name_that_was_given_is_answered(tmp_path: Path, stream: Stream) -> None:
    with served(tmp_path / "m.sqlite3", stream, Access.at("127.0.0.1", "", ("monitor.example",))) as site:
        assert get(site.url, headers={"host": "Monitor.example:8787"}).status_code == 200
        assert get(site.url, headers={"host": "other.example"}).status_code == 421


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "monitor.example"])
def test_others_are_let_in_only_with_a_token(host: str) -> None:
    with pytest.raises(BadSetting, match="set a token"):
        Access.at(host, "", ())
    assert Access.at(host, "secret", ()).token == "secret"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert Access.at(host, "", ()).lets_in(Headers(), {})


def test_a_program_shows_the_token_in_a_header(closed: Served) -> None:
    url = closed.at("/api/report")
    assert get(url).status_code == 401
    assert get(url).headers["www-authenticate"] == "Bearer"
    for wrong in ("Bearer wrong", "Bearer", "Basic x", TOKEN, f"Bearer {TOKEN}x"):
        assert get(url, headers={b"authorization": wrong.encode()}).status_code == 401
    assert get(url, headers={b"authorization": f"Bearer {TOKEN}".encode()}).status_code == 200


def test_without_the_token_only_the_form_and_the_probes_answer(closed: Served) -> None:
    pages = ("/", "/sagas/commande/x", "/raw/commande/x", "/anomalies", "/charts", "/choreography")
    for path in (*pages, "/changes", "/metrics"):
        assert get(closed.at(path)).status_code == 401
    assert get(closed.at("/livez")).status_code == 200
    assert get(closed.at("/readyz")).status_code in {200, 503}
    assert get(closed.at("/login")).status_code == 200


def test_a_person_signs_in_with_a_form(closed: Served, open_page: Callable[..., Page]) -> None:
    page = open_page(closed.at("/?state=NEW"), expected=("403",))
    assert "/login" in page.url
    page.get_by_label("Token").fill("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_have_text("That is not the token.")
    page.get_by_label("Token").fill(TOKEN)
    page.keyboard.press("Enter")
    page.wait_for_url("**/?state=NEW")
    expect(page.get_by_role("link", name="Choreography")).to_be_visible()
    (cookie,) = page.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["sameSite"]) == (COOKIE, True, "Strict")
    assert TOKEN not in cookie["value"]


@pytest.mark.parametrize(("told", "secure"), [("https", True), ("http", False), ("", False)])
def test_behind_a_proxy_that_speaks_tls_the_cookie_goes_by_tls_alone(
    closed: Served, told: str, *, secure: bool
) -> None:
    answer = httpx.post(closed.at("/login"), data={"token": TOKEN}, headers={"x-forwarded-proto": told})
    assert ("; Secure" in answer.headers["set-cookie"]) is secure


async def signed_in_from(client: str) -> str:
    access = Access.at("127.0.0.1", TOKEN, ())
    login = Login(access, lambda *_: PlainTextResponse("the form"))
    app = Starlette(routes=[Route("/login", login.sign_in, methods=["POST"])])
    transport = httpx.ASGITransport(app=app, client=(client, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asks:
        answer = await asks.post("/login", data={"token": TOKEN}, headers={"x-forwarded-proto": "https"})
    return answer.headers["set-cookie"]


@pytest.mark.parametrize(("client", "secure"), [("::1", True), ("192.0.2.7", False)])
def test_only_a_proxy_on_this_machine_is_believed(client: str, *, secure: bool) -> None:
    with ThreadPoolExecutor(1) as thread:  # a browser's event loop may occupy this thread
        cookie = thread.submit(asyncio.run, signed_in_from(client)).result()
    assert ("; Secure" in cookie) is secure


@pytest.mark.parametrize(
    "wanted", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:1", "x", "//["]
)
def test_signing_in_leads_to_no_other_site(closed: Served, wanted: str) -> None:
    assert get(closed.at("/login"), params={"next": wanted}).status_code == 200
    answer = httpx.post(closed.at("/login"), data={"token": TOKEN, "next": wanted})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


def test_a_token_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(BadSetting, match="UTF-8"):
        Access.at("127.0.0.1", "s\udcffsame", ())


def test_a_form_of_another_site_signs_nobody_in(closed: Served) -> None:
    for origin in ("https://evil.example", "http://["):
        headers = {"origin": origin}
        assert httpx.post(closed.at("/login"), data={"token": TOKEN}, headers=headers).status_code == 403
    headers = {"origin": "null", "sec-fetch-site": "cross-site"}
    assert httpx.post(closed.at("/login"), data={"token": TOKEN}, headers=headers).status_code == 403
    assert httpx.post(closed.at("/login"), content=b"x" * 100_000).status_code == 403
    assert get(closed.url, cookies={COOKIE: "x" * 64}).status_code == 401
