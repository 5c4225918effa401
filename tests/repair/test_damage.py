"""What a failing delivery did to the state is told in one word, by runs."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Event, Kafka, Message, RabbitMQ, Scenario, SqsStandard, check, run
from chaoskit.strategies import events
from chaoskit.values.faults import DeadLetter, Fail, Lose, Redeliver
from chaoskit.values.verdict import DamageKind
from handlers import name
from handlers.buggy import (
    BUGGY,
    ledger_forgets_on_older_seq,
    ledger_high_water_mark,
    ledger_ids_in_process_memory,
    ledger_last_id_only,
    ledger_offset_guard,
    ledger_quarantines_third_delivery,
    orders_need_known_customer,
    points_counter,
    profile_blind_overwrite,
    wallet_refuses_overdraft,
)

ONE = Kafka(partitions=1, idempotent_producer=False)

DAMAGE: dict[ModuleType, DamageKind] = {
    points_counter: "applied twice",
    profile_blind_overwrite: "applied in the wrong order",
    ledger_last_id_only: "applied twice",
    ledger_high_water_mark: "not applied",
    wallet_refuses_overdraft: "not applied",
    orders_need_known_customer: "depends on another key",
    ledger_forgets_on_older_seq: "applied twice",
    ledger_quarantines_third_delivery: "not applied",
    ledger_ids_in_process_memory: "depends on the process's memory",
    ledger_offset_guard: "applied twice",
}


def test_every_buggy_handler_is_here() -> None:
    assert set(DAMAGE) == set(BUGGY)


@pytest.mark.parametrize("handler", [pytest.param(handler, id=name(handler)) for handler in DAMAGE])
def test_a_verdict_says_in_one_word_what_became_of_which_events(handler: ModuleType) -> None:
    verdict = check(handler.test, handler.EVENTS, ONE, seed=1)
    assert verdict.damage is not None
    assert verdict.damage.kind == DAMAGE[handler]
    assert verdict.scenario is not None
    assert set(verdict.damage.events) <= set(verdict.scenario.stream.ids)
    assert verdict.states is not None
    assert verdict.damage.step == verdict.states.first_difference
    assert verdict.damage.place.startswith("state[")


def totals(deliver: Any) -> dict[str, int]:
    balances: dict[str, int] = {}

    def handle(message: Message) -> None:
        balances[message.key] = balances.get(message.key, 0) + message.value

    deliver(handle)
    return balances


def test_what_the_settings_lose_is_said_to_be_lost_by_them() -> None:
    broker = RabbitMQ(auto_ack=True)
    verdict = check(totals, [Event("a", 1), Event("a", 2)], broker, faults={Lose}, loss="violation", seed=0)
    assert verdict.damage is not None
    assert verdict.damage.kind == "lost by the settings"
    assert len(verdict.damage.events) == 1


def test_an_effect_before_the_handler_raises_is_half_applied() -> None:
    def adds_and_raises_once(deliver: Any) -> dict[str, int]:
        sums: dict[str, int] = {}
        customers: set[str] = set()

        def handle(message: Message) -> None:
            if message.value == "customer":
                customers.add(message.key)
                return
            sums["orders"] = sums.get("orders", 0) + 1
            if message.value not in customers:
                raise LookupError(message.value)

        deliver(handle)
        return sums

    stream = [Event("anna", "customer"), Event("order", "anna")]
    verdict = run(adds_and_raises_once, Scenario(stream, Kafka(partitions=1), [DeadLetter("e1")]))
    assert verdict.status == "violated"
    assert verdict.damage is not None
    assert (verdict.damage.kind, verdict.damage.events) == ("half applied", ("e2",))


def test_what_fails_in_order_has_no_damage() -> None:
    def negative(deliver: Any) -> int:
        seen: list[int] = []
        deliver(lambda message: seen.append(message.value))
        if sum(seen) < 0:
            raise AssertionError("overdrawn")
        return sum(seen)

    from chaoskit.invariants import always

    verdict = check(totals, [Event("a", 1), Event("a", 1)], ONE, seed=0)
    assert verdict.damage is not None
    verdict = check(
        lambda deliver: _with_state(deliver), [Event("a", -1)], ONE, invariants=[always(lambda n: n >= 0, "no debt")]
    )
    assert verdict.status == "violated"
    assert verdict.damage is None


def _with_state(deliver: Any) -> int:
    total = [0]

    def handle(message: Message) -> None:
        total[0] += message.value

    deliver(handle, state=lambda: total[0])
    return total[0]


@pytest.mark.parametrize("seed", range(3))
def test_the_memory_of_a_process_is_blamed_only_where_a_process_without_end_is_right(seed: int) -> None:
    """Ids that are kept in memory: a Redeliver after a restart is to blame, and the memory is the reason. A handler
    that keeps nothing in memory and is made anew all the same counts twice for another one."""

    def counts(deliver: Any) -> dict[str, int]:
        balances: dict[str, int] = {}

        def spawn() -> Any:
            def handle(message: Message) -> None:
                balances[message.key] = balances.get(message.key, 0) + 1

            return handle

        deliver(spawn=spawn)
        return balances

    stream = events(st.integers(1, 3), keys=st.just("a"))
    verdict = check(counts, stream, ONE, faults={Redeliver}, seed=seed)
    assert verdict.damage is not None
    assert verdict.damage.kind == "applied twice"
    stored = check(ledger_ids_in_process_memory.test, stream, ONE, faults={Redeliver}, seed=seed)
    assert stored.damage is not None
    assert stored.damage.kind == "depends on the process's memory"


def test_a_failed_attempt_that_is_overtaken_is_the_wrong_order() -> None:
    verdict = check(profile_blind_overwrite.test, [Event("a", 1), Event("a", 2)], SqsStandard(), faults={Fail}, seed=0)
    assert verdict.damage is not None
    assert verdict.damage.kind == "applied in the wrong order"
    assert set(verdict.damage.events) == {"e1", "e2"}
