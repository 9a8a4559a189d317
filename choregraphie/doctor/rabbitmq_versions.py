"""The versions of RabbitMQ with known errors that matter here. Source: its release notes and issues. Pure."""

import re
from dataclasses import dataclass

from choregraphie.doctor.finding import Finding, Verdict
from choregraphie.settings import Settings

Version = tuple[int, int, int]
OLDEST: Version = (3, 10, 0)
# The newest series that the project was run on.
NEWEST_TRIED = (4, 3)


@dataclass(frozen=True)
class KnownError:
    """An error of the versions from `since` up to `fixed`. `passive`: only where workers may not declare."""

    since: Version
    fixed: Version
    verdict: Verdict
    what: str
    passive: bool = False


_LOOKING = (
    "lets only who may configure a queue ask whether it exists (rabbitmq-server#16272), so workers cannot run"
)
KNOWN_ERRORS = (
    KnownError(
        (4, 0, 0),
        (4, 0, 3),
        Verdict.WRONG,
        "a quorum queue with a delivery limit may fail (rabbitmq-server#12405), or not requeue (#12442)",
    ),
    KnownError(
        (4, 0, 3),
        (4, 0, 7),
        Verdict.WARNING,
        "the members of a quorum queue on a cluster may diverge and lose messages (rabbitmq-server#13326)",
    ),
    KnownError((4, 2, 6), (4, 2, 7), Verdict.WRONG, _LOOKING, passive=True),
    KnownError((4, 3, 0), (4, 3, 1), Verdict.WRONG, _LOOKING, passive=True),
    KnownError(
        (4, 3, 0),
        (4, 3, 3),
        Verdict.WARNING,
        "a leader may commit too early (ra#637), and dead-lettering may hang after members changed"
        " (rabbitmq-server#16652)",
    ),
)


def judge(text: str, settings: Settings) -> Finding:
    """The verdict on the version that a broker names."""
    found = re.match(r"(\d{1,4})\.(\d{1,4})\.(\d{1,4})", text)
    if found is None:
        return Finding("broker", Verdict.UNKNOWN, f"version {text[:40]!r}", "compare it with the tested ones")
    version = (int(found[1]), int(found[2]), int(found[3]))
    name = f"RabbitMQ {found[0]}"
    if version < OLDEST:
        what = f"{name} cannot dead-letter at least once, so messages may be lost"
        return Finding("broker", Verdict.WRONG, what, "upgrade to 3.10 or newer")
    wrong = [one for one in KNOWN_ERRORS if one.since <= version < one.fixed]
    wrong = [one for one in wrong if settings.topology == "passive" or not one.passive]
    if wrong:
        worst = min(wrong, key=lambda one: one.verdict is not Verdict.WRONG)
        fixed = max(one.fixed for one in wrong)
        what = f"{name}: {'; '.join(one.what for one in wrong)}"
        return Finding("broker", worst.verdict, what, f"upgrade to {'.'.join(map(str, fixed))}")
    if version[:2] > NEWEST_TRIED:
        what = f"{name}: newer than {'.'.join(map(str, NEWEST_TRIED))}, the newest that was tried"
        return Finding("broker", Verdict.WARNING, what, "try the tests of the project on it")
    return Finding("broker", Verdict.OK, name)
