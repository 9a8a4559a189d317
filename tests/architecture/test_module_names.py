"""Module names are words of the design's glossary or the field's standard terms."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("choregraphie", "contracts", "services", "saga_monitor", "scripts")
# Metaphors and private words that modules once had as names.
REJECTED = {
    *(
        "acts",
        "arena",
        "asking",
        "board",
        "books",
        "carrier",
        "chance",
        "columns",
        "crew",
        "desk",
        "diary",
        "door",
    ),
    *("doomed", "ear", "evidence", "excuses", "fake_door", "fed", "fleet", "garbage", "guard", "hearing", "judge"),
    *("judging", "keeping", "kinds", "known", "ledger", "lookout", "looks", "moments", "oracle"),
    *("outside", "outsider", "page", "paper", "patience", "pulse", "quiet", "raw", "redirect", "saying", "scene"),
    *(
        "served",
        "shop",
        "showing",
        "sight",
        "signs",
        "silence",
        "speaker",
        "specimens",
        "spoiling",
        "stage",
        "standing",
    ),
    *(
        "story",
        "suspects",
        "tallies",
        "telling",
        "trials",
        "troubles",
        "unsaid",
        "waits",
        "walk",
        "words",
        "world",
    ),
}


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_module_has_a_rejected_name(folder: str) -> None:
    modules = [path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts]
    assert modules
    assert [path for path in modules if path.stem in REJECTED] == []
