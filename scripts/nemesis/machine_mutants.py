"""The guards of the orchestrator, each removed by a patch, like those of `mutants.py`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import services.orchestration  # noqa: F401 - its declarations are explored at import, before any patch
from choregraphie.orchestration import machine
from choregraphie.orchestration.machine import Instance

if TYPE_CHECKING:
    from collections.abc import Callable

    Patch = Callable[[Any, str, Any], None]


def unanswered_not_undone(patch: Patch) -> None:
    """A compensation leaves out the steps that were asked and have not answered."""
    undo_next = machine._undo_next

    def only_executed(saga: Any, instance: Instance) -> Any:
        # The steps without an answer count as undone already.
        silent = tuple(name for name in instance.asked if name not in (*instance.executed, *instance.undone))
        return undo_next(saga, replace(instance, undone=(*instance.undone, *silent)))

    patch(machine, "_undo_next", only_executed)


def undone_in_order(patch: Patch) -> None:
    """A compensation undoes the first step first."""
    undo_next = machine._undo_next

    def first_step_first(saga: Any, instance: Instance) -> Any:
        # The machine takes the last one: here it sees the steps the other way round.
        turned = replace(instance, asked=instance.asked[::-1], executed=instance.executed[::-1])
        after, commands = undo_next(saga, turned)
        return replace(after, asked=instance.asked, executed=instance.executed), commands

    patch(machine, "_undo_next", first_step_first)


ORCHESTRATOR_MUTANTS: dict[str, Callable[[Patch], None]] = {
    mutant.__name__: mutant for mutant in (unanswered_not_undone, undone_in_order)
}
