"""A failure is shrunk, reported, saved in a file, and repeated from it."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest

from choregraphie.simulator import load, run_plan, save, shrink
from choregraphie.simulator.trace import mermaid, steps
from services.__main__ import main
from services.scenario import SCENARIO, SCOPES, plan
from tests.choregraphie.simulator.mutants import MUTANTS
from tests.choregraphie.simulator.test_mutants import FOUND

if TYPE_CHECKING:
    from pathlib import Path

    from choregraphie.simulator import Databases, Outcome

ORDERS = 12
# The seed that detects a missing tombstone.
SEED = str(FOUND["no_tombstone"][0])


@pytest.fixture
def failure(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    MUTANTS["said_before_confirmed"](monkeypatch)
    runs = (run_plan(plan(seed, ORDERS), databases) for seed in range(100))
    return next(run for run in runs if any(found.startswith("I6") for found in run.found))


def test_a_failure_is_shrunk_and_still_fails_alike(failure: Outcome, databases: Databases) -> None:
    small = shrink(failure, lambda smaller: run_plan(smaller, databases))
    assert {name.partition(":")[0] for name in small.found} & {name.partition(":")[0] for name in failure.found}
    assert len(small.plan.actions) < len(failure.plan.actions) / 2
    assert len(small.occurred) < len(failure.occurred)
    assert run_plan(small.plan, databases).trace.entries == small.trace.entries


def test_a_failure_is_reported_as_steps_and_as_a_diagram(failure: Outcome) -> None:
    lines = failure.trace.entries
    assert steps(lines)[0].startswith("  1.")
    diagram = mermaid(lines, failure.found, failure.speakers).splitlines()
    assert diagram[0] == "sequenceDiagram"
    assert any("->>" in line for line in diagram)
    assert "✗ I6" in diagram[-1]
    assert not any(";" in line or "#" in line for line in diagram)


def test_a_saved_failure_is_repeated_from_its_file(failure: Outcome, databases: Databases, tmp_path: Path) -> None:
    saved = replace(failure, plan=replace(failure.plan, faults=failure.occurred))
    save(saved, tmp_path / "failure.json")
    again = run_plan(load(tmp_path / "failure.json", SCENARIO), databases)
    assert again.trace.digest() == failure.trace.digest()


NO_REPLAY_FILES = {
    "empty": "",
    "a list": "[]",
    "no version": "{}",
    "another version": '{"version": 99}',
    "no actions": '{"version": 2, "seed": 1}',
    "no seed": '{"version": 2, "seed": Infinity, "acts": [], "faults": null}',
    "not JSON": "not json",
    "nested too deeply": "[" * 100_000,
}


@pytest.mark.parametrize("content", NO_REPLAY_FILES.values(), ids=NO_REPLAY_FILES.keys())
def test_a_file_that_is_no_replay_file_is_refused(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text(content)
    assert main(["choreography", "simulate", "--replay", str(tmp_path / "file")]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def replayed(actions: list[dict[str, object]], faults: list[str], file: Path) -> int:
    file.write_text(json.dumps({"version": 2, "seed": 5, "acts": actions, "faults": faults}))
    return main(["choreography", "simulate", "--replay", str(file)])


ACTION = asdict(plan(5, 1).actions[0])
DATA = ACTION["data"]


@pytest.mark.parametrize(
    ("changes", "faults"),
    [
        ({"data": DATA | {"montant": "abc"}}, []),
        ({"data": {}}, []),
        ({"data": DATA | {"quantite": 0}}, []),
        ({"data": 3}, []),
        ({"at": "soon"}, []),
        ({"at": -1}, []),
        ({"at": float("nan")}, []),
        ({"at": 1e300}, []),
        ({"kind": "dance"}, []),
        ({"kind": "garbage", "what": "nonsense"}, []),
        ({"more": 1}, []),
        ({}, ["earthquake:stock-1:3"]),
    ],
    ids=str,
)
def test_an_invalid_replay_file_is_an_error_of_one_line(
    changes: dict[str, object], faults: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replayed([ACTION | changes], faults, tmp_path / "file") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_a_fault_that_does_not_occur_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replayed([ACTION], ["crash:after_commit:nobody-9:3"], tmp_path / "file") == 0
    assert "did not occur: crash:after_commit:nobody-9:3" in capsys.readouterr().err


@pytest.mark.parametrize(
    "given",
    [
        ["--exhaustive", "--runs", "2"],
        ["--exhaustive", "--seed", "1"],
        ["--exhaustive", "--replay", "file"],
        ["--replay", "file", "--runs", "2"],
        ["--faults", "1"],
    ],
    ids=" ".join,
)
def test_an_option_without_effect_is_refused(given: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["choreography", "simulate", *given]) == 2
    assert "has no effect" in capsys.readouterr().err


@pytest.mark.parametrize("number", ["abc", "0", "-1", "1.5"])
def test_a_number_of_runs_that_is_none_says_what_is_wanted(
    number: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["choreography", "simulate", f"--runs={number}"])
    assert "a whole number of at least 1" in capsys.readouterr().err


def test_a_failure_is_saved_before_it_is_shrunk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*given: object) -> None:
        raise RuntimeError("somebody pressed Ctrl-C")

    MUTANTS["no_tombstone"](monkeypatch)
    monkeypatch.setattr("choregraphie.simulator.campaign.shrink", interrupt)
    saved = tmp_path / "failure.json"
    with pytest.raises(RuntimeError):
        main(["choreography", "simulate", "--seed", SEED, "--runs", "1", "--orders", "12", "--save", str(saved)])
    assert f"seed {SEED} breaks I" in capsys.readouterr().err
    assert load(saved, SCENARIO).seed == int(SEED)


def test_a_missing_replay_file_is_an_error_of_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["choreography", "simulate", "--replay", "/nowhere"]) == 2
    assert capsys.readouterr().err == "services: /nowhere: No such file or directory\n"


def test_the_command_line_reports_a_campaign_without_failure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["choreography", "simulate", "--seed", "5", "--runs", "3", "--orders", "6", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["verdict"], said["runs"], said["failure"]) == ("holds", 3, None)
    assert said["sagas"] >= 15
    assert said["sagas_per_second"] > 0


def test_the_command_line_shows_a_failure_and_saves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    MUTANTS["no_tombstone"](monkeypatch)
    saved = str(tmp_path / "failure.json")
    asked = ["choreography", "simulate", "--seed", SEED, "--runs", "40", "--orders", "12", "--save", saved]
    assert main(asked) == 1
    said = capsys.readouterr()
    assert "I5 agreement" in said.out
    assert "sequenceDiagram" in said.out
    assert "--replay" in said.err
    assert main(["choreography", "simulate", "--replay", saved]) == 1


def test_the_command_line_searches_exhaustively(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["choreography", "simulate", "--exhaustive", "--faults", "0", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [found["verdict"] for found in said] == ["holds"] * len(SCOPES)
