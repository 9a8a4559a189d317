"""What `./scripts/chaos` refuses, and what it keeps when a run breaks."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.installed_server import NodeError
from scripts.nemesis import __main__ as chaos
from scripts.nemesis import setup as scene
from scripts.nemesis.invariants import CHECKERS, MEANINGS
from scripts.nemesis.report import Report, written
from scripts.nemesis.run import Plan, Run
from scripts.nemesis.setup import NoStageError, Wanted, conduct
from scripts.nemesis.violation import Violation
from tests.chaos.sample_history import history

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(0.1, 1, ["kill"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--faults", "postgres_kill"], "not possible here with sqlite and a private broker: postgres_kill"),
        (["--faults", "disk_full", "--database", "postgresql"], "with postgresql and a private broker: disk_full"),
        (["--faults", "leader_kill"], "with sqlite and a private broker: leader_kill"),
        (["--faults", "broker_wipe", "--broker", "cluster"], "with sqlite and a cluster broker: broker_wipe"),
        (["--faults", "earthquake"], "unknown faults: earthquake"),
        (["--workers", "2"], "a SQLite file has one worker"),
        (["--workers", "-1"], "from 1 to"),
        (["--workers", "0", "--database", "postgresql"], "from 1 to"),
        (["--workers", "many"], "'many' is not a whole number"),
        (["--mutant", "nonsense"], "invalid choice: 'nonsense'"),
        (["--minutes", "0"], "more than 0"),
        (["--rate", "nan"], "more than 0"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        chaos.main([*arguments, "--seed", "1"])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_a_disk_that_cannot_be_filled_is_no_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chaos, "namespace_allowed", lambda: False)
    with pytest.raises(SystemExit):
        chaos.main(["--faults", "disk_full"])
    assert "not possible here" in capsys.readouterr().err


class Broken:
    """An arena on which nothing starts and nothing answers."""

    def __init__(self) -> None:
        self.client = SimpleNamespace(sessions=0)
        self.fleet = SimpleNamespace(kills=0, starts=0)
        self.database_url = "sqlite:////nowhere/{service}.sqlite3"

    def start(self) -> None:
        raise NodeError("The node did not come back.")

    def record(self, *, leaving: bool) -> None:
        raise NodeError("The node is away.")

    def without_the_broker(self) -> Any:
        return history()


def stage() -> Any:
    return SimpleNamespace(arena=Broken(), proxy=SimpleNamespace(resets=0), notes=[])


def test_a_run_that_breaks_has_a_verdict_which_begins_with_what_broke() -> None:
    told: list[str] = []
    report = Run(stage(), PLAN, told.append).go()
    assert "The node did not come back." in report.violations[0].what
    assert report.violations[0].invariant == "run"
    assert any("The node did not come back." in line for line in told)


def test_only_a_run_that_never_began_is_no_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = Wanted("sqlite", "private", None, None, 1, disk=False)

    def refuse(*_: Any) -> None:
        raise NodeError("No RabbitMQ server is installed.")

    monkeypatch.setattr(scene, "_set", refuse)
    with pytest.raises(NoStageError, match="No RabbitMQ server"):
        conduct(wanted, PLAN, tmp_path / "first", print)
    monkeypatch.setattr(scene, "_set", lambda wanted, folder, stack: stack.callback(refuse) and stage())
    report = conduct(wanted, PLAN, tmp_path / "second", print)
    assert "not everything was cleared away" in report.violations[-1].what


@pytest.mark.parametrize("broken", [True, False])
def test_the_evidence_of_a_broken_run_is_kept(
    broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def conducted(wanted: Wanted, plan: Plan, folder: Path, tell: Any) -> Report:
        folder.mkdir(parents=True)
        folders.append(folder)
        return Report(violations=[Violation("run", "the broker is gone")] if broken else [])

    monkeypatch.setattr(chaos, "ROOT", tmp_path)
    monkeypatch.setattr(chaos, "conduct", conducted)
    assert chaos.main(["--faults", "kill", "--seed", "1"]) == int(broken)
    assert folders[0].exists() == broken


def test_each_invariant_is_said_in_plain_words() -> None:
    lines = written(Report(), 1).splitlines()
    assert set(MEANINGS) == set(CHECKERS)
    for name, meaning in MEANINGS.items():
        assert any(line.startswith(f"{name} ") and line.endswith(f"holds ({meaning})") for line in lines)


def test_how_long_it_takes_is_said_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def conducted(wanted: Wanted, plan: Plan, folder: Path, tell: Any) -> Report:
        folder.mkdir(parents=True)
        tell("no more faults")
        return Report()

    monkeypatch.setattr(chaos, "ROOT", tmp_path)
    monkeypatch.setattr(chaos, "conduct", conducted)
    chaos.main(["--faults", "kill", "--seed", "1", "--minutes", "0.5", "--json"])
    out, error = capsys.readouterr()
    first, *told = error.splitlines()
    assert "about 2 min 20 s in all" in first
    assert [line.partition("] ")[2] for line in told] == [
        "the broker, the workers and the monitor start",
        "no more faults",
    ]
    assert json.loads(out)["seed"] == 1
