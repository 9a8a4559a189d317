"""The working directory of this program, which may have been deleted."""

from pathlib import Path

from choregraphie.errors import UserError


def working_directory() -> Path:
    """The folder that this program works in. Raises UserError when it was deleted."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise UserError("the working directory was deleted; change to one that exists") from None
