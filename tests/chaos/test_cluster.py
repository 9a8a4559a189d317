"""A cluster of three under load: the node that leads is killed, and nothing is lost nor done twice."""

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

# With this seed one kill, and orders come for twelve seconds while the node is away.
MINUTES, SEED = 0.25, 14
# Two starts of nodes, and the slowest way to quiet, on a machine that others use too.
PATIENCE_SECONDS = 400


def nothing_runs(folder: Path) -> bool:
    """Whether of all that the nodes below wrote down as theirs, no process is left."""
    records = [json.loads(file.read_text()) for file in folder.rglob("node.json")]
    processes = [record[role] for record in records for role in ("server", "epmd")]
    return len(records) == MEMBERS and all(birth(pid) != born for pid, born in processes)


@pytest.mark.timeout(PATIENCE_SECONDS)
def test_nothing_is_lost_and_nothing_done_twice_when_the_leader_dies_under_load(tmp_path: Path) -> None:
    folder, told = tmp_path / "run", list[str]()
    options = RunOptions("sqlite", "cluster", None, None, SEED, disk=False)
    report = run_chaos(options, Plan(MINUTES, SEED, ["leader_kill"]), folder, told.append)
    assert report.violations == [], told
    assert report.notes == ["killed the node that led stock.inbox, the workers' own"]
    assert report.partly == {}, "the history lost nothing either: two of three had it"
    assert report.exits == {}, "no worker ended"
    assert report.sessions > 1, "the client was cut off too"
    assert report.figures.lost == report.figures.unexpected == 0
    assert report.figures.received == report.figures.attempted > 100
    assert nothing_runs(folder)


def test_a_cluster_that_is_interrupted_while_it_starts_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Member) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Member, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), three_nodes(tmp_path):
        pytest.fail("it did not start")
    assert nothing_runs(tmp_path)
