"""The pictures of the pages in the documents; `python -m tests.saga_monitor.web.images` takes them anew."""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from choregraphie.messaging import QueueCount
from choregraphie.saga.topology import HISTORY
from tests.saga_monitor.diagnosis.test_anomalies import WELL
from tests.saga_monitor.memory_stream import SCENARIOS, Stream
from tests.saga_monitor.web.conftest import FLAGS
from tests.saga_monitor.web.served import served
from tests.saga_monitor.web.shop_history import every_kind

FOLDER = Path(__file__).parents[3] / "docs" / "images"
WIDTH, HEIGHT = 1280, 860
CANCELLED = f"CMD-{list(SCENARIOS).index('cancelled after creation'):04d}"
# The pages, and whether they are shown whole.
PAGES = {
    "web-orders": ("/", False),
    "web-order": (f"/sagas/commande/{CANCELLED}", True),
    "web-anomalies": ("/anomalies", False),
    "web-charts": ("/charts", False),
}


def main() -> None:
    stream = Stream()
    every_kind(stream, many=1500)
    with tempfile.TemporaryDirectory() as folder, served(Path(folder) / "monitor.sqlite3", stream) as site:
        site.read_up()
        site.watch.look(WELL | {"paiement.dlq": QueueCount(1, 0), HISTORY: QueueCount(stream.next, 1)})
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=list(FLAGS))
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            for name, (address, whole) in PAGES.items():
                page.goto(f"{site.url.rstrip('/')}{address}")
                page.screenshot(path=FOLDER / f"{name}.png", full_page=whole)
            browser.close()


if __name__ == "__main__":
    main()
