"""Database rows as plain objects, which a reaction reads and changes without SQL."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any, ClassVar, TypeVar, dataclass_transform

from sqlalchemy import Table

Key = tuple["type[Row]", str]


@dataclass_transform()
class Row:
    """A row as a plain object: a dataclass whose fields are the columns of `TABLE`, with one text primary key."""

    TABLE: ClassVar[Table]

    @classmethod
    def at(cls, key: str) -> Key:
        """The key of a row by its primary key, for `reads`."""
        return cls, key

    def primary_key(self) -> str:
        return str(getattr(self, shape_of(type(self)).key))

    def values(self) -> dict[str, Any]:
        shape = shape_of(type(self))
        return dict(zip(shape.names, shape.values(self), strict=True))


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Shape:
    """The columns of a row class. `key` is the name of its primary key, `place` its index in `names`."""

    names: tuple[str, ...]
    key: str
    place: int
    values: Callable[[Row], tuple[Any, ...]]


_SHAPES: dict[type[Row], Shape] = {}


def shape_of(cls: type[Row]) -> Shape:
    """The columns of `cls` in the order of its fields, computed once for each class."""
    if cls not in _SHAPES:
        _SHAPES[cls] = _read_shape(cls)
    return _SHAPES[cls]


def _read_shape(cls: type[Row]) -> Shape:
    # Subclasses of Row are dataclasses, as `dataclass_transform` tells a type checker; Row itself is none.
    names = tuple(field.name for field in fields(cls))  # type: ignore[arg-type]
    (key,) = cls.TABLE.primary_key.columns
    return Shape(names, key.name, names.index(key.name), _getter(names))


def _getter(names: tuple[str, ...]) -> Callable[[Row], tuple[Any, ...]]:
    if len(names) == 1:
        return lambda row: (getattr(row, names[0]),)
    return attrgetter(*names)
