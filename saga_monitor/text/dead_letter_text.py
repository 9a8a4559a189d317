"""A dead letter, or a key without an order, as terminal lines."""

from rich.console import Group, RenderableType
from rich.text import Text

from saga_monitor.analysis.messages import DeadLetter
from saga_monitor.projection.dead_letters import Mentions
from saga_monitor.projection.queries import Order
from saga_monitor.reports.report import rfc3339
from saga_monitor.text import dead_letter_page
from saga_monitor.text.safe_text import safe


def letter_view(letter: DeadLetter, order: Order | None) -> RenderableType:
    """All that is known of it, as lines."""
    state = f" ({order.state})" if order else " (no order began under this id)" if letter.commande_id else ""
    body = dead_letter_page.body(letter)
    facts = (
        ("at", rfc3339(letter.at)),
        ("queue", f"{letter.service}.dlq"),
        ("event", letter.type or "unreadable"),
        ("order", f"{letter.commande_id or 'none can be read'}{state}"),
        *((("event id", letter.event_id),) if letter.event_id else ()),
    )
    lines = [safe(dead_letter_page.why(letter), "bold red"), safe(dead_letter_page.advice(letter, order)), Text()]
    lines += [Text(f"{name:<9} ", style="dim").append_text(safe(value)) for name, value in facts]
    lines += [Text(), *(_command(command) for command in dead_letter_page.commands(letter, order)), Text()]
    lines += [Text(f"{name}: ", style="dim").append(value) for name, value in dead_letter_page.headers(letter)]
    lines += [Text(body.about, style="dim"), *map(Text, body.lines)]
    return Group(*lines)


def _command(command: dead_letter_page.Command) -> Text:
    return Text(command.line, style="cyan").append(f"  # {command.shows}", style="dim")


def mentions_view(key: str, found: Mentions) -> RenderableType:
    """What was heard of a key that has no order."""
    lines = [Text.assemble(safe(key, "bold"), "  no order began under this id")]
    for letter in found.letters:
        what = f"{dead_letter_page.why(letter)} `python -m saga_monitor letter {letter.offset}` shows it."
        lines.append(safe(f"{rfc3339(letter.at)}  {what}"))
    lines += [
        safe(f"{rfc3339(u.time) or '–'}  {u.type} from {u.source}: not of this choreography")
        for u in found.unknown
    ]
    for one in found.refused:
        text = f"{one.type} from {one.source} came by {one.exchange}: nobody acts on it"
        lines.append(safe(f"{rfc3339(one.at)}  {text}"))
    return Group(*lines)
