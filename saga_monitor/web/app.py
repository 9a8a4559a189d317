"""The ASGI application: routes and error answers."""

import re
from collections.abc import Callable, Iterator, Sequence
from http import HTTPStatus
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from choregraphie import UserError
from saga_monitor.web.access import MOST_AT_ONCE, Access, AccessMiddleware
from saga_monitor.web.api import Api
from saga_monitor.web.context import WebContext
from saga_monitor.web.dead_letter_pages import DeadLetterPages
from saga_monitor.web.figure_pages import FigurePages
from saga_monitor.web.filters import BadRequestError
from saga_monitor.web.login import Login
from saga_monitor.web.pages import Pages
from saga_monitor.web.saga_answers import SagaAnswers
from saga_monitor.web.templating import HERE

_FOR_PROGRAMS = (
    "/api/instances, /api/instances/{saga}/{key}, /api/sagas/{saga}/{key}, /api/letters, /api/letters/{offset},"
    " /api/report and /api/anomalies"
)
# A saga's instances also have an address under its noun, such as /orders/{key}.
_NOUN_IN_A_PATH = re.compile(r"[a-z0-9-]+")
_TITLES = {400: "Bad request", 404: "Not found", 405: "Read-only", 503: "Not available now"}


def web_app(
    context: WebContext, access: Access, metrics: ASGIApp | None = None, at_once: int = MOST_AT_ONCE
) -> ASGIApp:
    """The application, for `at_once` concurrent requests; `metrics` is mounted at /metrics."""
    app = Starlette(
        routes=_routes(context, access, metrics),
        exception_handlers={
            HTTPException: lambda request, error: _error(context, request, error.status_code, error.detail),
            BadRequestError: lambda request, error: _error(context, request, 400, str(error)),
            UserError: lambda request, error: _error(context, request, 503, str(error)),
            500: lambda request, _: _error(context, request, 500, "Internal error; see the monitor's log."),
        },
    )
    return AccessMiddleware(app, access, at_once)


def _routes(context: WebContext, access: Access, metrics: ASGIApp | None) -> Sequence[BaseRoute]:
    login = Login(
        access,
        lambda request, wanted, wrong, status: context.bare_page(
            request, "login.html", status, next=wanted, wrong=wrong
        ),
    )
    return [
        *_pages(context),
        Route("/login", login.show, methods=["GET"]),
        Route("/login", login.sign_in, methods=["POST"]),
        *_for_programs(context),
        *([Route("/metrics", metrics)] if metrics else []),
        Mount("/static", StaticFiles(directory=HERE / "static")),
        # Last: an address of above is never one of a noun.
        *_by_noun(context),
    ]


def _pages(context: WebContext) -> Sequence[BaseRoute]:
    pages, figures, dead_letters = Pages(context), FigurePages(context), DeadLetterPages(context)
    return [
        Route("/", pages.instances),
        *_of_instance("/sagas", pages.instance),
        *_of_instance("/raw", pages.raw),
        Route("/keys/{key:path}", pages.key),
        Route("/keys", pages.key),
        Route("/letters/{offset:int}", dead_letters.page),
        Route("/anomalies", figures.anomalies),
        Route("/charts", figures.charts),
        Route("/choreography", figures.choreography),
    ]


def _of_instance(path: str, endpoint: Callable[[Request], Any]) -> Sequence[BaseRoute]:
    """An instance's address; a key that a path cannot hold, such as `..`, is the parameter `key`."""
    return [Route(f"{path}/{{saga}}/{{key:path}}", endpoint), Route(f"{path}/{{saga}}", endpoint)]


def _for_programs(context: WebContext) -> Sequence[BaseRoute]:
    api, dead_letters, answers = Api(context), DeadLetterPages(context), SagaAnswers(context)
    return [
        Route("/changes", api.changes),
        Route("/api/instances", api.instances),
        *_of_instance("/api/instances", api.instance),
        *_of_instance("/api/sagas", answers.saga),
        Route("/api/letters", dead_letters.all),
        Route("/api/letters/{offset:int}", dead_letters.api),
        Route("/api/report", api.report),
        Route("/api/anomalies", api.anomalies),
        Route("/livez", api.lives),
        Route("/readyz", api.is_ready),
    ]


def _by_noun(context: WebContext) -> Iterator[BaseRoute]:
    api, pages = Api(context), Pages(context)
    for saga in context.sagas:
        noun = saga.noun[1]
        if _NOUN_IN_A_PATH.fullmatch(noun):
            yield Route(f"/{noun}/{{key:path}}", pages.moved(saga.name))
            yield Route(f"/api/{noun}", api.of_saga(saga.name))
            yield Route(f"/api/{noun}/{{key:path}}", api.instance_of(saga.name))


def _error(context: WebContext, request: Request, status: int, text: str) -> Response:
    """The error as JSON under /api/, else as a page."""
    program = request.url.path.startswith("/api/")
    if status == 404 and text == HTTPStatus.NOT_FOUND.phrase:
        text = f"There is no such address; there are {_FOR_PROGRAMS}." if program else "There is no such page."
    if program:
        return JSONResponse({"error": text}, status)
    return context.bare_page(request, "wrong.html", status, title=_TITLES.get(status, "Error"), text=text)
