"""The program in docs/operations.md sends the dead letters of a service back to its inbox."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.scripts.conftest import ROOT, environ

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.foreign_client import ForeignClient

TEXT = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
PROGRAM = re.findall(r"<!-- program: send_back -->\n```python\n(.*?)```", TEXT, re.DOTALL)


def test_the_program_in_the_documents_sends_every_dead_letter_back_as_it_was(
    client: ForeignClient, silent_url: str, tmp_path: Path
) -> None:
    script = tmp_path / "send_back.py"
    script.write_text("".join(PROGRAM), encoding="utf-8")
    headers = {"x-saga-exchange": "client.events", "x-saga-attempt": 6, "x-saga-reason": "exhausted"}
    for body in (b"first", b"second"):
        assert client.publish("stock.dlx", "commande.initiee", body, headers, delivery_mode=2)
    done = subprocess.run(
        [sys.executable, str(script), "stock"],
        env=environ(SAGA_AMQP_URL=silent_url),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert client.get("stock.dlq") is None
    for body in (b"first", b"second"):
        back = client.get("stock.inbox", within_seconds=20)
        assert back is not None
        assert (back.body, back.key, back.exchange) == (body, "commande.initiee", "stock.requeue")
        ours = {name: value for name, value in back.headers.items() if name.startswith("x-saga-")}
        assert ours == {"x-saga-exchange": "client.events"}
