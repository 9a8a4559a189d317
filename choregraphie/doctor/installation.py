"""Examines the installation: Python, libraries, settings, files of secrets."""

import platform
import re
import sqlite3
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from choregraphie.application import Application
from choregraphie.broker import lean_lane_unsupported
from choregraphie.doctor.finding import Finding, Verdict
from choregraphie.errors import BadSetting, MissingExtra
from choregraphie.settings import PREFIX, Settings
from choregraphie.signing import OPS, unusable_keys, verifier_for

DISTRIBUTION = "choregraphie"
# What runs from its sources has no metadata; these speak to brokers and databases.
_LIBRARIES = ("aio-pika", "aiormq", "pamqp", "httpx", "pydantic", "sqlalchemy", "structlog")
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?\s*([^;]*)(;.*)?")
_BOUND = re.compile(r"(>=|<)\s*([0-9.]+)")


def examine_installation(application: Application, settings: Settings) -> Iterator[Finding]:
    """The verdicts on what this process runs with."""
    yield Finding("python", Verdict.OK, f"{platform.python_version()}, SQLite {sqlite3.sqlite_version}")
    yield from _libraries()
    if settings.lane != "public" and (why := lean_lane_unsupported()):
        what = f"messages pass by the slower public lane: {why}"
        yield Finding("libraries", Verdict.WARNING, what, "install a version of aiormq that is known")
    yield from _signatures(application, settings)
    given = settings.model_fields_set - ({"catalogue"} if settings.catalogue == application.seed else set())
    shown = ", ".join(f"{PREFIX}{name.upper()}" for name in sorted(given))
    yield Finding("settings", Verdict.OK, f"set: {shown}" if shown else "all as they are by default")
    yield from _secret_files(settings)


def _secret_files(settings: Settings) -> Iterator[Finding]:
    for key, path in settings.secret_files():
        try:
            mode = Path(path).stat().st_mode
        except OSError as error:  # it was read at the start
            what = f"{key}: {path}: {error.strerror}"
            yield Finding(
                "settings", Verdict.WARNING, what, "put it back: it is read again when a login is refused"
            )
            continue
        if mode & 0o007:
            what = f"{key}: everybody on this machine can read {path}"
            yield Finding("settings", Verdict.WARNING, what, f"chmod 400 {path}")


def _signatures(application: Application, settings: Settings) -> Iterator[Finding]:
    """Whether everybody has a public key here, and the private ones can be used; nothing without signatures."""
    try:
        verifier = verifier_for(settings)
    except (BadSetting, MissingExtra) as error:
        yield Finding("signatures", Verdict.WRONG, str(error), "correct it; until then no worker starts")
        return
    if verifier is None:
        return
    owners = (*application.saga_set.speakers, OPS)
    missing = [owner for owner in owners if owner not in verifier.owners]
    for owner in missing:
        what = f"{settings.signing_public} has no public key of {owner}: what it says is refused"
        yield Finding("signatures", Verdict.WRONG, what, f"'keys new {owner}' makes one")
    unusable = unusable_keys(settings, [owner for owner in owners if owner not in missing])
    for why in unusable:
        yield Finding("signatures", Verdict.WRONG, why, "correct it; until then its owner does not start")
    if not (missing or unusable):
        yield Finding("signatures", Verdict.OK, "everybody who says something has a public key here")


def _libraries() -> Iterator[Finding]:
    try:
        requirements = metadata.requires(DISTRIBUTION) or []
        versions = [f"{DISTRIBUTION} {metadata.version(DISTRIBUTION)}"]
    except metadata.PackageNotFoundError:
        requirements = [*_LIBRARIES]
        versions = [f"{DISTRIBUTION} from its sources"]
    for requirement in requirements:
        parts = _REQUIREMENT.fullmatch(requirement)
        if parts is None or "extra" in (parts[3] or ""):
            continue
        try:
            found = metadata.version(parts[1])
        except metadata.PackageNotFoundError:
            yield Finding("libraries", Verdict.WRONG, f"{parts[1]} is not installed", f"pip install '{parts[1]}'")
            continue
        versions.append(f"{parts[1]} {found}")
        if not satisfies(found, parts[2]):
            what = f"{parts[1]} {found} where {parts[2].strip()} is required"
            yield Finding("libraries", Verdict.WRONG, what, f"pip install '{parts[1]}{parts[2].strip()}'")
    yield Finding("libraries", Verdict.OK, ", ".join(versions))


def satisfies(version: str, bounds: str) -> bool:
    """Whether `version` is within `bounds`, such as `>=10.2,<11`; other operators are not looked at."""
    numbers = _numbers(version)
    return all(
        numbers >= _numbers(bound) if sign == ">=" else numbers < _numbers(bound)
        for sign, bound in _BOUND.findall(bounds)
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])
