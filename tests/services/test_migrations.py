"""Databases of older versions are upgraded at start, with what was in them."""

from collections.abc import Callable

from sqlalchemy import Connection, inspect, text

from contracts.commande import CommandeAnnulee, CommandeCreee
from services.commande import SERVICE
from services.runtime import Desk, Settings, open_desk
from services.runtime.database import MIGRATIONS
from tests.support.facts import initiee, payee

# What each version of the order service's tables, and of the runtime's, had in place of what is there now.
BACK_TO_1 = (
    "DROP TABLE trials",
    "ALTER TABLE commandes DROP COLUMN paye",
    "ALTER TABLE commandes ADD COLUMN payee BOOLEAN NOT NULL DEFAULT false",
    "UPDATE service SET version = 1, runtime_version = 1",
)


def as_version_1(desk: Desk, *statements: str) -> None:
    with desk.database.begin() as connection:
        for statement in (*BACK_TO_1, *statements):
            connection.execute(text(statement))


def versions(connection: Connection) -> tuple[int, int]:
    found = connection.execute(text("SELECT version, runtime_version FROM service")).one()
    return found.version, found.runtime_version


def test_a_database_of_the_first_version_is_upgraded_and_goes_on(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_desk(SERVICE, settings) as desk:
        desk.hear(initiee("WAITS"), initiee("PAID"), payee("PAID"))
        desk.hear(payee("EARLY"))
        as_version_1(desk, "UPDATE commandes SET payee = true WHERE commande_id IN ('PAID', 'EARLY')")
    with open_desk(SERVICE, settings) as desk:
        with desk.database.begin() as connection:
            assert versions(connection) == (1 + len(SERVICE.migrations), 1 + len(MIGRATIONS))
            columns = {column["name"] for column in inspect(connection).get_columns("commandes")}
            paid = connection.execute(text("SELECT paye FROM commandes WHERE commande_id = 'PAID'")).scalar()
        assert ("paye" in columns, "payee" in columns, paid) == (True, False, 9999)
        assert desk.hear(desk.enveloped(payee("WAITS"), id="later-1")) == [CommandeCreee(commande_id="WAITS")]
        # Nobody knows any more what was paid for it before it came: it waits for its deadline.
        assert desk.hear(desk.enveloped(initiee("EARLY"), id="later-2")) == []
        (said,) = desk.tick(10_000)
        assert isinstance(said, CommandeAnnulee)
        assert said.commande_id == "EARLY"


def test_an_upgraded_database_has_room_for_trials(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_desk(SERVICE, settings) as desk:
        as_version_1(desk)
    with open_desk(SERVICE, settings) as desk:
        assert desk.ledger.purge() == 0
