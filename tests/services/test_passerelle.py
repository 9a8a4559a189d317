"""The simulated card gateway: idempotent by key, whatever its dice say."""

import random
from decimal import Decimal

import pytest

from services.paiement.passerelle import PasserelleSimulee, Reponse


def gateway(refusal_rate: float = 0, failure_rate: float = 0, seed: int = 1) -> PasserelleSimulee:
    return PasserelleSimulee(0, refusal_rate, failure_rate, random.Random(seed))


async def test_without_dice_it_accepts_everything() -> None:
    assert await gateway().debiter("k", "CLIENT-123", Decimal(1)) == Reponse(True)


async def test_the_first_answer_to_a_key_stays() -> None:
    passerelle = gateway(refusal_rate=0.5)
    first = {key: await passerelle.debiter(key, "C", Decimal(1)) for key in map(str, range(50))}
    assert {reponse.acceptee for reponse in first.values()} == {True, False}
    assert {key: await passerelle.debiter(key, "C", Decimal(1)) for key in first} == first


async def test_a_failure_tells_nothing_about_the_charge() -> None:
    passerelle = gateway(failure_rate=1)
    for _ in range(10):
        with pytest.raises(ConnectionError):
            await passerelle.debiter("k", "C", Decimal(1))


async def test_a_cancellation_that_overtakes_its_charge_wins() -> None:
    passerelle = gateway()
    await passerelle.annuler("k")
    assert not (await passerelle.debiter("k", "C", Decimal(1))).acceptee


async def test_a_charge_cancelled_stays_cancelled() -> None:
    passerelle = gateway()
    await passerelle.debiter("k", "C", Decimal(1))
    await passerelle.annuler("k")
    assert not (await passerelle.debiter("k", "C", Decimal(1))).acceptee
