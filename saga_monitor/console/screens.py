"""The screens over the table: the timeline of an instance, and the list of anomalies."""

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, OptionList, Static, Tree
from textual.widgets.option_list import Option
from textual.widgets.tree import TreeNode

from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.console import rendering
from saga_monitor.console.lines import line
from saga_monitor.console.overlays import OverlayScreen, TextScreen, dead_letter_text
from saga_monitor.console.snapshot import InstanceHistory, instance_history
from saga_monitor.console.status import ConsoleStatus
from saga_monitor.console.timeline_text import dead_letter_line, node_text, retry_text, unattached_lines
from saga_monitor.diagnosis.anomalies import Anomaly
from saga_monitor.projection.queries import Queries
from saga_monitor.reports.timeline import Node, timeline
from saga_monitor.text.anomaly_list import kind_words, whole_sentence
from saga_monitor.text.tables import safe


class InstanceScreen(OverlayScreen):
    """The timeline of one instance, updated while it is open."""

    CSS = """
    .line { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    #times { height: auto; max-height: 3; text-wrap: wrap; }
    #wrong { height: auto; max-height: 6; padding: 0 1; color: $text-error; }
    #tree { height: 1fr; padding: 0 1; background: $background; scrollbar-size-vertical: 1; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "tree('cursor_down')", show=False),
        Binding("k", "tree('cursor_up')", show=False),
        Binding("g,home", "tree('scroll_home')", show=False),
        Binding("G,end", "tree('scroll_end')", show=False),
    ]

    def __init__(self, queries: Queries, status: ConsoleStatus, instance: Instance, program: str) -> None:
        super().__init__()
        self._queries, self._status, self._instance, self._program = queries, status, instance, program
        self.copied = instance.key
        self._heard: tuple[int, int, int] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="instance", classes="line")
        yield Static(id="times", classes="line")
        yield Static(id="remains", classes="line")
        yield Static(id="wrong")
        tree: Tree[int] = Tree("events", id="tree")
        tree.show_root, tree.guide_depth = False, 2
        yield tree
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.redraw(dt.datetime.now(dt.UTC))
        self.query_one("#tree").focus()

    def action_tree(self, how: str) -> None:
        """Move the cursor in the tree, or to its first or last line."""
        tree = self.query_one("#tree", Tree)
        if how.startswith("cursor"):
            getattr(tree, f"action_{how}")()
        else:
            tree.cursor_line = 0 if how == "scroll_home" else tree.last_line

    @on(Tree.NodeSelected)
    def _selected(self, event: Tree.NodeSelected[int]) -> None:
        """Open a dead letter."""
        if event.node.data is not None and (
            text := dead_letter_text(self._queries, event.node.data, self._program)
        ):
            self.app.push_screen(TextScreen(text, self._instance.key))

    def redraw(self, now: dt.datetime) -> None:
        """Show the instance as it is now."""
        history = instance_history(self._queries, self._instance, now)
        heading = line(rendering.link_word(self._status, now), ("  ", ""))
        if history is None:
            unknown = line((f"{self._instance.key} is not in the history", "red"))
            self.query_one("#instance", Static).update(heading.append_text(unknown))
            return
        summary, sagas = history.summary, self._queries.sagas
        about = rendering.instance_heading(summary, now, several=sagas.several)
        self.query_one("#instance", Static).update(heading.append_text(about))
        self.query_one("#times", Static).update(rendering.step_times(summary))
        self.query_one("#remains", Static).update(rendering.waiting_line(summary, sagas.by_name[summary.saga]))
        self._show_wrong()
        heard = (len(history.events), len(history.retries), len(history.dead_letters))
        if heard != self._heard:
            self._heard = heard
            self._rebuild(history)

    def _show_wrong(self) -> None:
        wrong = self.query_one("#wrong", Static)
        mine = [anomaly for anomaly in self._status.anomalies or () if anomaly.instance == self._instance]
        wrong.display = bool(mine)
        wrong.update(Text("\n").join(safe(whole_sentence(anomaly)) for anomaly in mine))

    def _rebuild(self, history: InstanceHistory) -> None:
        tree = self.query_one("#tree", Tree)
        tree.clear()
        choreography = self._queries.sagas.by_name[self._instance.saga]
        shown_timeline = timeline(choreography, history.events, history.retries, history.dead_letters)
        for beginning in shown_timeline.beginnings:
            _add(tree.root, beginning)
        for leaf in unattached_lines(shown_timeline):
            tree.root.add_leaf(leaf)
        tree.root.expand_all()


def _add(parent: TreeNode[int], node: Node) -> None:
    """Add `node` and all its answers. Not recursive, so a chain of answers may be of any length."""
    waiting = [(parent, node)]
    while waiting:
        above, one = waiting.pop()
        branch = above.add(node_text(one), expand=True, allow_expand=bool(one.answers))
        for retry in one.retries:
            branch.add_leaf(retry_text(retry))
        for letter in one.dead_letters:
            branch.add_leaf(dead_letter_line(letter), data=letter.offset)
        waiting += [(branch, answer) for answer in reversed(one.answers)]


class AnomalyOption(Option):
    """One anomaly in the list."""

    def __init__(self, anomaly: Anomaly, sagas: SagaSet) -> None:
        self.anomaly = anomaly
        text = Text().append(anomaly.since.strftime("%Y-%m-%d %H:%M:%S  ") if anomaly.since else "", style="dim")
        text.append(f"{kind_words(anomaly, sagas).upper()}  ", style="bold red")
        super().__init__(text.append_text(safe(whole_sentence(anomaly), limit=1000)).append("\n"))


class AnomalyList(OptionList):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "cursor_down", show=False),
        Binding("k", "cursor_up", show=False),
        Binding("g", "first", show=False),
        Binding("G", "last", show=False),
    ]


class AnomaliesScreen(OverlayScreen):
    """All anomalies as sentences, updated while it is open. Enter opens the instance or the dead letter."""

    CSS = "#list { height: 1fr; border: none; background: $background; } .line { height: 1; padding: 0 1; }"

    def __init__(self, status: ConsoleStatus, sagas: SagaSet) -> None:
        super().__init__()
        self._status, self._sagas = status, sagas
        self._listed: Sequence[Anomaly] = ()

    def compose(self) -> ComposeResult:
        yield Static(id="verdict", classes="line")
        yield AnomalyList(id="list")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.redraw(dt.datetime.now(dt.UTC))
        self.query_one("#list").focus()

    def redraw(self, now: dt.datetime) -> None:
        """Show the last judgement."""
        said = line(rendering.link_word(self._status, now), (" · ", ""), rendering.verdict(self._status, now))
        self.query_one("#verdict", Static).update(said)
        found = tuple(self._status.anomalies or ())
        if found != self._listed:
            self._list(found)

    def _list(self, found: Sequence[Anomaly]) -> None:
        shown = self.query_one(OptionList)
        row = shown.highlighted
        chosen = None if row is None else _name(self._listed[row])
        shown.clear_options()
        shown.add_options(AnomalyOption(anomaly, self._sagas) for anomaly in found)
        self._listed = found
        # The cursor stays on the first anomaly, the most severe one; on another line it follows its anomaly.
        if row and found:
            same = (number for number, anomaly in enumerate(found) if _name(anomaly) == chosen)
            shown.highlighted = next(same, min(row, len(found) - 1))
        elif found:
            shown.highlighted = 0

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        # From the option itself: the list may have changed since the key was pressed.
        if isinstance(event.option, AnomalyOption):
            self.leave(event.option.anomaly)


def _name(anomaly: Anomaly) -> tuple[str | None, ...]:
    return anomaly.kind, anomaly.saga, anomaly.key, anomaly.service
