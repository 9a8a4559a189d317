"""The console application: a table of instances, redrawn twice a second while other tasks read the history."""

import contextlib
import datetime as dt
import os
from collections.abc import Callable
from typing import ClassVar

from textual import on
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.css.query import NoMatches
from textual.events import Resize
from textual.widgets import DataTable, Footer, Input, Static

from choregraphie import UserError
from choregraphie.saga.envelope import Instance
from saga_monitor.console import rendering
from saga_monitor.console.caption import Caption
from saga_monitor.console.help import HelpScreen
from saga_monitor.console.instance_table import InstanceTable
from saga_monitor.console.lines import line
from saga_monitor.console.overlays import TextScreen, anomaly_text, copy
from saga_monitor.console.rendering import first_anomalies
from saga_monitor.console.screens import AnomaliesScreen, InstanceScreen
from saga_monitor.console.search_field import SearchField
from saga_monitor.console.snapshot import FILTERS, Snapshot, SnapshotReader, Special
from saga_monitor.console.sorting import Sorting
from saga_monitor.console.status import ConsoleStatus
from saga_monitor.console.theme import COLOURS, CSS
from saga_monitor.diagnosis.anomalies import Anomaly

REDRAW_SECONDS = 0.5
# The terminal height from which these lines are shown; on a lower terminal the instances need the space.
_NEEDED_LINES = {"rates": 14, "troubles": 10, "view": 8}
_BOARDS_OWN = {"filter", "saga", "search", "anomalies", "pause", "help", "reset", "sort", "sort_back", "copy"}


