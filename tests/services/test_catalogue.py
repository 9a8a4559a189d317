"""The catalogue fills empty databases, once. The user's own is used, or refused in one line."""

from pathlib import Path

import pytest

from choregraphie import DatabaseRefused, Service, Settings
from choregraphie.testing import open_harness
from services.commande import SERVICE as COMMANDE
from services.notification import SERVICE as NOTIFICATION
from services.paiement import SERVICE as PAIEMENT
from services.stock import SERVICE as STOCK
from tests.services.conftest import MakeHarness
from tests.support.event_builders import initiee, payee


def test_the_shipped_catalogue_holds_what_the_design_says(make_harness: MakeHarness) -> None:
    produits = make_harness(STOCK).inspect()["produits"]
    initial = {"PROD-123": 100, "PROD-456": 1000, "PROD-789": 50, "PROD-999": 3}
    assert {name: rayon["initial"] for name, rayon in produits.items()} == initial
    comptes = make_harness(PAIEMENT).inspect()["comptes"]
    assert comptes["CLIENT-123"] == {"initial": 100_000.0, "solde": 100_000.0}
    assert comptes["CLIENT-999"]["solde"] == 20.0
    commande = make_harness(COMMANDE)
    commande.hear(initiee(client_id="CLIENT-666"), payee())
    assert commande.said == ["commande.annulee"]


def test_a_users_catalogue_replaces_the_shipped_one(make_harness: MakeHarness) -> None:
    harness = make_harness(STOCK, "[produits]\nVIS = 7\n")
    assert harness.inspect() == {"produits": {"VIS": {"initial": 7, "disponible": 7, "retenu": 0, "vendu": 0}}}


@pytest.mark.parametrize("service", [STOCK, PAIEMENT, COMMANDE, NOTIFICATION])
def test_a_service_reads_only_its_own_table_of_the_catalogue(make_harness: MakeHarness, service: Service) -> None:
    others = {"stock": "[produits]\nVIS = 7\n", "paiement": "[comptes]\nANNE = 1.50\n"}
    harness = make_harness(service, others.get(service.name, "[produits]\nVIS = 1\n[autre]\nx = 1\n"))
    assert harness.inspect()


def test_a_catalogue_fills_a_database_once(tmp_path: Path) -> None:
    catalogue = tmp_path / "catalogue.toml"
    settings = Settings(database_url=f"sqlite:///{tmp_path}/s.sqlite3", catalogue=catalogue)
    for content in ("[produits]\nVIS = 7\n", "[produits]\nVIS = 70\nCLOU = 1\n", "not TOML"):
        catalogue.write_text(content)
        with open_harness(STOCK, settings) as harness:
            assert harness.inspect()["produits"]["VIS"]["initial"] == 7


@pytest.mark.parametrize(
    ("service", "content"),
    [
        (STOCK, b"[produits\n"),
        (STOCK, b"\xff\xfe"),
        (STOCK, b"produits = " + b"[" * 10_000),
        (STOCK, b'[produits]\nVIS = "many"\n'),
        (STOCK, b"[produits]\nVIS = -1\n"),
        (STOCK, b"[produits]\nVIS = 1.5\n"),
        (STOCK, b"[produits]\nVIS = [1]\n"),
        (STOCK, b"produits = 5\n"),
        (STOCK, b"[produits]\nVIS = 99999999999999999999\n"),
        (PAIEMENT, b'[comptes]\nANNE = "rich"\n'),
        (PAIEMENT, b"[comptes]\nANNE = -0.01\n"),
        (PAIEMENT, b"[comptes]\nANNE = nan\n"),
        (PAIEMENT, b"[comptes]\nANNE = inf\n"),
        (PAIEMENT, b"[comptes]\nANNE = 0.005\n"),
        (PAIEMENT, b"comptes = []\n"),
        (COMMANDE, b"[clients]\nbloques = 5\n"),
        (COMMANDE, b'[clients]\nbloques = "ANNE"\n'),
        (COMMANDE, b'[clients]\n[clients.plafonds]\nANNE = "much"\n'),
        (COMMANDE, b"clients = 1\n"),
    ],
)
def test_an_invalid_catalogue_is_refused_in_one_line(tmp_path: Path, service: Service, content: bytes) -> None:
    """The database stays empty, so that a corrected catalogue fills it."""
    catalogue = tmp_path / "catalogue.toml"
    catalogue.write_bytes(content)
    settings = Settings(database_url=f"sqlite:///{tmp_path}/s.sqlite3", catalogue=catalogue)
    with pytest.raises(DatabaseRefused) as caught, open_harness(service, settings):
        pass
    assert "\n" not in str(caught.value)
    assert "SAGA_CATALOGUE" in str(caught.value)
    catalogue.write_text("[produits]\nVIS = 7\n[comptes]\nANNE = 1.00\n")
    with open_harness(service, settings) as harness:
        assert harness.inspect()


def test_a_missing_catalogue_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere.toml"
    settings = Settings(database_url=f"sqlite:///{tmp_path}/s.sqlite3", catalogue=missing)
    with (
        pytest.raises(DatabaseRefused, match=r"SAGA_CATALOGUE .*nowhere\.toml: No such file"),
        open_harness(STOCK, settings),
    ):
        pass


def test_a_table_that_a_service_misses_in_the_catalogue_is_named(tmp_path: Path) -> None:
    """A service of a user's own asks for it without a default."""
    service = Service("stock", seed=lambda catalogue: [catalogue["produits"]])
    with (
        pytest.raises(DatabaseRefused, match=r"^SAGA_CATALOGUE .*: 'produits'$"),
        open_harness(service, Settings(database_url=f"sqlite:///{tmp_path}/s.sqlite3")),
    ):
        pass
