"""The forms of durations, counts and amounts for a person, the same on every screen."""

from decimal import Decimal

_DAYS_A_YEAR = 365.25
# From this many days on, months and years are shown.
_MANY_DAYS = 100


def format_duration(ms: float | None) -> str:
    """`420 ms`, `1.5 s`, `3m 12s`, `2h 05m`, `3d 4h`, `11 months`, `2 years`; a dash when it is not known.

    It takes nine characters at most, up to 999 years.
    """
    if ms is None:
        return "–"
    seconds = ms / 1000
    # Compared as they are shown: 59.96 s is a minute, 999.6 ms a second.
    if round(ms) < 1000:
        return f"{ms:.0f} ms"
    if round(seconds, 1) < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m {rest:02}s"
    hours, minutes = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}h {minutes:02}m"
    days, hours = divmod(hours, 24)
    return f"{days}d {hours}h" if days < _MANY_DAYS else _months_or_years(days)


def _months_or_years(days: int) -> str:
    years = days / _DAYS_A_YEAR
    return f"{int(12 * years)} months" if years < 2 else f"{int(years):,} years"


def with_article(noun: str) -> str:
    """The noun with its indefinite article: `an order`, `a voyage`."""
    return f"{'an' if noun[:1].lower() in 'aeiou' else 'a'} {noun}"


def format_count(number: int) -> str:
    """`12,345`."""
    return f"{number:,}"


def counted(number: int, noun: str) -> str:
    """`number` of what `noun` names: `1 message`, `2,000 messages`."""
    return f"{format_count(number)} {noun}{'' if number == 1 else 's'}"


def format_amount(amount: Decimal | float) -> str:
    """An amount with its two decimals: `4,880.60`."""
    return f"{amount:,.2f}"
