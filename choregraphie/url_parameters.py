"""The parameters of a URL: each is read once, by the function for its name, or refused in one line."""

from collections.abc import Callable, Iterable, Mapping
from urllib.parse import parse_qsl

# By parameter name: the option that it sets, and the function that reads its value.
Parameters = Mapping[str, tuple[str, Callable[[str], str]]]

_MOST = 30


def parameters_of(query: str) -> list[tuple[str, str]]:
    """The names and values in a URL's query. Raises ValueError when they cannot be read."""
    try:
        return parse_qsl(query, keep_blank_values=True, max_num_fields=_MOST, errors="strict")
    except ValueError:
        raise ValueError("the parameters cannot be read") from None


def options_of(given: Iterable[tuple[str, str]], known: Parameters) -> dict[str, str]:
    """The value of each option that `given` sets; every name in it is one of `known`.

    Raises ValueError when an option is set twice, or a value cannot be used.
    """
    options: dict[str, str] = {}
    for name, value in given:
        option, read = known[name]
        if option in options:
            raise ValueError(f"{name} is given twice, perhaps by another name")
        try:
            options[option] = read(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    return options
