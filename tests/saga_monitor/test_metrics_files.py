"""The files for Prometheus and Grafana: every name exists, and a first problem is an increase."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml
from prometheus_client import CollectorRegistry

from choregraphie import Settings
from choregraphie.telemetry.metrics import Instruments, ServiceMetrics
from saga_monitor.alerting.dispatcher import Dispatcher
from saga_monitor.alerting.watcher import AlertWatcher
from saga_monitor.metrics.exposition import registry
from services.application import APP
from tests.saga_monitor.test_metrics import broker_status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from saga_monitor.alerting.rules import Notice
    from tests.saga_monitor.conftest import Monitor

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "choregraphie.json").read_text(encoding="utf-8"))
RULES = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8"))
RULES_BY_NAME = {rule["alert"]: rule["expr"] for group in RULES["groups"] for rule in group["rules"]}
# A metric, its label matchers, and the range of its increase in a rule.
GROWTH = re.compile(r"increase\((saga_[a-z_]+)(?:\{([a-z_]+)=\"([a-z_]+)\"\})?\[")


class Unheard:
    name = "webhook"

    async def notify(self, notice: Notice) -> None:
        """Never asked to."""


@pytest.fixture
def watcher(monitor: Monitor) -> Iterator[AlertWatcher]:
    watcher = AlertWatcher(APP, Settings(monitor_database=monitor.path), Dispatcher([Unheard()]))
    yield watcher
    watcher.close()


def names_and_labels(monitor: Monitor, watcher: AlertWatcher) -> tuple[set[str], set[str]]:
    """The metrics of the monitor and of workers, with their labels."""
    workers = CollectorRegistry()
    meters = Instruments(workers)
    for meter in vars(meters).values():
        meter.labels(*["x"] * len(meter._labelnames))
    names, labels = set(), {"instance", "job", "le"}
    for one in (workers, registry(monitor.queries, watcher)):
        for family in one.collect():
            kinds = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
            names |= {f"{family.name}{ending}" for ending in kinds}
            labels |= {label for sample in family.samples for label in sample.labels}
    return names, labels | {"why", "receiver", "outcome", "type", "reason"}


def expressions() -> dict[str, str]:
    found = dict(RULES_BY_NAME)
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


async def test_every_metric_that_the_files_name_exists(monitor: Monitor, watcher: AlertWatcher) -> None:
    await watcher.check(broker_status(-1))
    names, labels = names_and_labels(monitor, watcher)
    used: set[str] = set()
    for where, expression in expressions().items():
        asked = set(re.findall(r"\bsaga_[a-z_]+", expression))
        assert asked, where
        assert asked <= names, where
        used |= asked
        by = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
        by |= set(re.findall(r"([a-z_]+)(?:=|!=|=~|!~)\"", expression))
        assert by <= labels, where
        assert expression.count("(") == expression.count(")"), where
    unseen = {re.sub(r"_(total|bucket|sum|count)$", "", n) for n in names} - {
        re.sub(r"_(total|bucket|sum|count)$", "", n) for n in used
    }
    assert unseen == set(), "a metric that nobody looks at"


@pytest.mark.parametrize("rule", [rule for rule in RULES_BY_NAME if GROWTH.search(RULES_BY_NAME[rule])])
def test_a_rule_on_growth_has_something_to_grow_from_before_anything_happened(
    monitor: Monitor, watcher: AlertWatcher, rule: str
) -> None:
    workers = CollectorRegistry()
    ServiceMetrics("stock", Instruments(workers))
    samples = [
        sample
        for one in (workers, registry(monitor.queries, watcher))
        for family in one.collect()
        for sample in family.samples
    ]
    for metric, label, value in GROWTH.findall(RULES_BY_NAME[rule]):
        mine = [s for s in samples if s.name == metric and (not label or s.labels[label] == value)]
        assert mine, f"{metric} is born with its first growth, which is then none"
        assert {sample.value for sample in mine} == {0}


def test_the_dashboard_can_be_imported_anywhere() -> None:
    source, saga = DASHBOARD["templating"]["list"]
    assert (source["name"], source["type"]) == ("datasource", "datasource")
    assert (saga["name"], saga["query"]) == ("saga", "label_values(saga_instances, saga)")
    charts = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert all(panel["datasource"]["uid"] == "${datasource}" for panel in charts)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    places = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in DASHBOARD["panels"]]
    assert len(set(places)) == len(places)


def test_every_rule_says_what_is_the_matter_and_how_grave_it_is() -> None:
    rules = [rule for group in RULES["groups"] for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules)
    for rule in rules:
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        assert re.fullmatch(r"\d+[smh]", rule.get("for", "1m"))


def test_the_rules_own_tests_are_of_rules_on_growth_and_begin_at_nought() -> None:
    """`promtool`, which carries them out, is not among what the tests need; what they suppose is held here."""
    file = yaml.safe_load((DEPLOY / "prometheus" / "alerts_test.yml").read_text(encoding="utf-8"))
    (test,) = file["tests"]
    assert all(series["values"].startswith("0x") for series in test["input_series"])
    tried = {case["alertname"] for case in test["alert_rule_test"]}
    assert tried == {name for name, expression in RULES_BY_NAME.items() if GROWTH.search(expression)}
