"""The figures of a run count events once, as received or as lost."""

from __future__ import annotations

from dataclasses import replace

from scripts.nemesis.figures import Figures, figures
from scripts.nemesis.history import DeadLetter, Published
from tests.chaos.sample_history import DATABASES, HISTORY, body, without_receipt


def test_a_dead_letter_with_the_same_bytes_counts_as_received_and_one_with_the_same_id_does_not() -> None:
    databases = without_receipt(DATABASES, "paiement", "A:stock.reserve")
    same = DeadLetter("paiement", body("A", "stock.reserve"), "exhausted")
    forged = DeadLetter("paiement", body("A", "stock.reserve") + b" ", "id_collision")
    histories = {
        name: replace(HISTORY, dead_letters=(found,)) for name, found in (("same", same), ("forged", forged))
    }
    assert figures(histories["same"], databases).lost == 0
    assert figures(histories["forged"], databases).lost == 1


def test_figures_count_distinct_events() -> None:
    assert figures(HISTORY, DATABASES) == Figures(attempted=20, confirmed=20, received=20, duplicated=1)
    late = Published("client.events", "commande.initiee", body("D", "commande.initiee"), tries=2, confirmed=False)
    counted = figures(replace(HISTORY, published=(*HISTORY.published, late)), DATABASES)
    assert counted == Figures(attempted=21, confirmed=20, received=20, duplicated=1)
    first, *rest = HISTORY.published
    again = replace(HISTORY, published=(replace(first, tries=3), *rest))
    assert figures(again, DATABASES).recovered == 1
