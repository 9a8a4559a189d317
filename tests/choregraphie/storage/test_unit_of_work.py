"""The unit of work loads rows for a group, changes them in memory, and writes them once."""

import pytest

from choregraphie.errors import RowNotDeclared
from choregraphie.storage.unit_of_work import UnitOfWork
from choregraphie.testing import ServiceHarness
from tests.support.sample_service import Compteur


def test_a_loaded_row_is_found_and_a_missing_one_is_none(
    harness: ServiceHarness,
) -> None:
    with harness.database.begin() as connection:
        unit = UnitOfWork(connection)
        unit.load([Compteur.at("A"), Compteur.at("Z")])
        assert unit.find(Compteur, "A") == Compteur("A", 0)
        assert unit.find(Compteur, "Z") is None
        with pytest.raises(RowNotDeclared, match="'B'"):
            unit.find(Compteur, "B")


def test_loading_again_keeps_the_changes(harness: ServiceHarness) -> None:
    with harness.database.begin() as connection:
        unit = UnitOfWork(connection)
        unit.load([Compteur.at("A")])
        found = unit.find(Compteur, "A")
        assert found is not None
        found.valeur = 9
        unit.load([Compteur.at("A"), Compteur.at("B")])
        assert unit.find(Compteur, "A") is found


def test_an_added_row_is_found_and_written(harness: ServiceHarness) -> None:
    with harness.database.begin() as connection:
        unit = UnitOfWork(connection)
        unit.load([Compteur.at("Z")])
        unit.add(Compteur("Z", 1))
        found = unit.find(Compteur, "Z")
        assert found is not None
        found.valeur += 1
        unit.write()
    assert harness.inspect() == {"A": 0, "B": 0, "Z": 2}


def test_a_row_that_exists_cannot_be_added(harness: ServiceHarness) -> None:
    with harness.database.begin() as connection:
        unit = UnitOfWork(connection)
        unit.load([Compteur.at("A")])
        with pytest.raises(ValueError, match="exists already"):
            unit.add(Compteur("A"))
        unit.add(Compteur("Z"))
        with pytest.raises(ValueError, match="exists already"):
            unit.add(Compteur("Z"))


def test_more_keys_than_fit_one_statement_are_all_read(harness: ServiceHarness) -> None:
    names = [f"N-{n:04}" for n in range(1201)]
    with harness.database.begin() as connection:
        unit = UnitOfWork(connection)
        for name in names:
            unit.add(Compteur(name, 1))
        unit.write()
    with harness.database.begin() as connection:
        unit = UnitOfWork(connection)
        unit.load(Compteur.at(name) for name in names)
        assert all(unit.find(Compteur, name) for name in names)
