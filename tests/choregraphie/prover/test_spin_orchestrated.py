"""SPIN agrees with the prover on orchestrated sagas: on what is sound, and on what is not in some run."""

import re
from pathlib import Path

import pytest

from choregraphie.prover import Rule, promela
from services.orchestration import WIRING
from tests.choregraphie.orchestration.broken import BAD, NO_MODEL, UNSEEN
from tests.choregraphie.prover.spin import NoSpinError, check, find_spin
from tests.choregraphie.prover.verdicts import ORCHESTRATED, model_of, orchestrated_row, recorded


@pytest.fixture(scope="module", autouse=True)
def spin() -> None:
    """A missing SPIN fails the tests; to skip them would hide that."""
    try:
        find_spin()
    except NoSpinError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.mark.parametrize("name", [*ORCHESTRATED, *BAD])
def test_spin_agrees_with_the_prover_and_with_the_documents(name: str, tmp_path: Path) -> None:
    model = model_of(name)
    verdict = check(model, tmp_path) if model else None
    assert (verdict is None) == (name in NO_MODEL)
    if verdict is not None:
        assert verdict.holds == (name in ORCHESTRATED or name in UNSEEN), verdict.broken
    assert orchestrated_row(name, verdict) in recorded("spin-orchestrated")


def test_the_table_of_the_documents_has_every_orchestration_once_and_no_other() -> None:
    names = [line.split(" | ")[0].removeprefix("| ") for line in recorded("spin-orchestrated")]
    assert names == [*ORCHESTRATED, *BAD]


def test_a_broken_run_is_told_as_sentences(tmp_path: Path) -> None:
    """A refusal after the pivot would cancel what was created."""
    model = model_of("a refusal after the pivot")
    assert model is not None
    assert check(model, tmp_path).broken[Rule.DECIDES][-3:] == (
        "guide hears dossier.confirme, goes on",
        "lettre hears lettre.envoyer, refuses, says lettre.refusee",
        "guide hears lettre.refusee, cancels",
    )


@pytest.mark.parametrize(
    ("guard", "without", "rule"),
    [
        (r" && !tombstone_\w+", "", Rule.UNDONE),
        (r"\(\((asked_\w+) && !(undone_\w+)\) && !executed_\w+\)", "false", Rule.UNDONE),
        (r"review = 1", "true", Rule.ENDS),
        (r"place_(\w+) > place_\w+", "true", Rule.UNDONE),
        (r"undoing = \d+; ", "", Rule.DEADLINE),
    ],
    ids=[
        "a tombstone",
        "the undoing of what has not succeeded",
        "the mark for review",
        "the order of undoings",
        "the memory of the undoing that is awaited",
    ],
)
def test_the_model_needs(guard: str, without: str, rule: Rule, tmp_path: Path) -> None:
    """What the model says of the orchestrator matters: without it, SPIN refuses the shipped saga."""
    model = promela(WIRING)
    changed = re.sub(guard, without, model)
    assert changed != model
    assert rule in check(changed, tmp_path).broken
