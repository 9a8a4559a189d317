"""A cluster of three nodes under load: nodes are killed and restarted, and nothing is lost or done twice."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scripts.nemesis.cluster import MEMBERS, Member, three_nodes
from scripts.nemesis.run import Plan
from scripts.nemesis.setup import RunOptions, run_chaos
from scripts.probes import birth

if TYPE_CHECKING:
    from pathlib import Path

    from scripts.nemesis.report import Report

# This seed kills a leader, restarts the workers in turn, and kills a leader again. A killed node is away for ten
# seconds.
KILLS = Plan(0.35, 7, ["leader_kill", "rolling_restart"])
RESTART = Plan(0.1, 0, ["cluster_restart"])
# Three starts of nodes and the slowest recovery, on a busy machine.
PATIENCE_SECONDS = 700


def nothing_runs(folder: Path) -> bool:
    """Whether every process that the nodes in `folder` recorded has ended."""
    records = [json.loads(file.read_text()) for file in folder.rglob("node.json")]
    processes = [record[role] for record in records for role in ("server", "epmd")]
    return len(records) == MEMBERS and all(birth(pid) != born for pid, born in processes)


def run(plan: Plan, folder: Path) -> Report:
    lines = list[str]()
    options = RunOptions("sqlite", "cluster", None, None, plan.seed, disk=False)
    report = run_chaos(options, plan, folder, lines.append)
    assert report.violations == [], lines
    assert report.figures.unexpected == 0
    assert report.figures.attempted > 100
    assert nothing_runs(folder)
    return report


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_nothing_is_lost_or_done_twice_when_leaders_are_killed_and_workers_restarted_under_load(
    tmp_path: Path,
) -> None:
    report = run(KILLS, tmp_path / "run")
    assert report.faults == {"leader_kill": 2, "rolling_restart": 1}
    assert sum(note.startswith("killed the node that led stock.inbox") for note in report.notes) == 2
    assert report.partly == {}, "the stream lost nothing either: two of three nodes had it"
    assert report.sessions > 1, "the client was disconnected too"
    assert report.figures.lost == 0
    assert report.figures.received == report.figures.attempted


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_nothing_is_lost_or_done_twice_when_every_node_is_restarted_under_load(tmp_path: Path) -> None:
    """Only the history may lack what was published while it had no leader."""
    report = run(RESTART, tmp_path / "run")
    assert report.faults == {"cluster_restart": 1}
    assert "restarted every node" in report.notes


def test_an_interrupted_start_of_a_cluster_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Member) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Member, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), three_nodes(tmp_path):
        pytest.fail("it did not start")
    assert nothing_runs(tmp_path)
