"""Every string and number is bounded, and no text holds characters that a database or a terminal rejects."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from contracts.registry import EVENTS, open_envelope
from tests.contracts.examples import changed, example, with_raw

LONGEST = {"raison": 500}
FIXED = {"modele"}
HEAD = {"id": 100, "type": 100, "source": 200, "subject": 100, "correlationid": 100, "causationid": 100}


# Terminal control codes, line ends, and characters that change how the rest of a text is displayed.
UNPRINTABLE = [
    *("\x00", "a\x00b", "a\nb", "a\n", "\x1b[2J", "a\x7f", "\x9b2J", "a\x80", "a\x9f", "a\x85b"),
    *("a\u2028", "\u2029a", "\u202aa", "a\u202eb", "\u2066a", "a\u2069"),
]

# Every text field of every event.
TEXTS = [
    (type_, name)
    for type_ in EVENTS
    for name, value in example(type_)["data"].items()
    if isinstance(value, str) and name not in FIXED
]
NULLABLE = {("stock.libere", "reservation_id"), ("paiement.rembourse", "transaction_id")}


def about(type_: str, name: str, text: Any) -> bytes:
    message = example(type_)
    message["data"][name] = text
    if name == "commande_id":
        message |= {"subject": text, "correlationid": text}
    return json.dumps(message).encode()


@pytest.mark.parametrize(("type_", "name"), TEXTS)
def test_every_text_has_a_maximum_length(type_: str, name: str) -> None:
    longest = LONGEST.get(name, 100)
    assert getattr(open_envelope(about(type_, name, "é" * longest)).data, name) == "é" * longest
    with pytest.raises(ValidationError, match=name):
        open_envelope(about(type_, name, "é" * (longest + 1)))


@pytest.mark.parametrize(("type_", "name"), TEXTS)
@pytest.mark.parametrize("text", ["", *UNPRINTABLE, 7, None, ["a"], {}])
def test_a_text_has_no_control_characters(type_: str, name: str, text: Any) -> None:
    if text is None and (type_, name) in NULLABLE:
        assert getattr(open_envelope(about(type_, name, None)).data, name) is None
        return
    with pytest.raises(ValidationError):
        open_envelope(about(type_, name, text))


@pytest.mark.parametrize(("name", "longest"), HEAD.items())
def test_the_envelope_is_bounded_too(name: str, longest: int) -> None:
    for text in ("/" + "x" * longest, "", *(f"/{text}" for text in UNPRINTABLE), 5):
        with pytest.raises((ValidationError, KeyError)):
            open_envelope(json.dumps(example("commande.creee") | {name: text}).encode())


@pytest.mark.parametrize(("type_", "name"), TEXTS)
@pytest.mark.parametrize("text", ["l’été à Paris", "商品", "بضاعة", "नमस्ते", "🛒👩\u200d🔧", "a\xa0b", "\xa0"])
def test_a_text_may_be_of_any_script(type_: str, name: str, text: str) -> None:
    assert getattr(open_envelope(about(type_, name, text)).data, name) == text


@pytest.mark.parametrize("source", ["clients/boutique", "//x y", "boutique", "/a b", "http://x"])
def test_a_source_is_a_path(source: str) -> None:
    with pytest.raises(ValidationError, match="source"):
        open_envelope(json.dumps(example("commande.creee") | {"source": source}).encode())


def test_a_lone_surrogate_is_refused() -> None:
    with pytest.raises(ValidationError):
        open_envelope(with_raw("commande.annulee", "raison", '"\\ud800"'))


@pytest.mark.parametrize("type_", ["commande.initiee", "stock.reserve"])
@pytest.mark.parametrize(
    "token", ["0", "-1", "1000001", "1.5", "-0", "1e7", '"2"', "null", "true", "1e400", "9" * 5000]
)
def test_a_quantity_is_a_whole_number_from_one_to_a_million(type_: str, token: str) -> None:
    with pytest.raises(ValidationError):
        open_envelope(with_raw(type_, "quantite", token))
    assert open_envelope(changed(type_, quantite=1_000_000)).data.quantite == 1_000_000


@pytest.mark.parametrize("token", ["2", "2.0", "2.000", "2e0", "0.2e1", "20E-1"])
def test_a_whole_number_may_be_written_with_a_fraction_of_zero(token: str) -> None:
    """JSON has one kind of number, and JSON Schema accepts 2.0 as an integer."""
    quantite = open_envelope(with_raw("commande.initiee", "quantite", token)).data.quantite
    assert (quantite, type(quantite)) == (2, int)


def test_a_repeated_key_is_bounded_like_any_other() -> None:
    """Either value may be the one that is read; it has to obey the rules."""
    body = json.dumps(example("commande.initiee"))
    twice = body.replace('"quantite": 2', '"quantite": -5, "quantite": 3').encode()
    assert open_envelope(twice).data.quantite == 3
    with pytest.raises(ValidationError):
        open_envelope(body.replace('"quantite": 2', '"quantite": 3, "quantite": -5').encode())


@pytest.mark.parametrize("modele", ["publicité", "", "Confirmation", None])
def test_a_notification_has_one_of_three_templates(modele: Any) -> None:
    with pytest.raises(ValidationError, match="modele"):
        open_envelope(changed("notification.envoyee", modele=modele))
