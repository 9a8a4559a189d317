"""Names of projects: a name is a package of Python, a distribution, and a project of Docker Compose at once."""

import keyword
import re
import sys
from importlib import metadata

from choregraphie.errors import UserError

LONGEST = 40
_NAME = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
# The folder of the project's tests, and the packages of this one.
_TAKEN = frozenset({"choregraphie", "saga_monitor", "tests"})


class BadName(UserError):
    """A project cannot have this name. The text says why, in one line."""


def check_name(name: str) -> str:
    """`name` unchanged. Raises BadName when it cannot be a package, or would hide another one."""
    if why := _problem(name):
        raise BadName(f"{name[:60]!r} cannot be the name of a project: {why}")
    return name


def _problem(name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return "it is made of lower-case letters, digits and _, and begins with a letter, such as boutique"
    if len(name) > LONGEST:
        return f"it has {len(name)} characters, and {LONGEST} are the most"
    if keyword.iskeyword(name) or keyword.issoftkeyword(name):
        return "it is a word of Python"
    if name in sys.stdlib_module_names:
        return "it would hide the module of Python's standard library"
    if name in _TAKEN or name in metadata.packages_distributions():
        return "it would hide the package of that name"
    return None
