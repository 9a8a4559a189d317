"""A cluster of three nodes under load: the leader is killed, and nothing is lost or done twice."""

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

# This seed gives one kill, and twelve seconds of orders while the node is away.
MINUTES, SEED = 0.25, 14
# Two starts of nodes and the slowest recovery, on a busy machine.
PATIENCE_SECONDS = 400


def nothing_runs(folder: Path) -> bool:
    """Whether every process that the nodes in `folder` recorded has ended."""
    records = [json.loads(file.read_text()) for file in folder.rglob("node.json")]
    processes = [record[role] for record in records for role in ("server", "epmd")]
    return len(records) == MEMBERS and all(birth(pid) != born for pid, born in processes)


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_nothing_is_lost_or_done_twice_when_the_leader_is_killed_under_load(tmp_path: Path) -> None:
    folder, lines = tmp_path / "run", list[str]()
    options = RunOptions("sqlite", "cluster", None, None, SEED, disk=False)
    report = run_chaos(options, Plan(MINUTES, SEED, ["leader_kill"]), folder, lines.append)
    assert report.violations == [], lines
    assert report.notes == ["killed the node that led stock.inbox, the workers' own"]
    assert report.partly == {}, "the stream lost nothing either: two of three nodes had it"
    assert report.exits == {}, "no worker ended"
    assert report.sessions > 1, "the client was disconnected too"
    assert report.figures.lost == report.figures.unexpected == 0
    assert report.figures.received == report.figures.attempted > 100
    assert nothing_runs(folder)


def test_an_interrupted_start_of_a_cluster_leaves_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Member) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Member, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), three_nodes(tmp_path):
        pytest.fail("it did not start")
    assert nothing_runs(tmp_path)
