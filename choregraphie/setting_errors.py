"""What is wrong with a setting, in one line without its value: it may be a secret."""

import difflib

from pydantic import BaseModel, ValidationError

from choregraphie.errors import BadSetting


def bad_setting(prefix: str, error: ValidationError, cls: type[BaseModel]) -> BadSetting:
    """The first thing that is wrong with the settings `cls`, by the key of `prefix` and its name."""
    first = error.errors()[0]
    # The text of our own ValueErrors, without the words that pydantic adds.
    message = str(first.get("ctx", {}).get("error", first["msg"]))
    if first["type"] == "string_pattern_mismatch":
        # A person cannot read a regular expression; the description says what the setting takes.
        message = f"not of the right form; it is for {cls.model_fields[str(first['loc'][0])].description}"
    # An error between several settings names them itself.
    where = f"{prefix}{str(first['loc'][0]).upper()}: " if first["loc"] else ""
    return BadSetting(f"{where}{message}")


def hint(prefix: str, name: str, cls: type[BaseModel]) -> str:
    """The setting that a person may have meant by `name`, or nothing."""
    near = difflib.get_close_matches(name, cls.model_fields, n=1)
    return f"; did you mean {prefix}{near[0].upper()}?" if near else ""
