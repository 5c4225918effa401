"""Pulsar: what its four types of subscription can deliver, by its documents and issues; and where a key goes."""

from __future__ import annotations

import re

import pytest
from hypothesis import strategies as st

from chaoskit import Fail, Pulsar, Redeliver, Rehash, Resend, Scenario, UsageError, check
from chaoskit.strategies import events
from chaoskit.values.event import Event
from handlers.buggy import profile_blind_overwrite
from handlers.correct import ledger_durable_ids

FAILOVER = Pulsar(subscription_type="Failover")
SHARED = Pulsar(subscription_type="Shared")
KEY_SHARED = Pulsar(subscription_type="Key_Shared")
BATCHES = Pulsar(messages_per_batch=2)
INDEXED = Pulsar(messages_per_batch=2, batch_index_ack=True)

POSSIBLE = {
    "issue 15317: behind a negative acknowledgement an Exclusive consumer goes on": (Pulsar(), "1! 2 3 4 5 1r"),
    "issue 15317: and a Key_Shared one": (KEY_SHARED, "g1/1! g1/2 g1/3 g1/4 g1/5 g1/1r"),
    "what is unacked when the consumer is gone comes first": (Pulsar(), "A:1 A:2- A:⚡ A:1r A:2r A:3"),
    "another consumer stands by": (FAILOVER, "A:1 A:⚡ B:1r B:2"),
    "a key goes to another consumer": (KEY_SHARED, "A:g1/1 A:⚡ B:g1/1r B:g1/2"),
    "Shared: consumers finish in any order": (SHARED, "A:1- B:2 A:1"),
    "a nack brings the whole batch": (BATCHES, "1 |ack 1 2! 3 |nack 2 1r 2r 4"),
    "a restart does, too (PIP-391)": (BATCHES, "A:1 |ack 1 A:2- A:⚡ A:1r A:2r"),
    "what was sent again is another entry": (Pulsar(), "|put 1 1 |put 1' 1'"),
}


@pytest.mark.parametrize("fact", POSSIBLE)
def test_what_pulsar_can_deliver(fact: str) -> None:
    broker, trace = POSSIBLE[fact]
    answer = broker.permits(trace)
    assert answer, answer


IMPOSSIBLE = {
    "an acknowledged message stays acknowledged": (Pulsar(), "1! 2 |ack 2 |nack 1 1r 2r", "2 is settled"),
    "a partition is handed out in order": (FAILOVER, "1 3 2", "2 comes before 3"),
    "and a key": (KEY_SHARED, "g1/1 g1/3 g1/2", "g1/2 comes before g1/3"),
    "one consumer at a time": (Pulsar(), "A:1- B:2 A:⚡ A:2", ""),
    "with batch index acks the rest of a batch does not come": (INDEXED, "1 |ack 1 2! |nack 2 1r 2r", "1 is settled"),
    "nor does another batch": (BATCHES, "1 |ack 1 2 |ack 2 3! |nack 3 2r 3r", "2 is settled"),
    "a batch comes back whole": (BATCHES, "1 |ack 1 2! |nack 2 2r 3 |end", ""),
    "no dead letters without a policy": (SHARED, "1! |dead 1 2", "max_redeliver_count=None"),
}


@pytest.mark.parametrize("fact", IMPOSSIBLE)
def test_what_pulsar_cannot_deliver(fact: str) -> None:
    broker, trace, why = IMPOSSIBLE[fact]
    answer = broker.permits(trace)
    assert not answer
    assert why in str(answer)


@pytest.mark.parametrize(
    ("key", "hash_code"), [("hello", 99162322), ("Aa", 2112), ("\N{GRINNING FACE}", 1772899), (b"ab", 2737330)]
)
def test_a_key_goes_where_javas_hash_leads(key: str | bytes, hash_code: int) -> None:
    """String.hashCode over UTF-16; bytes are sent as base64 ("YWI=" for b"ab")."""
    for partitions in (2, 3, 7):
        broker = Pulsar(partitions=partitions)
        (step,) = Scenario([Event(key, 1)], broker).schedule().steps
        assert step.partition == hash_code % partitions


def test_a_nack_of_a_message_of_a_batch_brings_back_what_was_acknowledged() -> None:
    stream = [Event("a", number) for number in range(4)]
    seen = Scenario(stream, BATCHES, [Fail("e2", 1)]).schedule().delivered
    assert seen == ("e1", "e3", "e1", "e2", "e4")
    assert Scenario(stream, INDEXED, [Fail("e2", 1)]).schedule().delivered == ("e1", "e3", "e2", "e4")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"consumers": 2}, "an Exclusive subscription has one consumer"),
        ({"max_redeliver_count": 3}, 'max_redeliver_count has no effect with subscription_type="Exclusive"'),
        ({"subscription_type": "Key_Shared", "on_error": "reconsume_later"}, "on_error has no effect"),
        ({"batch_index_ack": True}, "batch_index_ack has no effect with messages_per_batch=1"),
        ({"subscription_type": "Shared", "messages_per_batch": 2}, "or messages_per_batch=1"),
        ({"receiver_queue_size": -1}, "a whole number, 0 or more"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, object], why: str) -> None:
    with pytest.raises(UsageError, match=re.escape(why)):
        Pulsar(**settings)  # type: ignore[arg-type]


def test_what_the_settings_rule_out() -> None:
    assert Resend in Pulsar().kinds()
    assert Resend not in Pulsar(deduplication=True).kinds()
    assert Rehash not in Pulsar().kinds()
    assert Rehash in Pulsar(partitions=2).kinds()
    assert Rehash not in Pulsar(partitions=2, growth=False).kinds()


@pytest.mark.parametrize(
    ("broker", "least"), [(Pulsar(), 2), (FAILOVER, 2), (SHARED, 2), (KEY_SHARED, 2), (BATCHES, 3)]
)
def test_a_bug_is_found_and_its_repair_is_held(broker: Pulsar, least: int) -> None:
    """An overwrite by what comes late; ids that are remembered with the effect withstand all of it. With batches of two
    the second one comes again behind the first, so that it takes a third to see it."""
    stream = events(st.integers(1, 9), keys=st.just("alice"))
    found = check(profile_blind_overwrite.test, stream, broker, faults={Fail, Redeliver}, seed=1, schedules=300)
    assert found.status == "violated"
    assert found.scenario is not None
    assert len(found.scenario.stream) == least
    assert len(found.scenario.faults) == 1
    held = check(ledger_durable_ids.test, stream, broker, seed=1, schedules=300)
    assert held.status == "held", held.report()
