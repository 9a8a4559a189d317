"""The environment is read once, unknown keys are refused with a hint, and secrets are never shown."""

from pathlib import Path
from typing import Any

import pytest
import trustme

from choregraphie import BadSetting, Settings, read_settings
from choregraphie.setting_types import age_seconds
from services.application import APP


def refused(environ: dict[str, str]) -> str:
    with pytest.raises(BadSetting) as caught:
        APP.read_settings(environ)
    assert "\n" not in str(caught.value)
    assert "hush" not in str(caught.value)
    return str(caught.value)


def test_the_inbox_outlives_the_deadline() -> None:
    """The events of a join are kept as long, and its last event may come at the deadline."""
    said = refused({"SAGA_INBOX_DAYS": "1", "SAGA_OUTBOX_DAYS": "1", "SAGA_DEADLINE": "86400"})
    assert said.startswith("SAGA_INBOX_DAYS: not longer than SAGA_DEADLINE")


def test_an_empty_environment_gives_the_defaults() -> None:
    assert read_settings({}) == Settings()
    assert Settings().retry_delays == (1, 5, 30, 120, 600)
    assert (Settings().deadline, Settings().call_timeout) == (5400, 5)


def test_by_default_an_instance_outlives_the_longest_hold_and_every_retry_after_it() -> None:
    usual = Settings()
    assert usual.deadline > usual.longest_hold + sum(usual.retry_delays)


def test_only_our_own_keys_are_read() -> None:
    assert read_settings({"PATH": "/bin", "AMQP_URL": "x", "SAGA_TEST_BROKER": "private"}) == Settings()


def test_values_are_read() -> None:
    settings = read_settings(
        {"SAGA_RETRY_DELAYS": "0.5, 2", "SAGA_DEADLINE": "60", "SAGA_LOG_LEVEL": "WARNING", "SAGA_PREFETCH": "7"}
    )
    assert (settings.retry_delays, settings.deadline) == ((0.5, 2), 60)
    assert (settings.log_level, settings.prefetch) == ("warning", 7)


def test_timeouts_of_steps_are_read_by_their_names() -> None:
    assert read_settings({"SAGA_STEP_TIMEOUTS": "paiement=30, stock=0.5"}).step_timeouts == {
        "paiement": 30,
        "stock": 0.5,
    }


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("SAGA_AMPQ_URL", "SAGA_AMQP_URL"),
        ("SAGA_DEADLINES", "SAGA_DEADLINE"),
        ("SAGA_DATABSE_URL_FILE", ""),
        ("SAGA_XYZZY", ""),
    ],
)
def test_an_unknown_key_is_refused_with_a_hint(key: str, hint: str) -> None:
    said = refused({key: "hush"})
    assert key in said
    assert hint in said


def test_a_secret_is_read_from_a_file_without_its_newline(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("amqp://u:hush@broker.example/\n")
    assert read_settings({"SAGA_AMQP_URL_FILE": str(secret)}).amqp_url == "amqp://u:hush@broker.example/"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nothing"
    assert f"SAGA_AMQP_URL_FILE: {missing}: No such file" in refused({"SAGA_AMQP_URL_FILE": str(missing)})
    assert "SAGA_AMQP_URL_FILE" in refused({"SAGA_AMQP_URL_FILE": str(tmp_path)})


def test_a_file_without_a_name_is_empty() -> None:
    assert refused({"SAGA_AMQP_URL_FILE": ""}).endswith("SAGA_AMQP_URL_FILE: empty")


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "url").write_bytes(b"\xff\xfe\x00")
    assert "SAGA_AMQP_URL_FILE" in refused({"SAGA_AMQP_URL_FILE": str(tmp_path / "url")})


def test_the_same_setting_twice_is_refused(tmp_path: Path) -> None:
    """It would be unclear which one counts."""
    (tmp_path / "url").write_text("amqp://localhost/")
    both = {"SAGA_AMQP_URL": "amqp://localhost/x", "SAGA_AMQP_URL_FILE": str(tmp_path / "url")}
    assert "SAGA_AMQP_URL" in refused(both)


