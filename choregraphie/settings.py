"""The environment, read once and frozen.

Every program of the project knows every key, so one environment can serve them all, and each refuses a misspelt
key.
"""

import difflib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from choregraphie.amqp_url import check_broker_url
from choregraphie.errors import BadSetting
from choregraphie.secret_files import ReadFromFiles, content_of
from choregraphie.urls import check_carrier, check_gateway, check_management, check_path, check_webhook

PREFIX = "SAGA_"
SHIPPED_CATALOGUE = Path(__file__).parent.parent / "services" / "catalogue.toml"
# Keys of the test suite, in the same environment; they are not settings.
_NOT_SETTINGS = "SAGA_TEST_"


def _seconds(value: object) -> object:
    if isinstance(value, str):
        try:
            return tuple(float(part) for part in value.split(",") if part.strip())
        except ValueError:
            raise ValueError("expected seconds with commas between them, such as 1,5,30") from None
    return value


def _names(value: object) -> object:
    return tuple(name.strip() for name in value.split(",") if name.strip()) if isinstance(value, str) else value


def age_seconds(max_age: str) -> int:
    """The seconds of an `x-max-age`, as RabbitMQ reads it (`unit_value_in_ms` in rabbit_amqqueue.erl)."""
    return int(max_age[:-1]) * _AGE_UNITS[max_age[-1]]


_AGE_UNITS = {"Y": 365 * 86_400, "M": 30 * 86_400, "D": 86_400, "h": 3600, "m": 60, "s": 1}
# What the last message of an order may take beside its retries: queues, restarts.
SPARE_SECONDS = 60
Delays = Annotated[tuple[Annotated[float, Field(ge=0.001, le=86_400)], ...], BeforeValidator(_seconds)]
Names = Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,253}$")], ...], BeforeValidator(_names)]
Rate = Annotated[float, Field(ge=0, le=1)]


