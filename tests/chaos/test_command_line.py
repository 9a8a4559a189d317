"""`./scripts/chaos` rejects impossible command lines, and keeps the evidence of a failed run."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from scripts.installed_server import NodeError
from scripts.nemesis import __main__ as chaos
from scripts.nemesis import setup
from scripts.nemesis.invariants import CHECKERS, MEANINGS
from scripts.nemesis.report import Report, report_text, wrapped
from scripts.nemesis.run import Plan, Run
from scripts.nemesis.setup import RunOptions, SetupError, run_chaos
from scripts.nemesis.violation import Violation
from tests.chaos.sample_history import HISTORY

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(0.1, 1, ["kill"])


@pytest.mark.parametrize(
    ("arguments", "message"),
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
        (["--mutant", "undone_in_order"], "a mutant of the orchestrator: it needs --orchestration"),
        (["--minutes", "0"], "more than 0"),
        (["--rate", "nan"], "more than 0"),
    ],
)
def test_an_impossible_command_line_is_rejected_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        chaos.main([*arguments, "--seed", "1"])
    assert end.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_disk_full_is_rejected_where_no_disk_can_be_mounted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(chaos, "namespace_allowed", lambda: False)
    with pytest.raises(SystemExit):
        chaos.main(["--faults", "disk_full"])
    assert "not possible here" in capsys.readouterr().err


class BrokenEnvironment:
    """An environment in which nothing starts and nothing answers."""

    def __init__(self) -> None:
        self.client = SimpleNamespace(sessions=0)
        self.workers = SimpleNamespace(kills=0, starts=0)

    def start(self) -> None:
        raise NodeError("The node did not come back.")

    def record(self, *, leaving: bool) -> None:
        raise NodeError("The node is away.")

    def history_without_broker(self) -> Any:
        return HISTORY

    def read_databases(self) -> Any:
        raise NodeError("The databases are away.")


def targets() -> Any:
    return SimpleNamespace(environment=BrokenEnvironment(), proxy=SimpleNamespace(resets=0), notes=[])


def test_the_report_of_a_failed_run_begins_with_the_failure() -> None:
    lines: list[str] = []
    report = Run(targets(), PLAN, lines.append).run()
    assert "The node did not come back." in report.violations[0].what
    assert report.violations[0].invariant == "run"
    assert any("The node did not come back." in line for line in lines)


def test_a_failure_is_an_error_before_the_run_and_a_violation_after_its_beginning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = RunOptions("sqlite", "private", None, None, 1, disk=False)

    def fail(*_: Any) -> None:
        raise NodeError("No RabbitMQ server is installed.")

    monkeypatch.setattr(setup, "_set_up", fail)
    with pytest.raises(SetupError, match="No RabbitMQ server"):
        run_chaos(options, PLAN, tmp_path / "first", print)
    monkeypatch.setattr(setup, "_set_up", lambda options, folder, stack: stack.callback(fail) and targets())
    report = run_chaos(options, PLAN, tmp_path / "second", print)
    assert "not everything was cleaned up" in report.violations[-1].what


@pytest.mark.parametrize("broken", [True, False])
def test_the_evidence_of_a_failed_run_is_kept(
    broken: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders: list[Path] = []

    def fake_run(options: RunOptions, plan: Plan, folder: Path, tell: Any) -> Report:
        folder.mkdir(parents=True)
        folders.append(folder)
        return Report(violations=[Violation("run", "the broker is gone")] if broken else [])

    monkeypatch.setattr(chaos, "ROOT", tmp_path)
    monkeypatch.setattr(chaos, "run_chaos", fake_run)
    assert chaos.main(["--faults", "kill", "--seed", "1"]) == int(broken)
    assert folders[0].exists() == broken


def test_the_workers_and_the_monitor_use_the_chosen_lane(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lanes: list[str] = []

    def fake_run(options: RunOptions, plan: Plan, folder: Path, tell: Any) -> Report:
        folder.mkdir(parents=True)
        node: Any = SimpleNamespace(password="secret", port=lambda protocol: 1)
        proxy: Any = SimpleNamespace(port=2)
        of_run: Any = setup._environment(options, folder, node, proxy, None)
        lanes.extend(env["SAGA_LANE"] for env in (of_run.workers._env, of_run.observer._env))
        of_run.gateway.close()
        return Report()

    monkeypatch.setattr(chaos, "ROOT", tmp_path)
    monkeypatch.setattr(chaos, "run_chaos", fake_run)
    assert chaos.main(["--faults", "kill", "--seed", "1", "--lane", "public"]) == 0
    assert lanes == ["public", "public"]


def test_a_report_is_wrapped_between_words_on_a_narrow_terminal() -> None:
    text = report_text(Report(), 1)
    narrow = wrapped(text, 60)
    assert max(map(len, narrow.splitlines())) <= 60
    assert narrow.split() == text.split()
    assert wrapped(text, 1000) == text


def test_the_report_names_each_invariant_with_its_meaning() -> None:
    lines = report_text(Report(), 1).splitlines()
    assert set(MEANINGS) == set(CHECKERS)
    for name, meaning in MEANINGS.items():
        assert any(line.startswith(f"{name} ") and line.endswith(f"holds ({meaning})") for line in lines)


def test_the_estimated_duration_is_printed_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fake_run(options: RunOptions, plan: Plan, folder: Path, tell: Any) -> Report:
        folder.mkdir(parents=True)
        tell("no more faults")
        return Report()

    monkeypatch.setattr(chaos, "ROOT", tmp_path)
    monkeypatch.setattr(chaos, "run_chaos", fake_run)
    chaos.main(["--faults", "kill", "--seed", "1", "--minutes", "0.5", "--json"])
    out, error = capsys.readouterr()
    first, *phases = error.splitlines()
    assert "about 2 min 20 s in all" in first
    assert [line.partition("] ")[2] for line in phases] == [
        "starting the broker, the workers and the monitor",
        "no more faults",
    ]
    assert json.loads(out)["seed"] == 1