@pytest.mark.parametrize(
    "url",
    [
        "http://u:hush@broker.example/",
        "hush",
        "",
        "amqp://",
        "amqp:///vhost",
        "amqp://u:hush@broker.example:port/",
        "amqp://u:hush@broker.example:99999/",
        "amqp://u:hush@[broker.example/",
    ],
)
def test_an_invalid_broker_url_is_refused_without_its_password(url: str) -> None:
    assert "SAGA_AMQP_URL" in refused({"SAGA_AMQP_URL": url})


@pytest.mark.parametrize("url", ["amqp://broker.example/", "amqps://broker.example/", "amqp://10.0.0.1:5672/v"])
def test_guest_is_only_for_this_machine(url: str) -> None:
    """A URL without a user means guest."""
    assert "guest" in refused({"SAGA_AMQP_URL": url})
    for here in ("localhost", "127.0.0.1", "[::1]"):
        assert read_settings({"SAGA_AMQP_URL": f"amqp://{here}/"}).amqp_url


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("SAGA_AMQP_URL", "amqp://guest:hush@broker.example/"),
        ("SAGA_AMQP_URL", "amqps://gues%74:hush@10.0.0.1/v"),
        ("SAGA_MANAGEMENT_URL", "https://guest:hush@broker.example:15671"),
    ],
)
def test_the_user_guest_is_refused_beyond_this_machine(key: str, url: str) -> None:
    assert "guest" in refused({key: url})
    here = url.replace("broker.example", "localhost").replace("10.0.0.1", "127.0.0.1")
    assert read_settings({key: here})


@pytest.mark.parametrize("query", ["no_verify_ssl=1", "cafile=x&no_verify_ssl=0", "no%5Fverify_ssl=1"])
def test_verification_cannot_be_turned_off(query: str) -> None:
    assert "verification" in refused({"SAGA_AMQP_URL": f"amqps://u:hush@broker.example/?{query}"})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SAGA_STEP_TIMEOUTS", "paiement"),
        ("SAGA_STEP_TIMEOUTS", "paiement=soon"),
        ("SAGA_STEP_TIMEOUTS", "paiement=0"),
        ("SAGA_STEP_TIMEOUTS", "paiement=nan"),
        ("SAGA_RETRY_DELAYS", "hush"),
        ("SAGA_RETRY_DELAYS", ""),
        ("SAGA_RETRY_DELAYS", "1,0"),
        ("SAGA_RETRY_DELAYS", "1,-5"),
        ("SAGA_RETRY_DELAYS", "nan"),
        ("SAGA_RETRY_DELAYS", "inf"),
        ("SAGA_DEADLINE", "0"),
        ("SAGA_DEADLINE", "soon"),
        ("SAGA_DEADLINE", "nan"),
        ("SAGA_PREFETCH", "0"),
        ("SAGA_PREFETCH", "1.5"),
        ("SAGA_GATEWAY_FAILURE_RATE", "1.01"),
        ("SAGA_CARRIER", "pigeon:hush"),
        ("SAGA_CARRIER", "smtp://hush:99999"),
        ("SAGA_CARRIER", "smtp://[::1"),
        ("SAGA_GATEWAY", "http://[::1"),
        ("SAGA_GATEWAY", "ftp://hush"),
        ("SAGA_AMQP_URL", "amqps://hush:hush@h/?cafile=/nowhere/hush.pem"),
        ("SAGA_LOG_LEVEL", "loud"),
        ("SAGA_LOG_FORMAT", "xml"),
        ("SAGA_TOPOLOGY", "maybe"),
        ("SAGA_HISTORY_MAX_AGE", "a week"),
        ("SAGA_HISTORY_MAX_AGE", "99999999999999999999Y"),
        ("SAGA_HISTORY_MAX_AGE", "\u0667D"),
        ("SAGA_HISTORY_MAX_BYTES", "99999999999999999999"),
        ("SAGA_STUCK_AFTER", "inf"),
        ("SAGA_MAIL_DOMAIN", "a b"),
    ],
)
def test_an_invalid_value_is_refused_by_its_key(key: str, value: str) -> None:
    assert key in refused({key: value})


@pytest.mark.parametrize(
    ("days", "delays"),
    [("0.00001", "1,5"), ("6.9", "1,5"), ("7", ",".join(["86400"] * 7)), ("10", ",".join(["86400"] * 20))],
)
def test_the_inbox_outlasts_every_possible_redelivery(days: str, delays: str) -> None:
    """An event forgotten too early would have its effect twice."""
    said = refused({"SAGA_INBOX_DAYS": days, "SAGA_RETRY_DELAYS": delays})
    assert said.startswith("SAGA_INBOX_DAYS: ")


