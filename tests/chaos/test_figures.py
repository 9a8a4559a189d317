"""The figures of a run: what is counted as received, as lost, and only once."""

from __future__ import annotations

from dataclasses import replace

from scripts.nemesis.figures import Figures, figures
from scripts.nemesis.history import DeadLetter, Published
from tests.chaos.sample_history import body, databases, history, without_receipt


def test_an_event_whose_body_is_in_the_dead_letters_is_not_lost_and_one_with_only_its_id_is() -> None:
    kept = without_receipt(databases(), "paiement", "A:stock.reserve")
    same = DeadLetter("paiement", body("A", "stock.reserve"), "exhausted")
    forged = DeadLetter("paiement", body("A", "stock.reserve") + b" ", "id_collision")
    pasts = {
        name: replace(history(), dead_letters=(found,)) for name, found in (("same", same), ("forged", forged))
    }
    assert figures(pasts["same"], kept).lost == 0
    assert figures(pasts["forged"], kept).lost == 1


def test_a_run_is_counted_by_distinct_events() -> None:
    assert figures(history(), databases()) == Figures(attempted=20, confirmed=20, received=20, duplicated=1)
    late = Published("client.events", "commande.initiee", body("D", "commande.initiee"), tries=2, confirmed=False)
    counted = figures(replace(history(), published=(*history().published, late)), databases())
    assert counted == Figures(attempted=21, confirmed=20, received=20, duplicated=1)
    first, *rest = history().published
    again = replace(history(), published=(replace(first, tries=3), *rest))
    assert figures(again, databases()).recovered == 1
