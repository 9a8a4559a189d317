"""`doctor` says whose events would be refused for want of a public key."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from choregraphie import Settings
from choregraphie.doctor.finding import Verdict
from choregraphie.doctor.installation import examine_installation
from choregraphie.signing.key_files import KeyFiles
from services.application import APP
from tests.support.signing_keys import with_keys

if TYPE_CHECKING:
    from pathlib import Path


def verdicts(settings: Settings) -> list[tuple[Verdict, str]]:
    found = [one for one in examine_installation(APP, settings) if one.about == "signatures"]
    return [(one.verdict, one.what) for one in found]


def test_everybody_needs_a_public_key(tmp_path: Path) -> None:
    assert verdicts(Settings()) == []
    settings = with_keys(tmp_path)
    assert [verdict for verdict, _ in verdicts(settings)] == [Verdict.OK]
    private = KeyFiles.of(settings).private_file("stock")
    private.chmod(0o644)
    assert verdicts(settings) == [
        (Verdict.WRONG, f"SAGA_SIGNING_KEY: others may read or replace {private}; 'chmod 400 {private}'")
    ]
    private.chmod(0o400)
    shutil.rmtree(tmp_path / "public" / "paiement")
    ((verdict, what),) = verdicts(settings)
    assert verdict is Verdict.WRONG
    assert "no public key of paiement" in what
    (tmp_path / "public" / "stock" / "copy.pem").write_text("no key")
    (found,) = [one for one in examine_installation(APP, settings) if one.about == "signatures"]
    assert (found.verdict, found.remedy) == (Verdict.WRONG, "correct it; until then no worker starts")
    shutil.rmtree(tmp_path / "public")
    ((verdict, what),) = verdicts(settings)
    assert (verdict, what.startswith("SAGA_SIGNING_PUBLIC: there is no folder")) == (Verdict.WRONG, True)
