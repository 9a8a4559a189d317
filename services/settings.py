"""The settings of the order saga, beside the engine's: the card gateway, the mail carrier."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from choregraphie import Settings
from choregraphie.tls import https_options
from choregraphie.urls import PATH, QUERY, USER, server_of

Rate = Annotated[float, Field(ge=0, le=1)]


def check_gateway(gateway: str) -> str:
    """`gateway` unchanged: `simulated` or an HTTP URL. Raises ValueError for anything else."""
    if gateway != "simulated":
        server_of(gateway, ("http", "https"), "`simulated` or https://host/path", (USER, PATH, QUERY))
        https_options(gateway)
    return gateway


def check_carrier(carrier: str) -> str:
    """`carrier` unchanged: `maildir:FOLDER` or the URL of a mail server. Raises ValueError for anything else."""
    if not re.fullmatch("maildir:.+", carrier):
        server_of(carrier, ("smtp",), "maildir:FOLDER or smtp://host:port")
    return carrier


class OrderSettings(Settings):
    """What users of the order saga set. A field `name` is read from `SAGA_NAME`, as the engine's are."""

    gateway: Annotated[
        str,
        AfterValidator(check_gateway),
        Field(description="`simulated`, or the card gateway's URL, `https://host/path?cafile=FILE`"),
    ] = "simulated"
    gateway_latency: Annotated[float, Field(ge=0, le=600, description="simulated card gateway: latency (s)")] = 0
    gateway_refusal_rate: Annotated[Rate, Field(description="simulated card gateway: refusal rate")] = 0
    gateway_failure_rate: Annotated[Rate, Field(description="simulated card gateway: lost answers")] = 0
    carrier: Annotated[
        str, AfterValidator(check_carrier), Field(description="`maildir:FOLDER` or `smtp://HOST:PORT`")
    ] = "maildir:var/courrier"
    carrier_failure_rate: Annotated[Rate, Field(description="rate of simulated mail failures")] = 0
    mail_domain: Annotated[
        str, Field(pattern=r"^[A-Za-z0-9.-]{1,64}$", description="domain of the customers' relay addresses")
    ] = "clients.invalid"
