"""`--app` before the verb is what the whole command line depends on: no way to write it is overlooked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from saga_monitor import __main__

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "written", [["--ap", "nulle_part:APP"], ["--ap=nulle_part:APP"], ["--caption=nulle_part:APP"]]
)
def test_an_abbreviation_is_refused(written: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        __main__.main([*written, "list"])
    assert left.value.code == 2
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "nulle_part:APP" in err


@pytest.mark.parametrize("before", [[], ["--caption-file", "FILE"], ["--caption-file=FILE"]])
@pytest.mark.parametrize("named", [["--app", "nulle_part:APP"], ["--app=nulle_part:APP"]])
def test_the_application_is_the_one_that_is_named(
    before: list[str], named: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    caption = tmp_path / "caption.txt"
    caption.write_text("essai")
    assert __main__.main([*(word.replace("FILE", str(caption)) for word in before), *named, "list"]) == 2
    assert "there is no module nulle_part" in capsys.readouterr().err