@pytest.mark.parametrize(
    "given",
    [
        {"SAGA_HISTORY_MAX_AGE": "160m"},
        {"SAGA_HISTORY_MAX_AGE": "9800s"},
        {"SAGA_HISTORY_MAX_AGE": "0Y"},
        {"SAGA_HISTORY_MAX_AGE": "1D", "SAGA_DEADLINE": "86400"},
        {"SAGA_DEADLINE": "604800"},
        {"SAGA_RETRY_DELAYS": ",".join(["86400"] * 7)},
        {"SAGA_HISTORY_MAX_AGE": "165m", "SAGA_CALL_TIMEOUT": "60"},
        {"SAGA_HISTORY_MAX_AGE": "165m", "SAGA_LONGEST_HOLD": "4000"},
    ],
)
def test_a_history_that_is_shorter_than_an_order_is_refused(given: dict[str, str]) -> None:
    said = refused(given)
    assert said.startswith("SAGA_HISTORY_MAX_AGE: shorter than an instance may take")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("age", "seconds"),
    [
        ("1Y", 31_536_000),
        ("1M", 2_592_000),
        ("7D", 604_800),
        ("12h", 43_200),
        ("300m", 18_000),
        ("18000s", 18_000),
    ],
)
def test_every_unit_of_the_broker_is_read(age: str, seconds: int) -> None:
    """As in RabbitMQ's documentation of streams: Y, M, D, h, m, s."""
    assert age_seconds(read_settings({"SAGA_HISTORY_MAX_AGE": age}).history_max_age) == seconds


def test_an_inbox_may_be_as_short_as_the_outbox() -> None:
    short = {"SAGA_INBOX_DAYS": "0.5", "SAGA_OUTBOX_DAYS": "0.5"}
    assert read_settings(short).inbox_days == 0.5


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """`ca.pem`, `cert.pem`, `key.pem`, `other.pem` of another authority, and `none.pem` without a certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    own, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    own.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    other.private_key_pem.write_to_path(str(tmp_path / "other.pem"))
    (tmp_path / "none.pem").write_text("hush")
    return tmp_path


URL = "amqps://u:hush@broker.example/"


@pytest.mark.parametrize(
    ("query", "at_fault"),
    [
        ("cafile={0}/none.pem", "cafile"),
        ("cafile={0}/key.pem", "cafile"),
        ("cafile={0}/ca.pem&certfile={0}/none.pem", "certfile"),
        ("certfile={0}/cert.pem", "certfile"),
        ("certfile={0}/cert.pem&keyfile={0}/none.pem", "keyfile"),
        ("certfile={0}/cert.pem&keyfile={0}/other.pem", "keyfile"),
    ],
)
def test_a_file_that_is_not_a_certificate_or_key_is_refused(certificates: Path, query: str, at_fault: str) -> None:
    said = refused({"SAGA_AMQP_URL": f"{URL}?{query.format(certificates)}"})
    assert said.startswith("SAGA_AMQP_URL: ")
    assert at_fault in said


def test_certificates_that_can_be_used_are_accepted(certificates: Path) -> None:
    query = f"cafile={certificates}/ca.pem&certfile={certificates}/cert.pem&keyfile={certificates}/key.pem"
    assert read_settings({"SAGA_AMQP_URL": f"{URL}?{query}"}).amqp_url.endswith(query)


def test_settings_cannot_be_changed_afterwards() -> None:
    settings: Any = Settings()  # a checker would refuse it too
    with pytest.raises(ValueError, match="frozen"):
        settings.deadline = 5


@pytest.mark.parametrize(
    "url", ["sqlite:///var/monitor.sqlite3", "postgresql://saga:hush@h/monitor", "file:/x.sqlite3"]
)
def test_the_monitors_file_is_named_by_a_path(url: str) -> None:
    with pytest.raises(BadSetting, match="SAGA_MONITOR_DATABASE: expected the path of a file") as caught:
        read_settings({"SAGA_MONITOR_DATABASE": url})
    assert "hush" not in str(caught.value)
