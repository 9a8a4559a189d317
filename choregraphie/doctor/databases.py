"""Examines the services' databases: whether each can be read, of which version it is, what is not published."""

import datetime as dt
from collections.abc import Iterator

from choregraphie.application import Application
from choregraphie.doctor.broker import clock
from choregraphie.doctor.finding import Finding, Verdict
from choregraphie.errors import DatabaseRefused
from choregraphie.service.service import Service
from choregraphie.settings import Settings
from choregraphie.storage.database_status import DatabaseStatus, database_status
from choregraphie.storage.engine import database_url, is_clear_text
from choregraphie.storage.identity import versions_of
from choregraphie.terminal.formats import format_count, format_duration

# A worker with a connection publishes at once.
UNPUBLISHED_SECONDS = 60.0


def examine_databases(application: Application, settings: Settings) -> Iterator[Finding]:
    """The verdicts on the database of each service that is run here; a worker may run meanwhile."""
    for service in application.own.values():
        about = f"database of {service.name}"
        if _in_clear_text(service, settings):
            what = "passwords and rows travel in clear text"
            yield Finding(about, Verdict.WARNING, what, "use sslmode=verify-full unless the network is private")
        before = dt.datetime.now(dt.UTC)
        try:
            status = database_status(service, settings)
        except DatabaseRefused as refused:
            yield Finding(about, Verdict.WRONG, str(refused), "start its worker, or correct SAGA_DATABASE_URL")
            continue
        if status is None:
            what = "its file does not exist on this machine"
            yield Finding(
                about, Verdict.UNKNOWN, what, "run this where its worker runs, and after its first start"
            )
            continue
        after = dt.datetime.now(dt.UTC)
        version = _version(about, service, status)
        yield version
        if status.clock is not None:
            yield clock(f"clock of the {about}", status.clock, before, after)
        if status.unwritable:
            what = f"nothing can be written: {status.unwritable}"
            yield Finding(about, Verdict.WRONG, what, "its worker waits until that has ended; see its log")
        if version.verdict is Verdict.OK:
            yield _outbox(application, service, status, after)


def _in_clear_text(service: Service, settings: Settings) -> bool:
    try:
        return is_clear_text(database_url(service.name, settings))
    except DatabaseRefused:
        return False


def _version(about: str, service: Service, status: DatabaseStatus) -> Finding:
    if status.name != service.name:
        what = f"it is of {status.name or 'nobody: it is empty'}"
        return Finding(about, Verdict.WRONG, what, "correct SAGA_DATABASE_URL, or start the worker")
    expected = versions_of(service)
    if status.versions == expected:
        return Finding(about, Verdict.OK, f"version {expected[0]}.{expected[1]}")
    shown = f"version {status.versions[0]}.{status.versions[1]}, and the program has {expected[0]}.{expected[1]}"
    if any(found > own for found, own in zip(status.versions, expected, strict=True)):
        return Finding(about, Verdict.WRONG, shown, "run the newer program that wrote it")
    return Finding(about, Verdict.WARNING, shown, "a restart of its worker upgrades it")


def _outbox(application: Application, service: Service, status: DatabaseStatus, now: dt.datetime) -> Finding:
    about = f"outbox of {service.name}"
    if status.oldest is None:
        return Finding(about, Verdict.OK, "everything decided is published")
    seconds = max(0.0, (now - status.oldest).total_seconds())
    lasts = format_duration(seconds * 1000)
    what = f"events not published: {format_count(status.unpublished)}, the oldest for {lasts}"
    if seconds < UNPUBLISHED_SECONDS:
        return Finding(about, Verdict.OK, what)
    remedy = f"'{application.command} outbox list --service {service.name}' names them; is its worker running?"
    return Finding(about, Verdict.WRONG, what, remedy)
