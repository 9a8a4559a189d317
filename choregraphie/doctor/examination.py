"""All examinations of an application. What fails in one keeps no other from being made."""

from choregraphie.application import Application
from choregraphie.doctor.broker import examine_broker
from choregraphie.doctor.databases import examine_databases
from choregraphie.doctor.finding import Finding
from choregraphie.doctor.installation import examine_installation
from choregraphie.doctor.queues import examine_queues
from choregraphie.settings import Settings


async def examine(application: Application, settings: Settings) -> list[Finding]:
    """Everything found, in the order of a table: the broker first, then queues, databases, installation."""
    found = [finding async for finding in examine_broker(settings)]
    found += [finding async for finding in examine_queues(application, settings)]
    found += examine_databases(application, settings)
    found += examine_installation(application, settings)
    return found
