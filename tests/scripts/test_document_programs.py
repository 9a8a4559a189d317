"""The programs that the documents print work on a real broker as they are printed."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

from contracts.registry import open_envelope
from tests.scripts.conftest import ROOT, environ

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.foreign_client import ForeignClient


def run(document: str, program: str, folder: Path, url: str, *arguments: str) -> None:
    """Run the Python block below the marker of `program`; it must succeed and print nothing."""
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    (source,) = re.findall(rf"<!-- program: {program} -->\n```python\n(.*?)```", text, re.DOTALL)
    script = folder / f"{program}.py"
    script.write_text(source, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), *arguments],
        env=environ(SAGA_AMQP_URL=url),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_client_in_the_wire_places_an_order_that_every_service_can_read(
    client: ForeignClient, silent_url: str, tmp_path: Path
) -> None:
    run("wire.md", "client", tmp_path, silent_url)
    for queue in ("stock.inbox", "commande.inbox"):
        message = client.get(queue, within_seconds=90)
        assert message is not None
        assert (message.exchange, message.key) == ("client.events", "commande.initiee")
        assert open_envelope(message.body).key == "CMD-EXAMPLE"
