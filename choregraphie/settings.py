"""The environment, read once and frozen.

An application adds its own settings in a subclass of `Settings`. Every program of an application knows every key,
so one environment can serve them all, and each refuses a misspelt key.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar

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
from choregraphie.setting_errors import bad_setting, hint
from choregraphie.setting_types import (
    LONGEST_HOLD_SECONDS,
    Delays,
    Lane,
    Names,
    StepTimeouts,
    TraceMode,
    age_seconds,
)
from choregraphie.urls import check_management, check_path, check_webhook

PREFIX = "SAGA_"
# The key that names the application, which is known before its settings are.
APP_KEY = "SAGA_APP"
_TEST_PREFIX = "SAGA_TEST_"  # keys of test suites, in the same environment
SPARE_SECONDS = 60  # what the last message of an instance may take beside its retries: queues, restarts


class Settings(ReadFromFiles):
    """What users set. A field `name` is read from `SAGA_NAME`, or from the file that `SAGA_NAME_FILE` names."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    amqp_url: Annotated[
        str,
        AfterValidator(check_broker_url),
        Field(description="URL of the broker, `amqps://…?cafile=FILE&certfile=FILE&keyfile=FILE` for TLS"),
    ] = "amqp://guest:guest@localhost:5672/"
    management_url: Annotated[
        str,
        AfterValidator(check_management),
        Field(
            description="RabbitMQ's management API, `https://user:password@host:15671?cafile=FILE`: answers what"
            " AMQP cannot"
        ),
    ] = ""
    database_url: Annotated[
        str, Field(description="database URL; `{service}` stands for the service; TLS by `sslmode`")
    ] = "sqlite:///var/{service}.sqlite3"
    catalogue: Annotated[
        Path | None,
        Field(description="TOML that fills a service's new database; by default the application's own"),
    ] = None
    coordination: Annotated[
        Literal["choreography", "orchestration"],
        Field(description="who leads: the services together, or an orchestrator; one kind in a virtual host"),
    ] = "choreography"
    signing: Annotated[
        Literal["off", "ed25519"],
        Field(description="`ed25519`: events are signed, and others are refused; needs the extra `signing`"),
    ] = "off"
    signing_key: Annotated[
        str, Field(min_length=1, description="file of the private key; `{service}` stands for who signs")
    ] = "var/keys/private/{service}.pem"
    signing_public: Annotated[
        Path, BeforeValidator(check_path), Field(description="folder of the public keys, a folder for each owner")
    ] = Path("var/keys/public")
    topology: Annotated[
        Literal["apply", "passive"],
        Field(description="`apply` declares exchanges and queues at start, `passive` only checks them"),
    ] = "apply"
    retry_delays: Annotated[
        Delays,
        Field(min_length=1, max_length=20, description="seconds between tries; then it is a dead letter"),
    ] = (1, 5, 30, 120, 600)
    hold_after: Annotated[
        int, Field(ge=1, le=1000, description="failed calls in a row after which an outside system counts as down")
    ] = 5
    probe_every: Annotated[
        float, Field(gt=0, le=600, description="seconds between probes of an outside system that is down")
    ] = 10
    longest_hold: Annotated[
        float, Field(gt=0, le=LONGEST_HOLD_SECONDS, description="seconds an inbox is held; then retries apply")
    ] = 3600
    deadline: Annotated[
        float, Field(gt=0, le=2_592_000, description="seconds an instance may wait for its decision, held or not")
    ] = 5400
    step_timeouts: StepTimeouts = Field(default_factory=dict)
    call_timeout: Annotated[float, Field(gt=0, le=600, description="timeout of an external call (s)")] = 5
    calls: Annotated[int, Field(ge=1, le=1000, description="concurrent external calls")] = 32
    prefetch: Annotated[int, Field(ge=1, le=2000, description="deliveries a worker holds at once")] = 600
    lane: Lane = "auto"
    drain: Annotated[float, Field(gt=0, le=600, description="seconds to finish work in hand at shutdown")] = 25
    history_max_age: Annotated[
        str,
        Field(
            pattern=r"^[0-9]{1,9}[YMDhms]$",
            description="age of the history (`7D`, `12h`); longer than an instance takes",
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
        float, Field(gt=0, le=3650, description="days the monitor keeps an instance that has ended")
    ] = 30
    stuck_after: Annotated[
        float,
        Field(
            gt=0,
            le=2_592_000,
            description="seconds of silence after which an instance is STUCK; `anomalies` allows a slow step up to"
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
    tracing: TraceMode = "off"
    inbox_days: Annotated[
        float,
        Field(
            gt=0,
            le=3650,
            description="days a handled event is remembered, and a demand to cancel what never began;"
            " longer than any message may take to come again",
        ),
    ] = 30
    outbox_days: Annotated[
        float, Field(gt=0, le=3650, description="days a published event is kept, to refill a broker that lost it")
    ] = 7
    failpoint: Annotated[str, Field(description="for tests: where a program dies, `PLACE` or `PLACE:COUNT`")] = ""
    log_format: Annotated[Literal["auto", "console", "json"], Field(description="`auto`: JSON off a terminal")] = (
        "auto"
    )
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Field(description="lowest level; `debug`: each delivery")
    ] = "info"

    @model_validator(mode="after")
    def _remembers_long_enough(self) -> "Settings":
        # An event that is redelivered after it was forgotten would have its effect twice.
        if self.inbox_days < self.outbox_days:
            raise ValueError(
                "SAGA_INBOX_DAYS: less than SAGA_OUTBOX_DAYS, from which events may be published again"
            )
        # The events of a join are kept as long, and its last event may come at the deadline.
        if self.inbox_days * 86_400 <= self.deadline + sum(self.retry_delays):
            raise ValueError(
                "SAGA_INBOX_DAYS: not longer than SAGA_DEADLINE and all of SAGA_RETRY_DELAYS together"
            )
        return self

    @model_validator(mode="after")
    def _keeps_whole_instances(self) -> "Settings":
        # A new monitor would see only the end of the current instances, or nothing of them.
        tries = len(self.retry_delays) + 1
        needed = self.deadline + self.longest_hold + sum(self.retry_delays) + 2 * tries * self.call_timeout
        needed += SPARE_SECONDS
        if age_seconds(self.history_max_age) < needed:
            raise ValueError(
                "SAGA_HISTORY_MAX_AGE: shorter than an instance may take, which is SAGA_DEADLINE,"
                f" SAGA_LONGEST_HOLD, SAGA_RETRY_DELAYS and the calls between them: at least {math.ceil(needed)}s"
            )
        return self

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, level: object) -> object:
        return level.lower() if isinstance(level, str) else level


S = TypeVar("S", bound=Settings)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """The engine's settings found in `environ`. Raises BadSetting."""
    return read_settings_as(Settings, environ)


def read_settings_as(cls: type[S], environ: Mapping[str, str]) -> S:
    """The settings of class `cls` found in `environ`.

    Raises BadSetting, in one line without the value (it may be a secret), when a key is unknown or unreadable.
    """
    given: dict[str, str] = {}
    files: dict[str, tuple[str, str]] = {}
    for key, value in environ.items():
        if not key.startswith(PREFIX) or key.startswith(_TEST_PREFIX) or key == APP_KEY:
            continue
        name = key.removeprefix(PREFIX).lower()
        field = name if name in cls.model_fields else name.removesuffix("_file")
        if field not in cls.model_fields:
            raise BadSetting(f"{key} is not a setting{hint(PREFIX, name, cls)}")
        if field in given:
            raise BadSetting(f"{PREFIX}{field.upper()} is given twice, once as a file")
        given[field] = value if field == name else content_of(key, value)
        files |= {} if field == name else {field: (key, value)}
    try:
        settings = cls.model_validate(given)
    except ValidationError as error:
        raise bad_setting(PREFIX, error, cls) from None
    settings.come_from(files)
    return settings
