"""Every part of a URL in a setting is used, or refused in one line without secrets."""

from pathlib import Path

import pytest

from choregraphie import BadSetting
from choregraphie.amqp_url import broker_address
from services.application import APP

BROKER = "amqp://u:hush@broker.example"


def refused(key: str, url: str) -> str:
    with pytest.raises(BadSetting) as caught:
        APP.read_settings({key: url})
    said = str(caught.value)
    assert said.startswith(f"{key}: ")
    assert "\n" not in said
    assert "hush" not in said
    return said


@pytest.mark.parametrize(
    ("url", "at_fault"),
    [
        (f"{BROKER}/?heartbeat=0", "heartbeat"),
        (f"{BROKER}/?heartbeat=-1", "heartbeat"),
        (f"{BROKER}/?heartbeat=hush", "heartbeat"),
        (f"{BROKER}/?heartbeat=", "heartbeat"),
        (f"{BROKER}/?heartbeat=1.5", "heartbeat"),
        (f"{BROKER}/?heartbeat=99999", "heartbeat"),
        (f"{BROKER}/?heartbeat=60&heartbeat=30", "twice"),
        (f"{BROKER}/?timeout=5&connection_timeout=5000", "twice"),
        (f"{BROKER}/?connection_timeout=5", "milliseconds"),
        (f"{BROKER}/?timeout=nan", "timeout"),
        (f"{BROKER}/?connection_attempts=3", "connection_attempts"),
        (f"{BROKER}/?retry_delay=5", "retry_delay"),
        (f"{BROKER}/?blocked_connection_timeout=30", "blocked_connection_timeout"),
        (f"{BROKER}/?socket_timeout=5", "socket_timeout"),
        (f"{BROKER}/?channel_max=10", "channel_max"),
        (f"{BROKER}/?frame_max=8192", "frame_max"),
        (f"{BROKER}/?locale=fr_FR", "locale"),
        (f"{BROKER}/?server_name_indication=x", "server_name_indication"),
        (f"{BROKER}/?Heartbeat=60", "Heartbeat"),
        (f"{BROKER}/?heartbeats=60", "heartbeats"),
        (f"{BROKER}/?verify=verify_none", "verification"),
        (f"{BROKER}/?auth=hush", "auth"),
        (f"{BROKER}/?auth=external", "certfile"),
        (f"{BROKER}/?auth_mechanism=plain&auth_mechanism=external", "twice"),
        (f"{BROKER}/?cafile={__file__}", "amqps"),
        ("amqps://u:hush@broker.example/?capath=/nowhere/hush", "capath"),
        ("amqps://u:hush@broker.example/?cadata=hu.sh", "cadata"),
        (f"amqps://u:hush@broker.example/?keyfile={__file__}", "certfile"),
        (f"{BROKER}/?name=a%0Ab", "name"),
        (f"{BROKER}/v#hush", "fragment"),
        (f"{BROKER}/#", "fragment"),
        ("amqp://u:1?hush@broker.example/", "%3F"),
        ("amqp://u:hush@one.example,two.example/", "several"),
        ("amqp://u:hush@one.example:5672,two.example:5672/", "several"),
        ("amqp://u:hush@one.example;amqp://u:hush@two.example/", "several"),
        ("amqp://u:hush@broker.example:0/", "port"),
        ("amqp://u:hush@bro ker.example/", "expected"),
        ("amqp://u:hush@broker.example/\n", "expected"),
        ("amqp://u:hush%00@broker.example/", "control"),
        ("amqp://u:hush%FF@broker.example/", "UTF-8"),
        ("amqp://u%FF:hush@broker.example/", "UTF-8"),
        (f"{BROKER}/v%E9", "UTF-8"),
        ("amqp://u:@127.0.0.1/", "without a password"),
        ("amqp://u@127.0.0.1/", "without a password"),
        ("amqp://:hush@127.0.0.1/", "no user"),
        (f"{BROKER}/a%252Fb", "virtual host"),
        (f"{BROKER}/{'v' * 256}", "virtual host"),
    ],
)
def test_an_unused_part_of_a_broker_url_is_refused(url: str, at_fault: str) -> None:
    assert at_fault in refused("SAGA_AMQP_URL", url)


