"""The simulated card gateway is idempotent by key, whether its call fails at random or not."""

import random
import tracemalloc
from decimal import Decimal

import pytest

from services.paiement.passerelle import CANCELLED_KEPT, PasserelleSimulee, Reponse, ReponsePerdue


def gateway(refusal_rate: float = 0, failure_rate: float = 0, seed: int = 1) -> PasserelleSimulee:
    return PasserelleSimulee(0, refusal_rate, failure_rate, random.Random(seed))


async def test_without_random_failures_it_accepts_everything() -> None:
    assert await gateway().debiter("k", "CLIENT-123", Decimal(1)) == Reponse(True)


async def test_the_first_answer_to_a_key_is_kept() -> None:
    passerelle = gateway(refusal_rate=0.5)
    first = {key: await passerelle.debiter(key, "C", Decimal(1)) for key in map(str, range(50))}
    assert {reponse.acceptee for reponse in first.values()} == {True, False}
    assert {key: await passerelle.debiter(key, "C", Decimal(1)) for key in first} == first


async def test_another_worker_s_gateway_gives_a_key_the_same_answer() -> None:
    here, there = gateway(refusal_rate=0.5, seed=1), gateway(refusal_rate=0.5, seed=2)
    for key in map(str, range(50)):
        assert await here.debiter(key, "C", Decimal(1)) == await there.debiter(key, "C", Decimal(1))


async def test_charges_leave_nothing_in_memory() -> None:
    passerelle = gateway(refusal_rate=0.5)
    tracemalloc.start()
    try:
        for number in range(20_000):
            await passerelle.debiter(f"paiement:encaisser:CMD-{number:08}", "C", Decimal(1))
        left, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert left < 100_000


async def test_only_the_last_cancellations_are_remembered() -> None:
    passerelle = gateway()
    for number in range(CANCELLED_KEPT + 1):
        await passerelle.annuler(str(number))
    answers = {n: await passerelle.debiter(str(n), "C", Decimal(1)) for n in (0, 1, CANCELLED_KEPT)}
    assert {n: reponse.acceptee for n, reponse in answers.items()} == {0: True, 1: False, CANCELLED_KEPT: False}


async def test_a_failure_may_come_before_or_after_the_charge() -> None:
    passerelle = gateway(failure_rate=1)
    for _ in range(10):
        with pytest.raises(ReponsePerdue):
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
