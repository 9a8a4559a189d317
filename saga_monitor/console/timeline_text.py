"""The lines of a timeline: an event, a retry, a dead letter."""

from collections.abc import Iterator

from rich.text import Text

from choregraphie.terminal.formats import format_duration
from saga_monitor.analysis.messages import DeadLetter, Retry
from saga_monitor.diagnosis.wording import because
from saga_monitor.reports.timeline import Node, Timeline
from saga_monitor.text.tables import safe

_TONES = {"step": ("●", "green"), "end": ("★", "bold green"), "undoing": ("↩", "blue"), "refusal": ("✗", "red")}


def node_text(node: Node) -> Text:
    """`+0.4 s ● paiement.effectue 200 ms · a note`."""
    glyph, style = _TONES[node.tone]
    text = Text().append(_offset(node.since_start_ms), style="dim")
    text.append(f" {glyph} ", style=style).append_text(safe(node.event.type, "bold"))
    if node.took_ms is not None:
        text.append(f"  {format_duration(node.took_ms)}")
    if node.event.note:
        text.append("  ").append_text(safe(node.event.note, "italic", limit=200))
    if node.cause_unheard:
        text.append("  its cause was not heard", style="dim")
    return text


def retry_text(retry: Retry) -> Text:
    back = f"; the next at {retry.next:%H:%M:%S} UTC" if retry.next else ""
    # The time of the next try comes before the reason, because a long line is cut at its end.
    text = Text().append(f"⟳ {retry.service}: try {retry.attempt} failed{back}", style="yellow")
    return text.append_text(safe(f" ({retry.detail})" if retry.detail else "", limit=200))


def dead_letter_line(letter: DeadLetter) -> Text:
    text = Text().append(f"☠ set aside at {letter.service}: ", style="bold red")
    return text.append_text(safe(because(letter.reason, letter.detail), limit=250))


def unattached_lines(tree: Timeline) -> Iterator[Text]:
    """Retries and dead letters of unheard messages, and how many events were left out."""
    yield from map(retry_text, tree.retries)
    yield from map(dead_letter_line, tree.dead_letters)
    if tree.left_out:
        yield Text(f"… {tree.left_out} more events: `python -m saga_monitor show` has them all", style="dim")


def _offset(ms: int | None) -> str:
    if ms is None:
        return f"{'no time':>9}"
    return f"+{format_duration(ms)}".rjust(9)