class ConsoleApp(App[None]):
    """Calls `begin` when the screen is ready. `caption` returns the text above the table, or an empty one.

    `program`: how a person starts the application's command line.
    """

    CSS = CSS
    TITLE = "chorégraphie"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "filter(1)", "Filter"),
        Binding("F", "filter(-1)", show=False),
        # Priority, so that characters typed right after it do not reach the table.
        Binding("slash", "search", "Search", key_display="/", priority=True),
        Binding("a", "anomalies", "Anomalies"),
        Binding("space,p", "pause", "Pause", key_display="space"),
        Binding("question_mark,h", "help", "Help", key_display="?"),
        Binding("c", "saga", "Saga"),
        Binding("s", "sort", show=False),
        Binding("S", "sort_back", show=False),
        Binding("y", "copy", show=False),
        Binding("q", "quit", "Quit"),
        Binding("escape", "reset", show=False),
        Binding("ctrl+c", "quit", show=False, priority=True),
    ]

    def __init__(
        self,
        snapshots: SnapshotReader,
        status: ConsoleStatus,
        begin: Callable[[], None] = lambda: None,
        caption: Callable[[], str] = str,
        program: str = "choregraphie",
    ) -> None:
        if not os.environ.get("NO_COLOR"):
            os.environ.pop("NO_COLOR", None)  # empty means unset (no-color.org), but Textual takes it for set
        # The terminal's own colours, which Textual can leave out.
        super().__init__(ansi_color="NO_COLOR" in os.environ)
        self.ansi_theme_dark = COLOURS
        self.snapshots, self.status, self.program = snapshots, status, program
        self._begin, self._caption = begin, caption
        self.error: UserError | None = None
        self.paused = False
        self._shown: Snapshot | None = None

    def compose(self) -> ComposeResult:
        yield Caption(self._caption)
        for name in ("heading", "rates", "states", "troubles", "news"):
            yield Static(id=name, classes="line")
        yield Static(id="anomalies")
        yield Static(id="view", classes="line")
        yield InstanceTable()
        yield SearchField(self._find, self.snapshots.queries.sagas)
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self._close_search()
        self.table.rule_columns(self.size.width, self.snapshots.sagas)
        self.set_interval(REDRAW_SECONDS, self.redraw)
        self.call_after_refresh(self.redraw)
        self._begin()

    @property
    def table(self) -> InstanceTable:
        # From the bottom screen, whatever lies above it.
        return self.screen_stack[0].query_one("#instances", InstanceTable)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Disable the table's keys while another screen is over it, and `/` while text is typed."""
        of_no_use = {"search": isinstance(self.focused, Input), "saga": not self.snapshots.queries.sagas.several}
        if of_no_use.get(action):
            return False
        return len(self.screen_stack) == 1 or action not in _BOARDS_OWN

    def redraw(self) -> None:
        """Read and show a new snapshot; while paused, show the old one with the current connection state."""
        if not self.screen_stack or not self.screen_stack[0].query("#heading"):
            return  # the last tick, while the screen is being removed
        now = dt.datetime.now(dt.UTC)
        try:
            self._refresh(now)
        except UserError as error:
            if self._shown is None:
                self.error = error
                self.exit()
                return
            # The old snapshot stays on the screen, and the next tick tries again.
            self.status.notice(str(error))
        if self._shown is not None:
            self._show(self._shown, now)

    def _refresh(self, now: dt.datetime) -> None:
        self.status.as_of = self.snapshots.queries.as_of()
        if self._shown is None or not self.paused:
            self._shown = self.snapshots.snapshot(now)
        if isinstance(self.screen, InstanceScreen | AnomaliesScreen):
            # A screen that is being opened or closed lacks widgets; once open, it draws itself.
            with contextlib.suppress(NoMatches):
                self.screen.redraw(now)

    def _show(self, snapshot: Snapshot, now: dt.datetime) -> None:
        base = self.screen_stack[0]
        base.query_one(Caption).redraw()
        for name, text in (
            ("heading", rendering.heading(snapshot, rendering.link_word(self.status, now), paused=self.paused)),
            ("rates", rendering.rates(snapshot, self.size.width - 2)),
            ("states", rendering.states(snapshot.totals, self.size.width - 2)),
            ("troubles", rendering.problems(snapshot.totals, self.size.width - 2)),
            ("view", rendering.list_line(self.snapshots, snapshot)),
        ):
            base.query_one(f"#{name}", Static).update(text)
        for name, least in _NEEDED_LINES.items():
            base.query_one(f"#{name}").display = self.size.height >= least
        self._show_news(now)
        self.table.fill(snapshot)

    def raise_error(self) -> None:
        """After the end: raise the error that ended the application, if any."""
        if self.error is not None:
            raise self.error
        if self.return_code:
            raise SystemExit(self.return_code)

    def _show_news(self, now: dt.datetime) -> None:
        base, news = self.screen_stack[0], self.status.news(now)
        shown = base.query_one("#news", Static)
        shown.display = bool(news)
        shown.update(line(*news))
        anomalies, found = base.query_one("#anomalies", Static), self.status.anomalies or ()
        anomalies.display = bool(found) and self.size.height >= _NEEDED_LINES["rates"]
        anomalies.update(first_anomalies(found, self.snapshots.queries.sagas))

    def on_resize(self, event: Resize) -> None:
        # The application's own size changes only after this event.
        self.table.rule_columns(event.size.width, self.snapshots.sagas)
        self.call_after_refresh(self.redraw)

    def action_filter(self, by: int) -> None:
        self.snapshots.filter = FILTERS[(FILTERS.index(self.snapshots.filter) + by) % len(FILTERS)]
        self._start_over()

    def action_saga(self) -> None:
        self.snapshots.next_saga()
        self.table.rule_columns(self.size.width, self.snapshots.sagas)
        self._start_over()

    def action_search(self) -> None:
        self.screen_stack[0].query_one(SearchField).open()

    @on(Input.Changed, "#search")
    def _typed(self, event: Input.Changed) -> None:
        if event.input.display:
            self._find(event.input.value)

    def _find(self, text: str) -> None:
        if text != self.snapshots.search:
            self.snapshots.search = text
            self._start_over()

    def action_reset(self) -> None:
        """Show all instances again: no search, no filter, no sorting."""
        self.snapshots.search, self.snapshots.filter, self.snapshots.sorting = "", Special.ALL, Sorting()
        self._close_search()
        self._start_over()

    def _close_search(self) -> None:
        self.screen_stack[0].query_one(SearchField).close()

    def action_sort(self) -> None:
        self.snapshots.sorting = self.snapshots.sorting.next()
        self._start_over()

    def action_sort_back(self) -> None:
        self.snapshots.sorting = self.snapshots.sorting.reversed()
        self._start_over()

    def action_copy(self) -> None:
        copy(self.screen, self.table.chosen_key())

    def _start_over(self) -> None:
        self.paused = False
        self.table.select_first()
        self.redraw()

    def action_pause(self) -> None:
        self.paused = not self.paused
        self.redraw()

    @on(DataTable.RowSelected, "#instances")
    def _selected(self) -> None:
        if (chosen := self.table.chosen()) is not None:
            self.open_instance(chosen)

    def open_instance(self, instance: Instance) -> None:
        self.push_screen(InstanceScreen(self.snapshots.queries, self.status, instance, self.program))

    def action_anomalies(self) -> None:
        self.push_screen(AnomaliesScreen(self.status, self.snapshots.queries.sagas), self._opened)

    def _opened(self, anomaly: Anomaly | None) -> None:
        if anomaly is None:
            return
        queries, instance = self.snapshots.queries, anomaly.instance
        # The screen of an instance shows its dead letters. Without an instance, show the dead letter itself.
        if instance and queries.instance(instance, dt.datetime.now(dt.UTC)) is not None:
            self.open_instance(instance)
        else:
            self.push_screen(TextScreen(anomaly_text(queries, anomaly, self.program), anomaly.key))

    def action_help(self) -> None:
        self.push_screen(HelpScreen(self.snapshots.queries.sagas))
