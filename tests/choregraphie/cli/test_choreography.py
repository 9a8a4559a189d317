"""`python -m services choreography`: its output for a person and for a program."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from choregraphie.cli.main import main as run_command_line
from choregraphie.prover import Rule, promela
from contracts.choreography import CHOREOGRAPHY
from services.__main__ import main
from services.application import APP
from services.orchestration import ORCHESTRATED
from tests.choregraphie.prover.broken import BROKEN
from tests.support.several_sagas import SEVERAL

Captured = pytest.CaptureFixture[str]
STEPS = """\
saga commande: orchestrateur leads 4 steps from commande.initiee
  1  stock         stock.reserver → stock.reserve, or refuses with stock.reservation_echouee
                   undone by stock.liberer → stock.libere
  2  paiement      paiement.debiter → paiement.effectue, or refuses with paiement.echoue
                   undone by paiement.rembourser → paiement.rembourse
                   timeout 5 s, 3 tries, 1 s apart
  3  commande      commande.creer → commande.creee, or refuses with commande.annulee
                   pivot: it creates the instance, and what follows it cannot refuse
                   undone by commande.annuler → commande.annulee
  4  notification  notification.envoyer → notification.envoyee
     once created: stock.vendre, beside the steps
     once cancelled: notification.prevenir → notification.envoyee, beside the steps
"""


def test_a_clean_check_says_what_was_checked(capsys: Captured) -> None:
    assert main(["choreography", "check"]) == 0
    out = capsys.readouterr().out
    assert all(f"ok  {rule.slug} " in out for rule in Rule)
    assert f"{len(Rule)} rules; {len(CHOREOGRAPHY.services)} services, " in out
    assert out.endswith("The choreography holds.\n")


def test_a_clean_check_for_a_program(capsys: Captured) -> None:
    assert main(["choreography", "check", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["holds"] is True
    assert [rule["judged"] for rule in found["rules"]] == [True] * len(Rule)
    assert found["explored"]["paths"] is None
    assert 0 < found["explored"]["states"] < 3000


def test_a_full_check_counts_every_state_and_path(capsys: Captured) -> None:
    assert main(["choreography", "check", "--full"]) == 0
    assert " paths to " in capsys.readouterr().out
    assert main(["choreography", "check", "--full", "--json"]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["explored"]["states"] > 3000
    assert found["explored"]["paths"] > found["explored"]["ends"] > 0


def test_a_violation_is_exit_code_one(capsys: Captured) -> None:
    broken = next(broken for broken in BROKEN if broken.rule is Rule.UNDONE)
    unsound = replace(APP, sagas=(broken.choreography,))
    assert run_command_line(unsound, ["choreography", "check"]) == 1
    assert "REFUSED  undone: " in capsys.readouterr().out
    assert run_command_line(unsound, ["choreography", "check", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["violations"][0]["rule"] == "undone"


@pytest.mark.parametrize(
    ("format_", "begins"), [("mermaid", "flowchart LR"), ("dot", "digraph"), ("svg", "<svg xmlns=")]
)
def test_a_diagram_goes_to_standard_output(capsys: Captured, format_: str, begins: str) -> None:
    assert main(["choreography", "diagram", "--format", format_]) == 0
    assert capsys.readouterr().out.startswith(begins)


def test_asyncapi_shows_one_document_or_all(capsys: Captured) -> None:
    assert main(["choreography", "asyncapi", "--service", "stock"]) == 0
    assert json.loads(capsys.readouterr().out)["info"]["title"] == "stock"
    assert main(["choreography", "asyncapi"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == list(APP.by_name)


def test_schemas_shows_one_schema_or_all(capsys: Captured) -> None:
    assert main(["choreography", "schemas", "--event", "stock.reserve"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "stock.reserve"
    assert main(["choreography", "schemas"]) == 0
    assert list(json.loads(capsys.readouterr().out)) == [event.TYPE for event in CHOREOGRAPHY.events]


def test_steps_prints_the_declared_steps_of_an_orchestrator(capsys: Captured) -> None:
    assert run_command_line(ORCHESTRATED, ["choreography", "steps"]) == 0
    assert capsys.readouterr().out == STEPS


def test_steps_refuses_a_saga_that_nobody_leads_in_one_line(capsys: Captured) -> None:
    assert main(["choreography", "steps"]) == 2
    assert capsys.readouterr().err == (
        "services: saga commande: nobody leads its steps; set SAGA_COORDINATION=orchestration\n"
    )


def test_promela_prints_the_model_that_spin_checks(capsys: Captured) -> None:
    assert main(["choreography", "promela"]) == 0
    assert capsys.readouterr().out == promela(CHOREOGRAPHY)
    assert run_command_line(ORCHESTRATED, ["choreography", "promela"]) == 0
    assert "active proctype orchestrator()" in capsys.readouterr().out


def test_sagas_that_share_services_are_written_into_folders_of_their_own(capsys: Captured, tmp_path: Path) -> None:
    generate = ["choreography", "generate", "--into", str(tmp_path)]
    names = [saga.name for saga in SEVERAL.sagas]
    assert run_command_line(SEVERAL, [*generate, "--saga", names[0]]) == 0
    assert [path.name for path in tmp_path.iterdir()] == names[:1]
    assert run_command_line(SEVERAL, generate) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(names)


def test_generate_writes_every_document_and_nothing_else(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    own = tmp_path / "schemas" / "mine.json"
    own.write_text("{}", encoding="utf-8")
    assert main(["choreography", "generate", "--into", str(tmp_path)]) == 0
    assert own.read_text(encoding="utf-8") == "{}"
    assert (tmp_path / "asyncapi" / "stock.json").exists()
    assert (tmp_path / "choreography.svg").exists()


def test_a_folder_that_cannot_be_written_is_an_error_of_one_line(capsys: Captured, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("", encoding="utf-8")
    assert main(["choreography", "generate", "--into", str(tmp_path / "taken")]) == 2
    err = capsys.readouterr().err
    assert err.startswith("services: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "wrong",
    [
        ["choreography"],
        ["choreography", "diagram", "--format", "png"],
        ["choreography", "asyncapi", "--service", "caisse"],
        ["choreography", "schemas", "--event", "stock.vole"],
        ["choreography", "generate"],
    ],
    ids=" ".join,
)
def test_a_wrong_argument_is_an_error_of_one_line(capsys: Captured, wrong: list[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(wrong)
    assert end.value.code == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("services: ")
    assert "--help explains" in said


@pytest.mark.parametrize("action", ["", "check", "steps", "diagram", "asyncapi", "schemas", "promela", "generate"])
def test_every_action_has_a_help_text(capsys: Captured, action: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(["choreography", *([action] if action else []), "--help"])
    assert end.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: python -m services choreography")
    if not action:
        assert "examples:" in out
    if action == "check":
        assert all(rule.slug in out for rule in Rule)
