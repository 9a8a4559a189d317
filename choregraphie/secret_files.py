"""Settings that are read from files, as secrets are: at the start, and again when a server refuses them."""

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, PrivateAttr, ValidationError

from choregraphie.errors import BadSetting, UserError


def content_of(key: str, path: str) -> str:
    """The content of the file of the setting `key`. Raises BadSetting."""
    if not path:
        raise BadSetting(f"{key}: empty")
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadSetting(f"{key}: {path}: {getattr(error, 'strerror', 'not UTF-8 text')}") from None


class ReadFromFiles(BaseModel):
    """A frozen model whose fields may come from files.

    The fields keep the values from the start. `current` returns the value that was read last, for opening a
    connection; all copies of the settings share it.
    """

    _keys: dict[str, tuple[str, str]] = PrivateAttr(default_factory=dict)
    _newer: dict[str, str] = PrivateAttr(default_factory=dict)

    def come_from(self, files: dict[str, tuple[str, str]]) -> None:
        """Remember the files: for each field its key and the path."""
        self._keys.update(files)

    def secret_files(self) -> list[tuple[str, str]]:
        """The files that fields are read from: key and path of each."""
        return [*self._keys.values()]

    def without_files(self, names: Collection[str]) -> Self:
        """A copy in which the fields `names` are never read again."""
        copy = self.model_copy()
        copy._keys = {name: file for name, file in self._keys.items() if name not in names}
        return copy

    def current(self, name: str) -> Any:
        """The value of a field when its file was read last."""
        # A copy whose field comes from no file keeps its own value.
        return self._newer.get(name, getattr(self, name)) if name in self._keys else getattr(self, name)

    def read_again(self, name: str, check: Callable[[str], object] = str) -> bool:
        """Read the file of a field again. Return whether it holds a new value that is valid.

        `check` raises UserError for a value that the caller cannot use, or cannot change to while it runs. An
        invalid value is logged, and the old one stays.
        """
        if name not in self._keys:
            return False
        key, path = self._keys[name]
        try:
            value = content_of(key, path)
            if not value:
                raise BadSetting(f"{key}: empty")
            self._check(name, value)
            check(value)
        except (UserError, ValidationError) as error:
            why = str(error) if isinstance(error, UserError) else f"{key}: cannot be used as it is now"
            _log().warning("secret.reload_failed", setting=key, error=why)
            return False
        if value == self.current(name):
            return False
        self._newer[name] = value
        _log().info("secret.reloaded", setting=key)
        return True

    def _check(self, name: str, value: str) -> None:
        """Raises ValidationError when `value` is wrong for the field, or beside the defaults of the others."""
        try:
            type(self).model_validate({name: value})
        except ValidationError as error:
            # Of a setting without a default nothing is wrong: it is only not given here.
            if any(one["loc"][:1] in {(), (name,)} for one in error.errors(include_input=False)):
                raise


def _log() -> Any:
    # Settings are declared by every program, and this import takes longer than all of theirs.
    import structlog

    return structlog.get_logger()
