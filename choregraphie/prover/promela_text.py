"""The text of a Promela model: its first lines, its processes and what each may do in one step. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

# The comment at what some run must do. SPIN lists what no run reached; the comment names the rule that this
# breaks.
REACHABLE, SAID = "rule reachable", "rule said"

_HEADER = """\
/* The saga {name}, which begins with {starts}: one instance of it.
 *
 * Check a rule:         spin -search -a -ltl undone FILE       "errors: 0": it holds
 * Read a broken run:    spin -t FILE                           after such a search
 * Check reachability:   spin -search -a -ltl reachable FILE    lists what no run reached; the lines that say
 *                                                              "rule reachable" or "rule said" break that rule
 *
 * A message is in flight once it was said and until the inbox has taken it, so any event may overtake any other.
 * A repeated message finds itself in the inbox and changes nothing: it needs no transition.
 */
"""


@dataclass(frozen=True)
class Option:
    """One thing that a process may do, in one step. `rule`: the one that is broken when no run does it."""

    guard: str
    effects: tuple[str, ...]
    sentence: str
    rule: str = ""


def header(saga: str, starts: str) -> str:
    """The comment that says how to check the model of `saga`, which begins with the type `starts`."""
    return _HEADER.format(name=saga, starts=starts)


def process(name: str, options: Iterable[Option]) -> str:
    """A service or a clock may wait for ever: SPIN takes `end` for a proper end."""
    lines = ["end:", "    do", *(f"    :: {statement(option)}" for option in options), "    od"]
    return "\n".join([f"active proctype {name}()", "{", *lines, "}\n"])


def statement(option: Option) -> str:
    comment = f"/* {option.rule} */ " if option.rule else ""
    effects = ";\n            ".join(option.effects)
    return (
        f"atomic {{ {option.guard} ->\n"
        f'        d_step {{ {comment}printf("{option.sentence}\\n");\n'
        f"            {effects} }} }}"
    )
