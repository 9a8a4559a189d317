"""SPIN, a model checker, agrees with the prover on what is sound, and on every violation that some run shows."""

import re
import subprocess
from pathlib import Path

import pytest

from choregraphie.prover import Rule, promela
from contracts.choreography import CHOREOGRAPHY
from contracts.client import CommandeInitiee
from contracts.commande import CommandeCreee
from tests.choregraphie.prover.altered import changed
from tests.choregraphie.prover.broken import BROKEN
from tests.choregraphie.prover.joining import BROKEN_JOINS, JOINED
from tests.choregraphie.prover.spin import NoSpinError, check, find_spin
from tests.choregraphie.prover.verdicts import CASES, DOCUMENT, Case, recorded, row

COMMAND = re.compile(r"^ \* [A-Z][a-z ]+: +(spin .* FILE)", re.MULTILINE)


@pytest.fixture(scope="module", autouse=True)
def spin() -> None:
    """A missing SPIN fails the tests; to skip them would hide that."""
    try:
        find_spin()
    except NoSpinError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_spin_agrees_with_the_prover_and_with_the_documents(case: Case, tmp_path: Path) -> None:
    """`steps` is a rule about names: its violation breaks another rule in some run, or none."""
    verdict = check(promela(case.choreography), tmp_path)
    assert verdict.holds == (case.rule is None or bool(case.unseen)), verdict.broken
    if case.rule not in {None, Rule.STEPS} and not case.unseen:
        assert case.rule in verdict.broken
    assert row(case, verdict) in recorded()


def test_the_table_of_the_documents_has_every_choreography_once_and_no_other() -> None:
    assert [line.split(" | ")[0].removeprefix("| ") for line in recorded()] == [case.name for case in CASES]


def test_a_broken_run_is_told_as_sentences(tmp_path: Path) -> None:
    broken = next(broken for broken in BROKEN if broken.name == "a sale that overtakes its cancellation")
    run = check(promela(broken.choreography), tmp_path).broken[Rule.UNDONE]
    assert run[0] == "client says commande.initiee"
    assert "stock hears commande.creee, says nothing" in run
    assert "commande hears commande.annulation_demandee, says commande.annulee" in run


def test_the_commands_in_the_model_and_in_the_documents_check_a_rule_and_show_a_broken_run(tmp_path: Path) -> None:
    broken = next(broken for broken in BROKEN if broken.name == "an undoing that undoes nothing")
    model = tmp_path / "saga.pml"
    model.write_text(promela(broken.choreography), encoding="utf-8")
    search, trail, reachable = COMMAND.findall(model.read_text(encoding="utf-8"))
    documented = DOCUMENT.read_text(encoding="utf-8")
    assert all(f"$ {command}".replace("FILE", "saga.pml") in documented for command in (search, trail))
    assert "errors: 1" in shell(search, tmp_path)
    assert "stock hears commande.annulee, says stock.libere" in shell(trail, tmp_path)
    assert "errors: 0" in shell(reachable, tmp_path)


def shell(command: str, folder: Path) -> str:
    words = command.replace("FILE", "saga.pml").split()
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=300, check=True)
    return done.stdout


@pytest.mark.parametrize(
    ("guard", "without", "rule"),
    [
        (r" && !tombstone_\w+", "", Rule.UNDONE),
        (r"\(!decided && ", "(true && ", Rule.DECIDES),
        (r"dead_stock_on_commande_annulee = 1", "true", Rule.ENDS),
    ],
    ids=["a tombstone", "the comparison of the decider", "a visible dead letter"],
)
def test_the_model_needs(guard: str, without: str, rule: Rule, tmp_path: Path) -> None:
    """What the model says of the engine matters: without it, SPIN refuses the shipped saga."""
    model = promela(CHOREOGRAPHY)
    changed = re.sub(guard, without, model)
    assert changed != model
    assert rule in check(changed, tmp_path).broken


def test_spin_refuses_a_decider_that_may_not_cancel_for_a_refusal_that_it_kept(tmp_path: Path) -> None:
    """The refusal came before the order itself; only the deadline would end it."""
    deaf = changed("commande", CommandeInitiee, says=(CommandeCreee,))
    broken = check(promela(deaf), tmp_path).broken
    assert set(broken) == {Rule.DECIDES}
    assert "commande hears commande.initiee, decides nothing" in broken[Rule.DECIDES]


def test_spin_explores_a_join(tmp_path: Path) -> None:
    assert check(promela(JOINED), tmp_path).broken == {}


@pytest.mark.parametrize("name", BROKEN_JOINS)
def test_spin_refuses_a_broken_join(name: str, tmp_path: Path) -> None:
    choreography, rule = BROKEN_JOINS[name]
    assert rule in check(promela(choreography), tmp_path).broken
