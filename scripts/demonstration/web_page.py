"""The monitor's web page, which --keep leaves up beside the workers."""

import re
import time

from scripts.demonstration.processes import DemoError
from scripts.demonstration.steps import PATIENCE_SECONDS, POLL_SECONDS, Stage
from scripts.probes import port_is_free

PORT = 8787


def serve_page(stage: Stage) -> str:
    """Start the web page; returns its address. Raises DemoError."""
    port = PORT if port_is_free(PORT) else 0
    log = stage.crew.serve("web page", "saga_monitor", "serve", "--port", str(port))
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := re.search(r"http://\S+", log.read_text(errors="replace"))):
        stage.crew.check()
        if time.monotonic() > end:
            raise DemoError(f"the web page does not answer after {PATIENCE_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return found.group()
