"""The screens over the board: one order's timeline, the anomalies, the help. Escape leads back from each."""

import datetime as dt
from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.events import Key
from textual.screen import ModalScreen, Screen
from textual.widgets import Footer, OptionList, Static, Tree
from textual.widgets.option_list import Option
from textual.widgets.tree import TreeNode

from contracts.choreography import CHOREOGRAPHY
from saga_monitor.anomalies import Anomaly
from saga_monitor.console import drawing
from saga_monitor.console.branches import after_the_tree, dead_text, node_text, retry_text
from saga_monitor.console.ear import Ear
from saga_monitor.console.picture import Story, story
from saga_monitor.judging.timeline import Node, timeline
from saga_monitor.queries import Queries
from saga_monitor.showing.anomaly_words import whole_sentence
from saga_monitor.showing.tables import STATE_STYLES, STEP_GLYPHS, safe


class Over(Screen[str | None]):
    """A screen over the board, which a person leaves once: keys typed after that are not for it any more."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,backspace", "leave", "Back", key_display="esc")]
    _left = False

    def action_leave(self) -> None:
        self.leave(None)

    def leave(self, answer: str | None) -> None:
        if not self._left:
            self._left = True
            self.dismiss(answer)


class OrderScreen(Over):
    """The timeline of one order, kept up while it is open."""

    CSS = """
    .line { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    #times { height: auto; max-height: 3; text-wrap: wrap; }
    #wrong { height: auto; max-height: 6; padding: 0 1; color: $text-error; }
    #tree { height: 1fr; padding: 0 1; background: $background; scrollbar-size-vertical: 1; }
    """

    def __init__(self, queries: Queries, ear: Ear, commande_id: str) -> None:
        super().__init__()
        self._queries, self._ear, self._commande_id = queries, ear, commande_id
        self._heard: tuple[int, int, int] | None = None

    def compose(self) -> ComposeResult:
        yield Static(id="order", classes="line")
        yield Static(id="times", classes="line")
        yield Static(id="remains", classes="line")
        yield Static(id="wrong")
        tree: Tree[None] = Tree("events", id="tree")
        tree.show_root, tree.guide_depth = False, 2
        yield tree
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.redraw(dt.datetime.now(dt.UTC))
        self.query_one("#tree").focus()

    def redraw(self, now: dt.datetime) -> None:
        """Show what is known of the order now."""
        told = story(self._queries, self._commande_id, now)
        heading = drawing.line(drawing.link_word(self._ear, now), ("  ", ""))
        if told is None:
            unknown = drawing.line((f"{self._commande_id} is not in the history", "red"))
            self.query_one("#order", Static).update(heading.append_text(unknown))
            return
        self.query_one("#order", Static).update(heading.append_text(drawing.order_heading(told.order, now)))
        self.query_one("#times", Static).update(drawing.step_times(told.order))
        self.query_one("#remains", Static).update(drawing.waiting_line(told.order))
        wrong = self.query_one("#wrong", Static)
        mine = [anomaly for anomaly in self._ear.anomalies or () if anomaly.commande_id == self._commande_id]
        wrong.display = bool(mine)
        wrong.update(Text("\n").join(safe(whole_sentence(anomaly)) for anomaly in mine))
        heard = (len(told.events), len(told.retries), len(told.dead_letters))
        if heard != self._heard:
            self._heard = heard
            self._grow(told)

    def _grow(self, told: Story) -> None:
        tree = self.query_one("#tree", Tree)
        tree.clear()
        grown = timeline(told.events, told.retries, told.dead_letters)
        for beginning in grown.beginnings:
            _add(tree.root, beginning)
        for leaf in after_the_tree(grown):
            tree.root.add_leaf(leaf)
        tree.root.expand_all()


def _add(parent: TreeNode[None], node: Node) -> None:
    """`node` with all that follows from it; a chain of answers as long as one likes."""
    waiting = [(parent, node)]
    while waiting:
        above, one = waiting.pop()
        branch = above.add(node_text(one), expand=True, allow_expand=bool(one.answers))
        for retry in one.retries:
            branch.add_leaf(retry_text(retry))
        for letter in one.dead_letters:
            branch.add_leaf(dead_text(letter))
        waiting += [(branch, answer) for answer in reversed(one.answers)]


class Sentence(Option):
    """One anomaly of the list."""

    def __init__(self, anomaly: Anomaly) -> None:
        self.anomaly = anomaly
        text = Text().append(anomaly.since.strftime("%Y-%m-%d %H:%M:%S  ") if anomaly.since else "", style="dim")
        text.append(f"{anomaly.kind.replace('_', ' ').upper()}  ", style="bold red")
        super().__init__(text.append_text(safe(whole_sentence(anomaly), limit=1000)).append("\n"))


class AnomaliesScreen(Over):
    """Everything that is wrong, in whole sentences, kept up while it is open; opening one leads to its order."""

    CSS = "#list { height: 1fr; border: none; background: $background; } .line { height: 1; padding: 0 1; }"

    def __init__(self, ear: Ear) -> None:
        super().__init__()
        self._ear = ear
        self._listed: Sequence[Anomaly] = ()

    def compose(self) -> ComposeResult:
        yield Static(id="verdict", classes="line")
        yield OptionList(id="list")
        yield Footer(show_command_palette=False)

    def on_mount(self) -> None:
        self.redraw(dt.datetime.now(dt.UTC))
        self.query_one("#list").focus()

    def redraw(self, now: dt.datetime) -> None:
        """Show what was judged last."""
        said = drawing.line(drawing.link_word(self._ear, now), (" · ", ""), drawing.verdict(self._ear, now))
        self.query_one("#verdict", Static).update(said)
        found = tuple(self._ear.anomalies or ())
        if found != self._listed:
            self._list(found)

    def _list(self, found: Sequence[Anomaly]) -> None:
        shown = self.query_one(OptionList)
        row = shown.highlighted
        chosen = None if row is None else _name(self._listed[row])
        shown.clear_options()
        shown.add_options(map(Sentence, found))
        self._listed = found
        # Whoever has not gone down the list sees the gravest first; any other keeps what was chosen.
        if row and found:
            same = (number for number, anomaly in enumerate(found) if _name(anomaly) == chosen)
            shown.highlighted = next(same, min(row, len(found) - 1))

    @on(OptionList.OptionSelected)
    def _chosen(self, event: OptionList.OptionSelected) -> None:
        # Of the option itself: the list may have been renewed since the key was pressed.
        if isinstance(event.option, Sentence):
            self.leave(event.option.anomaly.commande_id)


def _name(anomaly: Anomaly) -> tuple[str, str | None, str | None]:
    return anomaly.kind, anomaly.commande_id, anomaly.service


_KEYS = (
    ("↑ ↓ PgUp PgDn", "choose an order"),
    ("⏎", "its timeline: every event under the one that it answers"),
    ("f F", "the next filter, the one before: in flight, troubled, a state, a flag"),
    ("/", "search: part of an id, a client, a reason, …, in capitals or not; or a day"),
    ("a", "everything that is wrong, and what to do about it"),
    ("space", "pause the picture; the reading goes on"),
    ("esc", "back; on the board, back to all orders"),
    ("q", "quit; the last totals stay on the terminal"),
)


class HelpScreen(ModalScreen[str | None], Over):
    """What the keys do and the signs mean. Any key leads back."""

    # A box and its margins leave nothing of a small terminal.
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-wide")]  # noqa: RUF012 - declared so by Screen
    VERTICAL_BREAKPOINTS = [(0, "-low"), (12, "-high")]  # noqa: RUF012 - declared so by Screen
    CSS = """
    HelpScreen { align: center middle; }
    #help { width: auto; max-width: 90%; height: auto; max-height: 95%; padding: 1 2; border: round $primary;
            background: $surface; }
    HelpScreen.-narrow #help, HelpScreen.-low #help {
        max-width: 100%; max-height: 100%; padding: 0; border: none;
    }
    """

    def compose(self) -> ComposeResult:
        yield Static(self._text(), id="help")

    def _text(self) -> Text:
        text = Text()
        for key, what in _KEYS:
            text.append(f"{key:>14}  ", style="bold cyan").append(f"{what}\n")
        text.append("\nsteps  ", style="dim").append(", ".join(CHOREOGRAPHY.services)).append("\n       ")
        for number, (state, (glyph, style)) in enumerate(STEP_GLYPHS.items()):
            text.append(f"{glyph} {state}   ", style=style)
            text.append("\n       " if number == 3 else "")
        text.append("\nstates ", style="dim")
        for state, style in STATE_STYLES.items():
            text.append(f"{state} ", style=style)
        return text

    def on_key(self, event: Key) -> None:
        event.stop()
        self.leave(None)
