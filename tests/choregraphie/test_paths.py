"""What is at a path is told, and what cannot be told is an error on every version of Python."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from choregraphie.paths import exists, is_file, is_folder

if TYPE_CHECKING:
    from pathlib import Path


def test_a_file_a_folder_and_nothing_are_told_apart(tmp_path: Path) -> None:
    file, nothing = tmp_path / "file", tmp_path / "nothing"
    file.touch()
    (tmp_path / "link").symlink_to(file)
    assert [exists(file), is_file(file), is_folder(file)] == [True, True, False]
    assert [exists(tmp_path), is_file(tmp_path), is_folder(tmp_path)] == [True, False, True]
    assert [exists(tmp_path / "link"), is_file(tmp_path / "link")] == [True, True]
    for path in (nothing, file / "below", tmp_path / "a\0b"):
        assert [exists(path), is_file(path), is_folder(path)] == [False, False, False]


def test_what_cannot_be_told_is_an_error(tmp_path: Path) -> None:
    endless = tmp_path / "endless"
    endless.symlink_to(endless)
    for path in (tmp_path / ("a" * 300), endless):
        for question in (exists, is_file, is_folder):
            with pytest.raises(OSError, match=r"too long|Too many"):
                question(path)
