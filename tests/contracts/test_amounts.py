"""Money: a JSON number of at most two decimals on the wire, a Decimal in Python, never a float."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.paiement import PaiementEffectue, PaiementRembourse
from contracts.registry import open_envelope
from tests.contracts.examples import changed, example, with_raw

CARRIERS = ["commande.initiee", "stock.reserve", "paiement.effectue", "paiement.rembourse"]


def effectue(montant: Any) -> PaiementEffectue:
    return PaiementEffectue(commande_id="C", transaction_id="T", montant=montant)


@pytest.mark.parametrize("type_", CARRIERS)
def test_an_amount_is_a_number_on_the_wire_and_a_decimal_in_python(type_: str) -> None:
    envelope = open_envelope(json.dumps(example(type_)).encode())
    assert envelope.data.montant == Decimal("99.99")
    assert type(envelope.data.montant) is Decimal
    assert b'"montant":99.99' in envelope.to_bytes()


@given(st.decimals(Decimal("0.01"), 1_000_000, places=2))
def test_every_amount_comes_back_to_the_cent(montant: Decimal) -> None:
    written = json.loads(effectue(montant).model_dump_json())
    assert type(written["montant"]) is not str
    assert PaiementEffectue.model_validate_json(json.dumps(written)).montant == montant


@pytest.mark.parametrize("montant", [99.99, 1.0, True, "99.99", None])
def test_in_python_only_a_decimal_or_a_whole_number_is_an_amount(montant: Any) -> None:
    with pytest.raises(ValidationError, match="montant"):
        effectue(montant)
    assert effectue(5).montant == Decimal(5)


@pytest.mark.parametrize("type_", CARRIERS)
@pytest.mark.parametrize(
    "token",
    [
        *("99.999", "0.001", "1e-3", "-1", "-0.01", "1000000.01", "1000001", "1e9", "1e400", "-1e400"),
        *("NaN", "Infinity", "-Infinity", '"99.99"', '"NaN"', "null", "true", "[]", "{}", "9" * 5000),
    ],
)
def test_a_value_that_is_no_amount_is_refused(type_: str, token: str) -> None:
    with pytest.raises(ValidationError):
        open_envelope(with_raw(type_, "montant", token))


@pytest.mark.parametrize("token", ["0.01", "100", "1e2", "1000000", "1000000.00", "99.990"])
def test_an_amount_may_be_written_in_every_form_of_a_json_number(token: str) -> None:
    assert open_envelope(with_raw("paiement.effectue", "montant", token)).data.montant == Decimal(token)


@pytest.mark.parametrize("token", ["0", "-0", "0.0", "-0.0", "0e5"])
def test_minus_zero_is_zero(token: str) -> None:
    read = open_envelope(with_raw("paiement.rembourse", "montant", token))
    assert (read.data.montant, read.data.montant.is_signed()) == (0, False)
    assert b'"montant":0' in read.to_bytes()


def test_zero_is_allowed_only_in_a_refund() -> None:
    assert PaiementRembourse(commande_id="C", transaction_id=None, montant=Decimal(0)).montant == 0
    for type_ in ("commande.initiee", "stock.reserve", "paiement.effectue"):
        with pytest.raises(ValidationError, match="montant"):
            open_envelope(changed(type_, montant=0))
