"""The ASGI application: routes and error answers."""

from collections.abc import Sequence
from http import HTTPStatus

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
from saga_monitor.web.filters import BadRequestError
from saga_monitor.web.login import Login
from saga_monitor.web.pages import Pages
from saga_monitor.web.templating import HERE

_FOR_PROGRAMS = "/api/orders, /api/orders/{id}, /api/letters/{offset}, /api/report and /api/anomalies"
_TITLES = {400: "Bad request", 404: "Not found", 405: "Read-only", 503: "Not available now"}


def application(
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
    ]


def _pages(context: WebContext) -> Sequence[BaseRoute]:
    pages, dead_letters = Pages(context), DeadLetterPages(context)
    return [
        Route("/", pages.orders),
        Route("/orders/{id:path}", pages.order),
        Route("/order", pages.order),
        Route("/raw/{id:path}", pages.raw),
        Route("/raw", pages.raw),
        Route("/letters/{offset:int}", dead_letters.page),
        Route("/anomalies", pages.anomalies),
        Route("/charts", pages.charts),
        Route("/choreography", pages.choreography),
    ]


def _for_programs(context: WebContext) -> Sequence[BaseRoute]:
    api, dead_letters = Api(context), DeadLetterPages(context)
    return [
        Route("/changes", api.changes),
        Route("/api/orders", api.orders),
        Route("/api/orders/{id:path}", api.order),
        Route("/api/order", api.order),
        Route("/api/letters/{offset:int}", dead_letters.api),
        Route("/api/report", api.report),
        Route("/api/anomalies", api.anomalies),
        Route("/livez", api.lives),
        Route("/readyz", api.is_ready),
    ]


def _error(context: WebContext, request: Request, status: int, text: str) -> Response:
    """The error as JSON under /api/, else as a page."""
    program = request.url.path.startswith("/api/")
    if status == 404 and text == HTTPStatus.NOT_FOUND.phrase:
        text = f"There is no such address; there are {_FOR_PROGRAMS}." if program else "There is no such page."
    if program:
        return JSONResponse({"error": text}, status)
    return context.bare_page(request, "wrong.html", status, title=_TITLES.get(status, "Error"), text=text)
