"""Databases of older versions are upgraded at start, with what was in them."""

import datetime as dt
from collections.abc import Callable

from sqlalchemy import Connection, inspect, text

from contracts.commande import CommandeAnnulee, CommandeCreee
from services.commande import SERVICE
from services.runtime import Desk, Settings, open_desk
from services.runtime.database import MIGRATIONS
from tests.support.facts import demande, impayee, initiee, payee, sans_stock

# What each version of the order service's tables, and of the runtime's, had in place of what is there now.
BACK_TO_2 = ("UPDATE service SET version = 2",)
BACK_TO_1 = (
    "DROP TABLE trials",
    "ALTER TABLE commandes DROP COLUMN paye",
    "ALTER TABLE commandes ADD COLUMN payee BOOLEAN NOT NULL DEFAULT false",
    "UPDATE service SET version = 1, runtime_version = 1",
)


def as_version_1(desk: Desk, *statements: str) -> None:
    run(desk, *BACK_TO_1, *statements)


def run(desk: Desk, *statements: str) -> None:
    with desk.database.begin() as connection:
        for statement in statements:
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


def test_orders_of_the_second_version_that_never_came_get_a_deadline(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_desk(SERVICE, settings) as desk:
        desk.hear(desk.enveloped(payee("PAID"), id="the-first-word"), demande("ASKED"))
        desk.now += dt.timedelta(seconds=1)
        desk.hear(impayee("PAID"), sans_stock("REFUSED"))
        run(desk, *BACK_TO_2, "UPDATE commandes SET echeance = NULL, cause = NULL")
    with open_desk(SERVICE, settings) as desk:
        assert desk.tick(899) == []
        assert desk.tick(1) == [CommandeAnnulee(commande_id="PAID", raison="solde insuffisant")]
        assert desk.envelopes[0].causationid == "the-first-word"
        assert desk.tick(1) == [CommandeAnnulee(commande_id="REFUSED", raison="stock insuffisant")]
        assert desk.tick(10_000) == []


def test_an_upgraded_database_has_room_for_trials(database_for: Callable[[str], str]) -> None:
    settings = Settings(database_url=database_for("commande"))
    with open_desk(SERVICE, settings) as desk:
        as_version_1(desk)
    with open_desk(SERVICE, settings) as desk:
        assert desk.ledger.purge() == 0
