"""The benchmark of commits measures each service on a database, and compares what it says it compares."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from scripts.benchmarks.commits import Measured, Series, missed, ratios
from tests.scripts.conftest import ROOT, environ


def series(processor: float, *, tree: str = "now", stored: int = 10, group: int = 64) -> Series:
    parts = {"decode": processor / 4, "commit": processor * 3 / 4}
    return Series(Measured(tree, "stock", "sqlite", stored), group, [{"processor": parts, "wall": parts}] * 3)


def test_every_service_is_measured_with_the_orders_stored() -> None:
    command = [sys.executable, "scripts/bench", "commits", "--databases=sqlite", "--groups=1,5", "--rounds=1"]
    ran = subprocess.run(
        [*command, "--stored=1000,2000", "--baseline=.", "--json"],
        cwd=ROOT,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    measured = {(one["tree"], one["service"], one["stored"], one["group"]) for one in found}
    assert len(measured) == len(found) == 2 * 4 * 2 * 2
    for one in found:
        (figures,) = one["rounds"]
        calls = one["service"] in {"paiement", "notification"}
        assert set(figures["wall"]) == {"decode", "commit", "outgoing", *(["begin"] if calls else [])}
        assert min(figures["wall"].values()) > 0


def test_a_baseline_is_compared_by_turns() -> None:
    found = [series(50), series(150, tree="baseline")]
    assert [(about, values) for _, about, values in ratios(found, "processor")] == [
        ("times faster than the baseline", [3.0] * 3)
    ]


@pytest.mark.parametrize(("many", "group", "is_missed"), [(74, 64, False), (76, 64, True), (76, 16, False)])
def test_the_promise_is_about_large_groups_with_many_orders(many: float, group: int, *, is_missed: bool) -> None:
    found = [series(50, group=group), series(many, stored=1000, group=group)]
    assert bool(missed(found)) is is_missed


@pytest.mark.parametrize("option", ["--services=stock,shop", "--groups=0", "--stored=many"])
def test_a_wrong_option_is_one_line(option: str) -> None:
    ran = subprocess.run(
        [sys.executable, "scripts/bench", "commits", option],
        cwd=ROOT,
        env=environ(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
