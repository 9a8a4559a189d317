"""The page of anomalies shows an outage as one line with a number, as the alerts do."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from choregraphie.messaging import QueueCount
from tests.saga_monitor.diagnosis.test_anomalies import WELL
from tests.saga_monitor.memory_stream import HELD, PAID
from tests.saga_monitor.web.served import served
from tests.support.http_get import get

if TYPE_CHECKING:
    from pathlib import Path

    from tests.saga_monitor.memory_stream import Stream


def test_an_outage_is_one_line_however_many_orders_it_holds(stream: Stream, tmp_path: Path) -> None:
    for number in range(700):
        stream.publish(f"CMD-{number:04}", HELD)
    stream.publish("CMD-LATER", PAID)
    for number in range(20):
        stream.set_aside("stock", f"not JSON {number}".encode(), "unreadable")
    with served(tmp_path / "monitor.sqlite3", stream) as site:
        site.read_up()
        site.watch.look(WELL | {"paiement.inbox": QueueCount(700, 0), "stock.dlq": QueueCount(20, 0)})
        page = get(site.at("/anomalies")).text
    table = page[page.index('<table class="anomalies') : page.index("</table>")]
    rows = re.findall(r"<tr>\n(.*?)</tr>", table, re.DOTALL)[-3:]
    assert table.count("<tr>") == 1 + 3
    outage, later, letters = [re.sub(r"<[^>]*>", "", row) for row in rows]
    assert "STUCKno consumer\npaiement700 times\n" in outage.replace("\u202f", "")
    assert "CMD-0000, CMD-0001, CMD-0002, CMD-0003, CMD-0004 and 695 more" in outage
    assert "STUCKunresponsive\ncommande\n" in later
    assert "CMD-LATER waits for commande.creee" in later
    assert "DEAD LETTERit cannot be read\nstock20 times\na message is in stock.dlq: it cannot be read;" in letters
    assert "721 anomalies in 3 lines" in re.sub(r"<[^>]*>", "", page)
    assert '<span class="badge" title="anomalies">721</span>' in page
