"""Runs SPIN on a model: writes its verifier, compiles it with gcc, and reads what the verifier found."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from choregraphie.prover import Rule

MODEL = "saga.pml"
FORMULA = re.compile(r"^ltl (\w+) ", re.MULTILINE)
UNREACHED = re.compile(rf"^\t{re.escape(MODEL)}:(\d+), state", re.MULTILINE)
REQUIRED = re.compile(r'/\* rule (\w+) \*/ printf\("(.*)\\n"\)')
# In megabytes; the largest model of the tests needs some fifty.
MEMORY = 2048
SECONDS = 100


class NoSpinError(Exception):
    """SPIN or its C compiler is missing; the message is one sentence for a person."""


class SpinError(Exception):
    """SPIN reports an error in the model, or a search that it did not complete."""


@dataclass(frozen=True)
class Verdict:
    """What SPIN found. `broken`: each broken rule with a run that shows it, or with what no run reached."""

    broken: dict[Rule, tuple[str, ...]]
    states: int

    @property
    def holds(self) -> bool:
        return not self.broken


def find_spin() -> None:
    """Raises NoSpinError unless SPIN and gcc are installed."""
    for program in ("spin", "gcc"):
        if shutil.which(program) is None:
            raise NoSpinError(f"{program} is not installed: run 'apt-get install spin gcc libc6-dev' first.")


def check(model: str, folder: Path) -> Verdict:
    """Check every rule of `model` in the empty `folder`. Raises SpinError."""
    (folder / MODEL).write_text(model, encoding="utf-8")
    _run(folder, "spin", "-a", MODEL)
    # With acceptance cycles (-a below), so not -DSAFETY: some rules are about the end of a run.
    _run(folder, "gcc", "-w", f"-DMEMLIM={MEMORY}", "-o", "pan", "pan.c")
    broken: dict[Rule, tuple[str, ...]] = {}
    states = 0
    for name in FORMULA.findall(model):
        # -w20: a hash table of 2^20 slots; to clear the default of 2^24 takes longer than most searches.
        output = _run(folder, "./pan", "-a", "-w20", "-N", name)
        if _errors(output):
            broken[_rule(name)] = _broken_run(folder)
        elif _rule(name) is Rule.REACHABLE:
            broken |= _unreached(output, model.splitlines())
            states = int(_found(r"(\d+) states, stored", output))
    return Verdict(broken, states)


def _rule(name: str) -> Rule:
    return next(rule for rule in Rule if rule.slug == name.replace("_", "-"))


def _errors(output: str) -> bool:
    """Whether the search found a run that breaks the formula; any other reason to stop raises SpinError."""
    errors = int(_found(r"errors: (\d+)", output))
    expected = "assertion violated" in output or "acceptance cycle" in output
    if "max search depth too small" in output or expected != bool(errors):
        raise SpinError(output)
    if not errors and "Search not completed" in output:
        raise SpinError(output)
    return bool(errors)


def _broken_run(folder: Path) -> tuple[str, ...]:
    """The run in the trail file that the verifier has just written."""
    lines = (line.strip() for line in _run(folder, "spin", "-t", MODEL).splitlines())
    return tuple(line for line in lines if re.match(r"\w+ (hears|says) |the deadline of ", line))


def _unreached(output: str, model: list[str]) -> dict[Rule, tuple[str, ...]]:
    """What no run reached, by the rule which demands it."""
    found: dict[Rule, tuple[str, ...]] = {}
    for number in UNREACHED.findall(output):
        if required := REQUIRED.search(model[int(number) - 1]):
            rule = _rule(required[1])
            found[rule] = (*found.get(rule, ()), required[2])
    return found


def _found(pattern: str, output: str) -> str:
    match = re.search(pattern, output)
    if match is None:
        raise SpinError(output)
    return match[1]


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        raise SpinError(f"{' '.join(command)}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout
