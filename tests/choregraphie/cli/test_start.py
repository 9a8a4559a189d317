"""A verb imports what it needs: a worker starts without the prover, HTTP, or an ORM."""

from __future__ import annotations

import argparse
import subprocess
import sys

import pytest

from choregraphie.cli.main import MODULES
from choregraphie.cli.main import _parser as services_parser
from saga_monitor.__main__ import VERBS
from saga_monitor.__main__ import _parser as monitor_parser
from services.application import APP
from tests.support.workers import ROOT, environment

WORKER = "import services.application, choregraphie.cli.main as cli; cli._parser(services.application.APP, 'run')"
LIST = "import saga_monitor.__main__ as m; from services.application import APP; m._parser(APP.saga_set, 'list')"
FOR_BOTH = ["httpx", "aiosmtplib", "sqlalchemy.orm", "prometheus_client", "h11", "choregraphie.simulator"]
OF_NO_WORKER = ["choregraphie.client", "choregraphie.deployment", "saga_monitor", "rich"]
OF_NO_LIST = [
    *("textual", "starlette", "saga_monitor.console", "saga_monitor.web", "choregraphie.prover"),
    *("choregraphie.storage", "choregraphie.pipeline", "choregraphie.orchestration", "rich.traceback", "pygments"),
]


@pytest.mark.parametrize(("start", "absent"), [(WORKER, FOR_BOTH + OF_NO_WORKER), (LIST, FOR_BOTH + OF_NO_LIST)])
def test_a_verb_does_not_import_what_only_others_need(start: str, absent: list[str]) -> None:
    script = f"{start}\nimport sys\nprint(*(name for name in {absent} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []


def verbs(parser: argparse.ArgumentParser) -> list[str]:
    (found,) = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return list(found.choices)


def test_every_verb_is_found_by_its_name() -> None:
    assert verbs(services_parser(APP)) == list(MODULES)
    assert all(verb in verbs(services_parser(APP, verb)) for verb in MODULES)
    assert sorted(verbs(monitor_parser(APP.saga_set))) == sorted(VERBS)
    assert all(verb in verbs(monitor_parser(APP.saga_set, verb)) for verb in VERBS)
