"""The supply chain: every version is locked, is in the bill of materials, and the workflow asks about it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.scripts.conftest import ROOT, environ

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PIN = re.compile(r"^([A-Za-z0-9._-]+)==(\S+) \\$", re.MULTILINE)


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    environment = environ(PATH=f"{Path(sys.prefix) / 'bin'}:/usr/local/bin:/usr/bin:/bin")
    return subprocess.run(
        words, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


def test_the_bill_of_materials_lists_every_locked_version_with_its_hashes(tmp_path: Path) -> None:
    done = run("scripts/sbom", tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/choregraphie.cdx.json\n"), done.stderr
    bill = json.loads((tmp_path / "choregraphie.cdx.json").read_text(encoding="utf-8"))
    assert (bill["bomFormat"], bill["metadata"]["component"]["name"]) == ("CycloneDX", "choregraphie")
    locked = PIN.findall((ROOT / "requirements.txt").read_text(encoding="utf-8"))
    assert sorted((one["name"], one["version"]) for one in bill["components"]) == sorted(locked)
    assert all(one["externalReferences"][0]["hashes"] for one in bill["components"])


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_locked_version_has_hashes(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert len(PIN.findall(text)) == len(re.findall(r"^\S+==", text, re.MULTILINE)) > 0


def test_a_wrong_command_line_is_one_line() -> None:
    done = run("scripts/sbom")
    assert (done.returncode, done.stderr) == (2, "usage: scripts/sbom FOLDER\n")


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_only_read_and_runs_actions_of_known_content(workflow: Path) -> None:
    text = workflow.read_text(encoding="utf-8")
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}
    uses = re.findall(r"uses: (.*)", text)
    assert uses
    # A tag can be moved; a commit cannot.
    assert [line for line in uses if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_runs_commands_of_this_repository(workflow: Path) -> None:
    commands = [step["run"].split()[0] for step in steps(workflow) if "run" in step]
    assert {"./scripts/audit", "./scripts/sbom", "./scripts/check", "./scripts/test"} <= {*commands}
    assert [name for name in commands if not (ROOT / name).is_file()] == []