class Settings(ReadFromFiles):
    """What users set. A field `name` is read from `SAGA_NAME`, or from the file that `SAGA_NAME_FILE` names."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    amqp_url: Annotated[str, AfterValidator(check_broker_url), Field(description="URL of the broker")] = (
        "amqp://guest:guest@localhost:5672/"
    )
    management_url: Annotated[
        str,
        AfterValidator(check_management),
        Field(
            description="RabbitMQ's management API, `https://user:password@host:15671`: answers what AMQP cannot"
        ),
    ] = ""
    database_url: Annotated[str, Field(description="database URL; `{service}` stands for the service")] = (
        "sqlite:///var/{service}.sqlite3"
    )
    catalogue: Annotated[Path, Field(description="TOML that fills a service's new database")] = SHIPPED_CATALOGUE
    topology: Annotated[
        Literal["apply", "passive"],
        Field(description="`apply` declares exchanges and queues at start, `passive` only checks them"),
    ] = "apply"
    retry_delays: Annotated[
        Delays,
        Field(min_length=1, max_length=20, description="seconds between tries; then it is a dead letter"),
    ] = (1, 5, 30, 120, 600)
    deadline: Annotated[
        float, Field(gt=0, le=2_592_000, description="seconds an order may wait for its decision")
    ] = 900
    call_timeout: Annotated[float, Field(gt=0, le=600, description="timeout of an external call (s)")] = 5
    calls: Annotated[int, Field(ge=1, le=1000, description="concurrent external calls")] = 32
    prefetch: Annotated[int, Field(ge=1, le=2000, description="deliveries a worker holds at once")] = 200
    drain: Annotated[float, Field(gt=0, le=600, description="seconds to finish work in hand at shutdown")] = 25
    history_max_age: Annotated[
        str,
        Field(
            pattern=r"^[0-9]{1,9}[YMDhms]$",
            description="age of the history (`7D`, `12h`); longer than an order takes",
        ),
    ] = "7D"
    history_max_bytes: Annotated[int, Field(ge=1_000_000, le=2**63 - 1, description="bytes of history kept")] = (
        2_000_000_000
    )
    monitor_database: Annotated[Path, BeforeValidator(check_path), Field(description="file of the projection")] = (
        Path("var/monitor.sqlite3")
    )
    monitor_host: Annotated[str, Field(min_length=1, description="address the web page listens at")] = "127.0.0.1"
    monitor_port: Annotated[int, Field(ge=0, le=65_535, description="web page's port; 0 takes a free one")] = 8787
    monitor_token: Annotated[
        str, Field(max_length=500, description="token of the web page; required to listen beyond this machine")
    ] = ""
    monitor_names: Annotated[
        Names, Field(description="host names of the web page, beside addresses and localhost")
    ] = ()
    monitor_keep_days: Annotated[
        float, Field(gt=0, le=3650, description="days the monitor keeps an order that has ended")
    ] = 30
    stuck_after: Annotated[
        float,
        Field(
            gt=0,
            le=2_592_000,
            description="seconds of silence after which an order is STUCK; `anomalies` allows a slow step up to"
            " ten times as long",
        ),
    ] = 60
    alert_webhook: Annotated[
        str,
        AfterValidator(check_webhook),
        Field(description="URL to which alerts are posted as JSON"),
    ] = ""
    alert_apprise: Annotated[
        str,
        Field(
            max_length=5000,
            description="space-separated Apprise URLs for alerts; needs the extra `alerts`",
        ),
    ] = ""
    alert_repeat: Annotated[
        float, Field(ge=60, le=2_592_000, description="seconds until an alert that is still open is sent again")
    ] = 21_600
    metrics_port: Annotated[
        int, Field(ge=0, le=65_535, description="a worker's port for /metrics, /livez and /readyz; 0: none")
    ] = 0
    metrics_host: Annotated[str, Field(min_length=1, description="address of that port")] = "127.0.0.1"
    gateway: Annotated[
        str, AfterValidator(check_gateway), Field(description="`simulated`, or the card gateway's URL")
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
    inbox_days: Annotated[
        float,
        Field(
            gt=0,
            le=3650,
            description="days a handled event is remembered, and a demand to cancel an order that never came;"
            " longer than any message may take to come again",
        ),
    ] = 30
    outbox_days: Annotated[
        float, Field(gt=0, le=3650, description="days a published event is kept, to refill a broker that lost it")
    ] = 7
    failpoint: Annotated[str, Field(description="for tests: where a worker dies, `PLACE` or `PLACE:COUNT`")] = ""
    log_format: Annotated[Literal["auto", "console", "json"], Field(description="`auto`: JSON off a terminal")] = (
        "auto"
    )
    log_level: Annotated[Literal["debug", "info", "warning", "error"], Field(description="lowest level shown")] = (
        "info"
    )

    @model_validator(mode="after")
    def _remembers_long_enough(self) -> "Settings":
        # An event that is redelivered after it was forgotten would have its effect twice.
        if self.inbox_days < self.outbox_days:
            raise ValueError(
                "SAGA_INBOX_DAYS: less than SAGA_OUTBOX_DAYS, from which events may be published again"
            )
        if self.inbox_days * 86_400 <= sum(self.retry_delays):
            raise ValueError("SAGA_INBOX_DAYS: not longer than all of SAGA_RETRY_DELAYS together")
        return self

    @model_validator(mode="after")
    def _keeps_whole_orders(self) -> "Settings":
        # A new monitor would see only the end of the current orders, or nothing of them.
        tries = len(self.retry_delays) + 1
        needed = self.deadline + sum(self.retry_delays) + 2 * tries * self.call_timeout + SPARE_SECONDS
        if age_seconds(self.history_max_age) < needed:
            raise ValueError(
                "SAGA_HISTORY_MAX_AGE: shorter than an order may take, which is SAGA_DEADLINE, all of"
                f" SAGA_RETRY_DELAYS and the calls between them: at least {math.ceil(needed)}s"
            )
        return self

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.lower() if isinstance(level, str) else level


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The settings found in `environ`.

    Raises BadSetting, in one line without the value (it may be a secret), when a key is unknown or unreadable.
    """
    given: dict[str, str] = {}
    files: dict[str, tuple[str, str]] = {}
    for key, value in environ.items():
        if not key.startswith(PREFIX) or key.startswith(_NOT_SETTINGS):
            continue
        name = key.removeprefix(PREFIX).lower()
        field = name if name in Settings.model_fields else name.removesuffix("_file")
        if field not in Settings.model_fields:
            raise BadSetting(f"{key} is not a setting{_hint(name)}")
        if field in given:
            raise BadSetting(f"{PREFIX}{field.upper()} is given twice, once as a file")
        given[field] = value if field == name else content_of(key, value)
        files |= {} if field == name else {field: (key, value)}
    try:
        settings = Settings.model_validate(given)
    except ValidationError as error:
        raise _bad(error) from None
    settings.come_from(files)
    return settings


def _bad(error: ValidationError) -> BadSetting:
    first = error.errors()[0]
    # The text of our own ValueErrors, without the words that pydantic adds.
    message = str(first.get("ctx", {}).get("error", first["msg"]))
    if first["type"] == "string_pattern_mismatch":
        # A person cannot read a regular expression; the description says what the setting takes.
        message = f"not of the right form; it is for {Settings.model_fields[str(first['loc'][0])].description}"
    # An error between several settings names them itself.
    where = f"{PREFIX}{str(first['loc'][0]).upper()}: " if first["loc"] else ""
    return BadSetting(f"{where}{message}")


def _hint(name: str) -> str:
    near = difflib.get_close_matches(name, Settings.model_fields, n=1)
    return f"; did you mean {PREFIX}{near[0].upper()}?" if near else ""
