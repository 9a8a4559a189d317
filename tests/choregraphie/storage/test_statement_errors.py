"""When PostgreSQL refuses a statement for its values, that message fails and no other waits."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import psycopg
import pytest

from choregraphie import Settings
from choregraphie.service.verdict import Done, RetryAfter
from choregraphie.testing import open_harness
from tests.support.event_builders import initiee
from tests.support.sample_service import SAMPLE_SERVICE

if TYPE_CHECKING:
    from scripts.nemesis.private_postgres import PrivatePostgres

# An exception of a trigger, a program limit, an unsupported feature.
SQLSTATES = ["P0001", "54000", "0A000"]


@pytest.mark.parametrize("sqlstate", SQLSTATES)
def test_one_message_is_retried_and_the_others_are_handled(postgres: PrivatePostgres, sqlstate: str) -> None:
    name = f"statement_{uuid.uuid4().hex[:12]}"
    postgres.create(name)
    settings = Settings(database_url=postgres.url(name))
    with open_harness(SAMPLE_SERVICE, settings) as harness:
        with psycopg.connect(settings.database_url) as server:
            server.execute(
                "CREATE FUNCTION no_such_order() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN IF NEW.commande_id = 'C-2' THEN"
                f" RAISE EXCEPTION 'no' USING ERRCODE = '{sqlstate}'; END IF; RETURN NEW; END $$".encode()
            )
            server.execute(
                "CREATE TRIGGER no_such_order BEFORE INSERT ON traces"
                " FOR EACH ROW EXECUTE FUNCTION no_such_order()"
            )
        orders = [initiee(f"C-{number}", produit_id="A", quantite=1) for number in (1, 2, 3)]
        harness.hear(*orders, tolerate=True)
        assert [type(verdict) for verdict in harness.verdicts] == [Done, RetryAfter, Done]
        assert harness.inspect()["A"] == 2
