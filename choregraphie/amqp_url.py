"""Reads the broker URL: every part and parameter is used or refused in one line.

The names are those of RabbitMQ (https://www.rabbitmq.com/docs/uri-query-parameters) and of aio-pika. A parameter
that the client would ignore is refused, because its author relies on it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote

from choregraphie.tls import CERTIFICATES, PARAMETERS, client_context
from choregraphie.url_parameters import Parameters, options_of, parameters_of
from choregraphie.urls import LOOPBACK, PATH, QUERY, USER, check_login, check_no_guest, server_of

# A half-open connection is noticed after three heartbeats, so after half a minute; the default takes three
# minutes.
HEARTBEAT_SECONDS = 10
CONNECT_SECONDS = 10.0
DEFAULT_PORTS = {"amqp": 5672, "amqps": 5671}

_EXAMPLE = "amqp://user:password@host:port/vhost"
_LONGEST_VHOST_BYTES = 255  # a short string; AMQP 0-9-1, 4.2.5.3
_PARAMETER = re.compile("[A-Za-z0-9_.-]{1,40}")


@dataclass(frozen=True)
class BrokerAddress:
    """A broker's URL as the client takes it: `url` has no parameters, `options` are the client's."""

    url: str
    user: str
    host: str
    port: int
    vhost: str
    heartbeat_seconds: int
    connect_seconds: float
    name: str
    options: Mapping[str, Any]

    @property
    def secured(self) -> bool:
        """Whether TLS is asked for."""
        return self.url.startswith("amqps:")

    @property
    def place(self) -> str:
        """Host and port, for messages to a person."""
        return f"{self.host}:{self.port}"


def check_broker_url(url: str) -> str:
    """`url` unchanged.

    Raises ValueError, in one line without values of the URL, when some of it cannot be used.
    """
    options = broker_address(url).options
    # When a session is opened, the client cannot tell an unusable file from a broker that is away. Where none is
    # named there is nothing to find, and reading the system's authorities takes 0.02 s.
    if any(name in options for name in CERTIFICATES):
        client_context(options)
    return url


def broker_address(url: str) -> BrokerAddress:
    """The address that `url` names. Raises ValueError when some of it cannot be used."""
    parts = server_of(url, ("amqp", "amqps"), _EXAMPLE, (USER, PATH, QUERY))
    options = _options(parts.query)
    if parts.scheme == "amqp" and (given := [name for name in CERTIFICATES if name in options]):
        raise ValueError(f"{given[0]} is for amqps://, and this is amqp://")
    external = options.get("auth") == "external"
    if external and "certfile" not in options:
        raise ValueError("auth=external needs amqps:// with certfile and keyfile")
    if not parts.username and parts.hostname not in LOOPBACK and not external:
        raise ValueError("names no user, and guest is only for this machine")
    if "@" in parts.netloc and not external:
        check_login(parts)
        check_no_guest(parts)
    vhost = _vhost(parts)
    return BrokerAddress(
        url=f"{parts.scheme}://{parts.netloc}/{'' if vhost == '/' else quote(vhost, safe='')}",
        user=unquote(parts.username or "guest"),
        host=parts.hostname or "",
        port=parts.port or DEFAULT_PORTS[parts.scheme],
        vhost=vhost,
        heartbeat_seconds=int(options.pop("heartbeat", HEARTBEAT_SECONDS)),
        connect_seconds=float(options.pop("timeout", CONNECT_SECONDS)),
        name=options.pop("name", ""),
        options=options,
    )


def _vhost(parts: SplitResult) -> str:
    vhost = unquote(parts.path[1:]) or "/"
    # The client reads `.` and `..` as a path, and `%2F` as a slash.
    if vhost in {".", ".."} or "%2F" in vhost or "\0" in vhost or len(vhost.encode()) > _LONGEST_VHOST_BYTES:
        raise ValueError("the name of the virtual host cannot be used")
    return vhost


def _options(query: str) -> dict[str, str]:
    given = parameters_of(query)
    for name, _ in sorted(given, key=lambda pair: pair[0] not in _REFUSED):
        if not _PARAMETER.fullmatch(name):
            raise ValueError("has a parameter without a plain name; a ? in a password is written %3F")
        if why := _REFUSED.get(name):
            raise ValueError(f"{name}: {why}")
        if name not in _USED:
            raise ValueError(f"{name} is not used; what is: {', '.join(sorted(_USED))}")
    options = options_of(given, _USED)
    options.pop("verify", None)  # the client always verifies
    return options


def _seconds(value: str) -> str:
    return _number(value, 1, 600, "seconds")


def _milliseconds(value: str) -> str:
    return str(float(_number(value, 100, 600_000, "milliseconds")) / 1000)


def _whole_seconds(value: str) -> str:
    if not value.isascii() or not value.isdigit():
        raise ValueError("expected whole seconds from 1 to 600")
    return _number(value, 1, 600, "seconds")


def _number(value: str, least: float, most: float, unit: str) -> str:
    expected = f"expected {unit} from {least:g} to {most:g}"
    if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value) or not least <= float(value) <= most:
        raise ValueError(expected)
    return value


def _name(value: str) -> str:
    if not value.isprintable() or not 1 <= len(value) <= 100:
        raise ValueError("expected 1 to 100 printable characters")
    return value


def _authentication(value: str) -> str:
    if value.lower() not in {"plain", "external"}:
        raise ValueError("expected plain or external")
    return value.lower()


def _verification(value: str) -> str:
    if value != "verify_peer":
        raise ValueError("turns certificate verification off; trust the authority instead")
    return value


# The options are the client's.
_USED: Parameters = {
    "heartbeat": ("heartbeat", _whole_seconds),
    "timeout": ("timeout", _seconds),
    "connection_timeout": ("timeout", _milliseconds),
    "name": ("name", _name),
    "auth": ("auth", _authentication),
    "auth_mechanism": ("auth", _authentication),
    **PARAMETERS,
    "verify": ("verify", _verification),
}
_REFUSED = {
    "no_verify_ssl": "turns certificate verification off; trust the authority instead",
    "connection_attempts": "is not used; a worker tries again for as long as the broker is away",
    "retry_delay": "is not used; the pause between tries grows from 0.5 to 30 seconds",
    "reconnect_interval": "is not used; the pause between tries grows from 0.5 to 30 seconds",
    "socket_timeout": "is not used; timeout bounds the seconds to connect",
    "stack_timeout": "is not used; timeout bounds the seconds to connect",
    "blocked_connection_timeout": "is not used; a publish without an answer is sent again after 30 seconds",
    "channel_max": "is not used; the client takes what the broker offers",
    "frame_max": "is not used; the client takes what the broker offers",
    "locale": "is not used; the client asks for en_US",
    "server_name_indication": "is not used; the certificate must name the host of the URL",
    "ssl_options": "is not used; cafile, capath, certfile and keyfile are",
}
