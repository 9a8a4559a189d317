"""The password files of the identities: a folder for each, in it the password and the URLs that hold it."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from choregraphie.errors import UserError

PASSWORD, AMQP_URL, MANAGEMENT_URL = "password", "amqp-url", "management-url"
_RANDOM_BYTES = 32
_FILE_MODE, _FOLDER_MODE = 0o400, 0o700


class PasswordFile(UserError):
    """A password file cannot be read or written."""


@dataclass(frozen=True)
class PasswordFiles:
    """The folder that holds a folder for each identity."""

    folder: Path

    def read(self, name: str, file: str = PASSWORD) -> str | None:
        """The password of the identity `name`; None when there is none. Raises PasswordFile."""
        path = self.folder / name / file
        try:
            found = path.read_text(encoding="ascii").strip()
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            raise PasswordFile(f"{path}: {getattr(error, 'strerror', 'not a password')}") from None
        if not found:
            raise PasswordFile(f"{path}: empty; delete it, and another password is made")
        return found

    def write(self, name: str, contents: dict[str, str]) -> None:
        """Replace the files of the identity `name`, which only their owner may read. Raises PasswordFile."""
        folder = self.folder / name
        try:
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            for file, content in contents.items():
                _replace(folder / file, content)
        except OSError as error:
            raise PasswordFile(f"{error.filename or folder}: {error.strerror}") from None

    def check_writable(self, names: list[str]) -> None:
        """Make the folders, so that no password is set that cannot be written. Raises PasswordFile."""
        for name in names:
            self.write(name, {".writable": ""})
            (self.folder / name / ".writable").unlink()


def new_password() -> str:
    """A random password of 256 bits that needs no escaping in a URL."""
    return secrets.token_urlsafe(_RANDOM_BYTES)


def _replace(path: Path, content: str) -> None:
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    # The mode counts from the beginning: nobody else can open the file between its creation and a chmod.
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(content + "\n" if content else "")
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
