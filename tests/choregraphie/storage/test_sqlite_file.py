"""One worker locks a SQLite file, whatever path others use, and notices when the file is removed."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from choregraphie import DatabaseRefused, DatabaseUnavailable, Settings
from choregraphie.pipeline import periodic
from choregraphie.storage import open_database
from choregraphie.testing import open_harness
from services.application import APP
from services.stock import SERVICE as STOCK
from tests.support.event_builders import initiee
from tests.support.fake_session import until
from tests.support.running_pipeline import order, running_pipeline
from tests.support.workers import ROOT, services

if TYPE_CHECKING:
    from collections.abc import Callable

TAKEN = "another worker has this file"


def at(path: Path | str) -> Settings:
    return APP.with_seed(Settings(database_url=f"sqlite:///{path}"))


def refused(settings: Settings) -> str:
    with pytest.raises(DatabaseRefused) as caught:
        open_database(STOCK, settings).close()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by_a_symbolic_link(file: Path) -> Path:
    (link := file.with_name("link.sqlite3")).symlink_to(file)
    return link


def by_a_link_to_its_folder(file: Path) -> Path:
    (link := file.parent.parent / "folder").symlink_to(file.parent)
    return link / file.name


def by_a_hard_link(file: Path) -> Path:
    (link := file.with_name("hard.sqlite3")).hardlink_to(file)
    return link


def by_a_relative_path(file: Path) -> Path:
    return Path(os.path.relpath(file, ROOT))


def by_a_path_with_detours(file: Path) -> Path:
    return file.parent / ".." / file.parent.name / "." / file.name


def without_its_lock_file(file: Path) -> Path:
    for other in file.parent.glob("*.lock"):
        other.unlink()
    return file


WAYS = [
    by_a_symbolic_link,
    by_a_link_to_its_folder,
    by_a_hard_link,
    by_a_relative_path,
    by_a_path_with_detours,
    without_its_lock_file,
]


@pytest.mark.parametrize("way", WAYS)
def test_another_process_is_refused_whatever_path_it_uses(way: Callable[[Path], Path], tmp_path: Path) -> None:
    file = tmp_path / "databases" / "stock.sqlite3"
    with open_harness(STOCK, at(file)) as harness:
        harness.hear(initiee())
        done = services("run", "stock", database_url=f"sqlite:///{way(file)}", amqp_url="amqp://127.0.0.1:1/")
        assert (done.returncode, len(done.stderr.strip().splitlines())) == (2, 1), done.stderr
        assert TAKEN in done.stderr
        harness.hear(initiee("CMD-2"))
        assert harness.said == ["stock.reserve"] * 2


@pytest.mark.parametrize("way", WAYS)
def test_the_same_process_is_refused_and_the_first_keeps_the_file(
    way: Callable[[Path], Path], tmp_path: Path
) -> None:
    """Closing a descriptor of the file would drop the locks that SQLite has on it in this process."""
    file = tmp_path / "databases" / "stock.sqlite3"
    with open_harness(STOCK, at(file)) as harness:
        assert TAKEN in refused(at(os.path.relpath(way(file)) if way is by_a_relative_path else way(file)))
        harness.hear(initiee())
        # The last to close the file empties its log; SQLite's own lock shows that this process has it open.
        assert services("inspect", "stock", database_url=f"sqlite:///{file}").returncode == 0
        assert file.with_name("stock.sqlite3-wal").exists()
        harness.hear(initiee("CMD-2"))
    file.with_name("hard.sqlite3").unlink(missing_ok=True)
    with open_harness(STOCK, at(file)) as harness:
        assert len(harness.store.pending(10)[0]) == 2


def test_a_file_with_two_names_is_refused(tmp_path: Path) -> None:
    open_database(STOCK, at(tmp_path / "stock.sqlite3")).close()
    (tmp_path / "other.sqlite3").hardlink_to(tmp_path / "stock.sqlite3")
    assert "2 names" in refused(at(tmp_path / "stock.sqlite3"))
    (tmp_path / "other.sqlite3").unlink()
    open_database(STOCK, at(tmp_path / "stock.sqlite3")).close()


def removed(file: Path) -> None:
    file.unlink()


def moved_away(file: Path) -> None:
    file.rename(file.with_name("elsewhere"))


def replaced(file: Path) -> None:
    shutil.copy(file, file.with_name("copy"))
    file.with_name("copy").rename(file)


def log_removed(file: Path) -> None:
    file.with_name(f"{file.name}-wal").unlink()


def folder_moved_away(file: Path) -> None:
    file.parent.rename(file.parent.with_name("elsewhere"))


@pytest.mark.parametrize("action", [removed, moved_away, replaced, log_removed, folder_moved_away])
async def test_a_worker_ends_when_its_file_is_removed_or_replaced(
    action: Callable[[Path], None], tmp_path: Path
) -> None:
    file = tmp_path / "databases" / "stock.sqlite3"
    async with running_pipeline(at(file)) as at_work:
        await until(lambda: ("consume", ()) in at_work.session.actions)
        action(file)
        at_work.session.deliver(order("C-1"))
        await until(at_work.running.done)
        # Another stage may use the database at the same moment, and see it as well.
        for error in leaves(at_work.running.exception()):
            assert isinstance(error, DatabaseRefused)
            assert "removed or replaced" in str(error)
        assert (at_work.session.published, at_work.session.acked) == ([], [])


async def test_a_worker_ends_when_its_folder_can_no_longer_be_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No delivery is to blame: none is retried, none becomes a dead letter."""
    stat = Path.stat

    def forbidden(path: Path, **options: bool) -> os.stat_result:
        if path.name == "stock.sqlite3":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, **options)

    async with running_pipeline(at(tmp_path / "stock.sqlite3")) as at_work:
        await until(lambda: ("consume", ()) in at_work.session.actions)
        monkeypatch.setattr(Path, "stat", forbidden)
        at_work.session.deliver(order("C-1"))
        await until(at_work.running.done)
        assert {type(error) for error in leaves(at_work.running.exception())} == {DatabaseRefused}
        assert (at_work.session.published, at_work.session.acked) == ([], [])
        monkeypatch.undo()


async def test_an_idle_worker_notices_a_removed_file_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periodic, "WATCH_SECONDS", 0.1)
    async with running_pipeline(at(tmp_path / "stock.sqlite3")) as at_work:
        await until(lambda: ("consume", ()) in at_work.session.actions)
        (tmp_path / "stock.sqlite3").unlink()
        await until(at_work.running.done)
        assert [type(error) for error in leaves(at_work.running.exception())] == [DatabaseRefused]


def leaves(error: BaseException | None) -> list[BaseException | None]:
    """The errors of a group, one by one."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for part in error.exceptions for leaf in leaves(part)]
    return [error]


def descriptors_left() -> list[int]:
    """All descriptors that this process can still open, opened."""
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.open(os.devnull, os.O_RDONLY))
    return taken


@pytest.mark.parametrize("spare", [0, 1, 2])
def test_a_database_waits_for_descriptors(spare: int, tmp_path: Path) -> None:
    """A shortage of descriptors, for our lock or for SQLite, is not a wrong setting."""
    settings = at(tmp_path / "databases" / "stock.sqlite3")
    open_database(STOCK, settings).close()
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, limit)
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, limit[1]))
        taken = descriptors_left()
        for _ in range(spare):
            os.close(taken.pop())
        for descriptor in taken:
            stack.callback(os.close, descriptor)
        with pytest.raises(DatabaseUnavailable):
            open_database(STOCK, settings)
    open_database(STOCK, settings).close()
