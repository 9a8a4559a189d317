"""The time of a group does not grow with what is stored: each of its statements finds its rows by an index."""

import re
import uuid

import pytest

from choregraphie import Service, Settings
from choregraphie.saga.envelope import Event
from choregraphie.testing import ServiceHarness, open_harness
from scripts.nemesis.private_postgres import PrivatePostgres
from tests.support.event_builders import annulee, initiee
from tests.support.joining_service import BOOKED, REGLEMENT
from tests.support.sample_service import SAMPLE_SERVICE
from tests.support.statements import watching

ORDER: list[Event] = [initiee("C", client_id="ANNE", produit_id="A"), annulee("C")]
VOYAGE: list[Event] = [cls(voyage_id="V", prix=1) for cls in BOOKED]


def scans(harness: ServiceHarness, sent: list[str]) -> list[tuple[str, str]]:
    """The statements that read a whole table or its whole index, each with that step of its plan."""
    found = []
    with harness.database.begin() as connection:
        for statement in sent:
            if statement.split()[0] not in {"SELECT", "UPDATE", "DELETE"}:
                continue
            values = (None,) * statement.count("?")
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values).all()
            found += [(statement, step.detail) for step in plan if step.detail.startswith("SCAN")]
    return found


@pytest.mark.parametrize(("service", "heard"), [(SAMPLE_SERVICE, ORDER), (REGLEMENT, VOYAGE)])
def test_no_statement_of_a_group_reads_a_whole_table(
    settings: Settings, service: Service, heard: list[Event]
) -> None:
    sent: list[str] = []
    with open_harness(service, settings) as harness:
        with watching(harness.database, sent.append):
            for event in heard:
                harness.hear(event)
            harness.store.mark_published(["some-id"])
        assert any("journal" in statement for statement in sent)
        assert scans(harness, sent) == []


def test_what_a_worker_looks_for_at_its_start_is_found_by_an_index(settings: Settings) -> None:
    sent: list[str] = []
    with open_harness(SAMPLE_SERVICE, settings) as harness:
        with watching(harness.database, sent.append):
            harness.store.pending(100)
            harness.store.last_decided()
            harness.store.purge()
        assert len(sent) > 5
        assert scans(harness, sent) == []


def steps(harness: ServiceHarness, statement: str) -> list[str]:
    """The steps of PostgreSQL's plan for any values: a worker's connection keeps such a plan."""
    names = list(dict.fromkeys(re.findall(r"%\((\w+)\)s", statement)))
    numbered = statement % {name: f"${number}" for number, name in enumerate(names, 1)}
    values = f"({', '.join(['NULL'] * len(names))})" if names else ""
    with harness.database.begin(by_key=True) as connection:
        connection.exec_driver_sql("SET LOCAL plan_cache_mode = force_generic_plan")
        connection.exec_driver_sql(f"PREPARE probe AS {numbered}")
        plan = [step for (step,) in connection.exec_driver_sql(f"EXPLAIN EXECUTE probe{values}")]
        connection.exec_driver_sql("DEALLOCATE probe")
    return plan


@pytest.mark.parametrize(("service", "heard"), [(SAMPLE_SERVICE, ORDER), (REGLEMENT, VOYAGE)])
def test_of_a_new_database_without_statistics_no_statement_of_a_group_reads_a_whole_table(
    postgres: PrivatePostgres, settings: Settings, service: Service, heard: list[Event]
) -> None:
    postgres.create(name := f"{service.name}_{uuid.uuid4().hex[:12]}")
    sent: list[str] = []
    with open_harness(service, settings.model_copy(update={"database_url": postgres.url(name)})) as harness:
        with watching(harness.database, sent.append):
            for event in heard:
                harness.hear(event, event.model_copy(update={event.KEY: "OTHER"}))
            harness.store.mark_published(["some-id", "another-id"])
        assert any("unnest" in statement for statement in sent if statement.startswith("UPDATE"))
        plans = {one: steps(harness, one) for one in sent if one.startswith(("SELECT", "UPDATE", "DELETE"))}
    assert any("FROM journal" in statement for statement in plans)
    # A filter reads rows that it does not want: all those of a saga, for one.
    assert not [(one, step) for one, plan in plans.items() for step in plan if re.search("Seq Scan|Filter:", step)]
