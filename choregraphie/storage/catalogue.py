"""Fills an empty database with the starting data of the catalogue, a TOML file."""

import tomllib
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert
from sqlalchemy.exc import OperationalError, StatementError

from choregraphie.errors import DatabaseRefused
from choregraphie.service.rows import Row
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage.engine import error_text


def fill(connection: Connection, service: Service, settings: Settings) -> None:
    """Insert the rows that the service seeds from the catalogue. Raises DatabaseRefused when it cannot be used."""
    try:
        rows: dict[type[Row], list[dict[str, Any]]] = {}
        catalogue = _read(settings.catalogue) if settings.catalogue else {}
        for row in service.seed(catalogue):
            rows.setdefault(type(row), []).append(row.values())
        for cls, values in rows.items():
            connection.execute(insert(cls.TABLE), values)
    except (OperationalError, DatabaseRefused):
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, StatementError) as error:
        # A user wrote the catalogue, and must correct it.
        raise DatabaseRefused(f"SAGA_CATALOGUE {settings.catalogue}: {error_text(error)}") from error


def _read(path: Path) -> dict[str, Any]:
    """The catalogue's tables, with amounts as Decimal. Raises DatabaseRefused when the file cannot be used."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        detail = getattr(error, "strerror", None) or str(error)
        raise DatabaseRefused(f"SAGA_CATALOGUE {path}: {detail}") from None
    except RecursionError:
        raise DatabaseRefused(f"SAGA_CATALOGUE {path}: nested too deeply") from None