@pytest.mark.parametrize(
    ("key", "url", "at_fault"),
    [
        ("SAGA_GATEWAY", "https://bank.example/v1?key=hush", "query"),
        ("SAGA_GATEWAY", "https://bank.example/v1?cafile=/nowhere/hush.pem", "no such file"),
        ("SAGA_GATEWAY", f"https://bank.example/v1?cafile={'a' * 300}", "File name too long"),
        ("SAGA_GATEWAY", f"http://bank.example/v1?cafile={__file__}", "is for https://"),
        ("SAGA_MANAGEMENT_URL", f"https://u:hush@broker.example?cafile={__file__}", "no certificate"),
        ("SAGA_MANAGEMENT_URL", f"https://u:hush@broker.example?keyfile={__file__}", "no certfile"),
        ("SAGA_GATEWAY", "https://bank.example/v1#hush", "fragment"),
        ("SAGA_GATEWAY", "https://u:hush%E9@bank.example/v1", "UTF-8"),
        ("SAGA_MANAGEMENT_URL", "https://u@broker.example:15671", "without a password"),
        ("SAGA_MANAGEMENT_URL", "https://u:@broker.example:15671", "without a password"),
        ("SAGA_GATEWAY", "https://one.example,two.example", "several"),
        ("SAGA_GATEWAY", "https://bank.example:0", "port"),
        ("SAGA_CARRIER", "smtp://u:hush@mail.example:25", "user"),
        ("SAGA_CARRIER", "smtp://mail.example:25/hush", "path"),
        ("SAGA_CARRIER", "smtp://mail.example:25?tls=hush", "query"),
        ("SAGA_CARRIER", "smtp://mail.example#hush", "fragment"),
        ("SAGA_CARRIER", "smtps://mail.example", "expected"),
        ("SAGA_ALERT_WEBHOOK", "https://hooks.example/T1#hush", "fragment"),
        ("SAGA_ALERT_WEBHOOK", "https:///hush", "expected"),
        ("SAGA_ALERT_WEBHOOK", "ftp://hooks.example/hush", "expected"),
        ("SAGA_MANAGEMENT_URL", "http://broker.example:15672", "user"),
        ("SAGA_MANAGEMENT_URL", "http://u:hush@broker.example:15672/?vhost=x", "query"),
        ("SAGA_MANAGEMENT_URL", "amqp://u:hush@broker.example:15672", "expected"),
    ],
)
def test_an_unused_part_of_any_other_url_is_refused(key: str, url: str, at_fault: str) -> None:
    assert at_fault in refused(key, url)


@pytest.mark.parametrize(
    ("key", "url"),
    [
        ("SAGA_GATEWAY", "https://u:hush@bank.example/v1"),
        ("SAGA_CARRIER", "smtp://mail.example"),
        ("SAGA_CARRIER", "smtp://[::1]:2525/"),
        ("SAGA_ALERT_WEBHOOK", "https://u:hush@hooks.example/T1?key=hush"),
        ("SAGA_MANAGEMENT_URL", "https://u:hush@broker.example/rabbit/"),
    ],
)
def test_used_parts_are_accepted(key: str, url: str) -> None:
    settings = APP.read_settings({key: url})
    assert url in settings.model_dump().values()


def test_a_broker_url_sets_the_options_of_the_client(tmp_path: Path) -> None:
    query = f"heartbeat=60&connection_timeout=2500&name=shop%201&verify=verify_peer&capath={tmp_path}"
    address = broker_address(f"amqps://us%40er:hush@Broker.example/sh%2Fop?{query}")
    assert (address.user, address.place, address.vhost) == ("us@er", "broker.example:5671", "sh/op")
    assert (address.heartbeat_seconds, address.connect_seconds, address.name) == (60, 2.5, "shop 1")
    assert address.options == {"capath": str(tmp_path)}
    usual = broker_address(BROKER)
    assert (usual.vhost, usual.heartbeat_seconds, usual.connect_seconds) == ("/", 10, 10)
    assert usual.place == "broker.example:5672"
