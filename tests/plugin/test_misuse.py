"""What a test that cannot mean what it says is told, and what passes through untouched.

Every case is a file of its own in one project, which is run once in one process and once over two workers.
"""

from __future__ import annotations

import re
import textwrap

import attrs
import pytest

from plugin.projects import HEAD, LONELY, Project, Ran, Result, results

SUM = """
def adder(balances):
    def handle(message):
        balances[message.key] = balances.get(message.key, 0) + message.value
    return handle

def once(balances):
    seen = set()
    def handle(message):
        if message.id not in seen:
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value
    return handle

"""


@attrs.frozen
class Case:
    """A file, what its one test must come to, and what must be said, in this order."""

    name: str
    claim: str
    source: str
    outcome: str
    says: tuple[str, ...] = ()


def failure(name: str, claim: str, source: str, *says: str) -> Case:
    return Case(name, claim, source, "failure", says)


def error(name: str, claim: str, source: str, *says: str) -> Case:
    """Wrong as soon as the file is imported."""
    return Case(name, claim, source, "error", says)


def passed(name: str, claim: str, source: str, *says: str) -> Case:
    return Case(name, claim, source, "passed", says)


def skipped(name: str, claim: str, source: str, *says: str) -> Case:
    return Case(name, claim, source, "skipped", says)


STALE = [
    failure(
        "leaking_fixture",
        "state that a fixture keeps between runs is an error that names the fixture and the first path",
        """
        @pytest.fixture
        def ledger():
            return {}

        @chaos(PAYMENTS)
        def test_case(deliver, ledger):
            deliver(adder(ledger))
            return dict(ledger)
        """,
        "StaleState: state of an earlier run is still there, or cannot be compared",
        "differ at state['",
        "Fixtures of this test: ledger.",
    ),
    failure(
        "leaking_global",
        "state at module level is the same error",
        """
        LEDGER = {"alice": {}}

        @chaos(PAYMENTS)
        def test_case(deliver):
            deliver(adder(LEDGER["alice"]))
            return LEDGER
        """,
        "state of an earlier run is still there",
        "differ at state['alice']['",
    ),
    failure(
        "leaking_between_streams",
        "a store that shows what it keeps of other streams only, and takes what it has already, is the same error",
        """
        HIGHEST = {}

        @chaos(PAYMENTS)
        def test_case(deliver):
            seen = {}
            def handle(message):
                HIGHEST[message.key] = max(HIGHEST.get(message.key, 0), message.value)
                seen[message.key] = HIGHEST[message.key]
            deliver(handle)
            return seen
        """,
        "StaleState: state of an earlier run is still there",
        "two in-order runs of one stream, with another between, differ at state['",
    ),
    failure(
        "refused_the_second_time",
        "a store that refuses what it has already is the same error, with what it raised",
        """
        ROWS = set()

        @chaos(PAYMENTS)
        def test_case(deliver):
            def handle(message):
                if message.id in ROWS:
                    raise LookupError(f"{message.id} exists already")
                ROWS.add(message.id)
            deliver(handle)
            return {}
        """,
        "StaleState: state of an earlier run is still there",
        "the handler took e1 in the first and raised LookupError on it in the second: e1 exists already",
        "must make its state afresh",
    ),
    failure(
        "uuid",
        "a random id in the state is an error that names its path",
        """
        import uuid

        @chaos(PAYMENTS)
        def test_case(deliver):
            state = {"rows": []}
            deliver(lambda m: state["rows"].append({"id": uuid.uuid4(), "amount": m.value}))
            return state
        """,
        "differ at state['rows'][0]['id']: first UUID(",
        "uuid4",
        "final_state(project=…)",
    ),
    failure(
        "clock",
        "the time in the state is an error that names its path",
        """
        import time

        @chaos(PAYMENTS)
        def test_case(deliver):
            state = {"rows": []}
            deliver(lambda m: state["rows"].append([m.value, time.perf_counter_ns()]))
            return state
        """,
        "differ at state['rows'][0][1]: first ",
        "A clock",
    ),
    failure(
        "no_eq",
        "an object that does not compare by value is an error that names its path",
        """
        class Wallet:
            pass

        @chaos(PAYMENTS)
        def test_case(deliver):
            state = {"sum": 0, "wallet": Wallet()}
            deliver(lambda m: state.update(sum=state["sum"] + m.value))
            return state
        """,
        "differ at state['wallet']",
        "without __eq__",
    ),
    failure(
        "not_copyable",
        "a state that cannot be copied is an error that says what to return instead",
        """
        import threading

        @chaos(PAYMENTS)
        def test_case(deliver):
            deliver(lambda m: None)
            return threading.Lock()
        """,
        "StaleState: the returned state (lock) cannot be copied",
        "Return plain data",
    ),
    failure(
        "split_memory",
        "memory that is split over two consumers is told apart from a fault",
        """
        EVERYONE = [Event(key, number) for number, key in enumerate("abcdefgh")]

        @chaos(EVERYONE, Kafka(partitions=2, consumers=2))
        def test_case(deliver):
            last = {}
            def make():
                count = []
                def handle(message):
                    count.append(message.id)
                    last["count"] = len(count)
                return handle
            deliver(spawn=make)
            return last
        """,
        "StaleState: differs without any fault: the memory is split over 2 consumers at state['count']",
        "consumers=1",
    ),
    failure(
        "split_memory_later",
        "split memory that the first stream does not show is still told apart from a fault",
        """
        EVERYONE = events(st.integers(1, 100), keys=st.sampled_from("abcdefgh"), min_size=10)

        @example([Event("a", 1), Event("a", 2)])
        @chaos(EVERYONE, Kafka(partitions=2, consumers=2), faults={Overtake, Duplicate})
        def test_case(deliver):
            last, seen = {}, set()
            def make():
                count = []
                def handle(message):
                    if message.id not in seen:
                        seen.add(message.id)
                        count.append(message.id)
                        last["count"] = len(count)
                return handle
            deliver(spawn=make)
            return last
        """,
        "differs without any fault",
    ),
    failure(
        "not_deterministic",
        "a handler with two results for one schedule is called that, and not a bug of the schedule",
        """
        CALLS = []

        @chaos(PAYMENTS)
        def test_case(deliver):
            balances = {}
            handle = once(balances)
            def forgetful(message):
                CALLS.append(1)
                if len(CALLS) % 997:
                    handle(message)
            deliver(forgetful)
            return balances
        """,
        "NotDeterministic: the handler is not deterministic: the same schedule gave two states",
    ),
]

DELIVER = [
    failure(
        "twice",
        "a second deliver in one run is an error",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            balances = {}
            deliver(adder(balances))
            deliver(adder(balances))
            return balances
        """,
        "UsageError: deliver was called a second time",
    ),
    failure(
        "never",
        "no deliver is an error that says to call it",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            return {}
        """,
        "UsageError: the test returned without calling deliver",
    ),
    failure(
        "none",
        "None where a final state is compared is an error that says what to return",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            deliver(adder({}))
        """,
        "UsageError: the test returned None",
        "state=",
    ),
    error(
        "undecorated",
        "a test that asks for deliver without @chaos is told to add it",
        """
        def test_case(deliver):
            deliver(adder({}))
        """,
        "decorate the test with @chaos",
    ),
    failure(
        "async_handler",
        "an async handler in a sync test is an error that says to write async def",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            async def handle(message):
                pass
            deliver(handle)
            return {}
        """,
        "UsageError: the handler is async: make the test `async def`",
    ),
    failure(
        "async_handler_object",
        "an object whose call gives a coroutine is the same error, with no warning about it",
        """
        class Handler:
            async def __call__(self, message):
                pass

        @pytest.mark.filterwarnings("error")
        @chaos(PAYMENTS)
        def test_case(deliver):
            deliver(Handler())
            return {}
        """,
        "UsageError: the handler is async: make the test `async def`",
    ),
    failure(
        "forgotten_await",
        "an async test that does not await deliver is told to",
        """
        @pytest.mark.filterwarnings("error")
        @chaos(PAYMENTS)
        async def test_case(deliver):
            async def handle(message):
                pass
            deliver(handle)
            return {}
        """,
        "UsageError: deliver was not awaited",
        "await deliver(handler)",
    ),
    failure(
        "no_handler",
        "deliver without a handler is an error",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            deliver()
            return {}
        """,
        "UsageError: give deliver either a handler",
    ),
    failure(
        "not_a_handler",
        "something that cannot be called is an error that says what it got",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            deliver(17)
            return {}
        """,
        "UsageError: deliver(handler=17): a function is needed, got int",
    ),
    failure(
        "swallowed_misuse",
        "a body that swallows our error is told all the same",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            balances = {}
            deliver(once(balances))
            try:
                deliver(once(balances))
            except Exception:
                pass
            return balances
        """,
        "UsageError: deliver was called a second time",
    ),
]

DECORATOR = [
    error(
        "bare",
        "a bare @chaos is an error that says what to write",
        """
        @chaos
        def test_case(deliver):
            pass
        """,
        "not a bare @chaos but @chaos(events, broker=…)",
    ),
    error(
        "no_parameter",
        "a test without the parameter deliver is told to have it",
        """
        @chaos(PAYMENTS)
        def test_case():
            pass
        """,
        "UsageError: test_case has no parameter `deliver`",
    ),
    error(
        "impossible",
        "a kind that the broker cannot make is an error that says which setting makes it possible",
        """
        @chaos(PAYMENTS, Kafka(), faults={BatchSwap})
        def test_case(deliver):
            pass
        """,
        "ImpossibleFault: Kafka cannot make BatchSwap",
        "idempotent_producer=False makes it possible",
    ),
    error(
        "impossible_overtake",
        "a kind that needs two partitions says so",
        """
        @chaos(PAYMENTS, Kafka(partitions=1), faults={Overtake})
        def test_case(deliver):
            pass
        """,
        "ImpossibleFault: Kafka cannot make Overtake",
        "partitions=2 or more makes it possible",
    ),
    error(
        "unknown_kind",
        "an unknown kind gets the nearest known name",
        """
        @chaos(PAYMENTS, faults={"Duplicat"})
        def test_case(deliver):
            pass
        """,
        "UsageError: faults contains 'Duplicat'",
        "did you mean 'Duplicate'?",
    ),
    error(
        "lone_kind",
        "one kind without a set around it is an error that shows the set",
        """
        @chaos(PAYMENTS, faults=Duplicate)
        def test_case(deliver):
            pass
        """,
        "UsageError: faults=",
        "faults={Duplicate, Redeliver}",
    ),
    error(
        "empty_faults",
        "no kinds at all is an error",
        """
        @chaos(PAYMENTS, faults=set())
        def test_case(deliver):
            pass
        """,
        "UsageError: faults is empty",
    ),
    error(
        "contradiction",
        "settings that no client accepts are an error that says what to change",
        """
        @chaos(PAYMENTS, Kafka(max_in_flight=6))
        def test_case(deliver):
            pass
        """,
        "UsageError: Kafka(idempotent_producer=True, max_in_flight=6)",
        "idempotent_producer=False or max_in_flight=5",
    ),
    error(
        "unknown_partitioner",
        "an unknown partitioner gets the nearest known name",
        """
        @chaos(PAYMENTS, Kafka(partitioner="murmur"))
        def test_case(deliver):
            pass
        """,
        "UsageError: Kafka(partitioner='murmur'): not known",
        "did you mean 'murmur2'?",
    ),
    error(
        "stranger",
        "a broker that extends none of ours could be neither told nor saved, and is refused at once",
        """
        from chaoskit.brokers import Settings

        class Stranger(Settings):
            def impossible(self):
                return {}

        @chaos(PAYMENTS, Stranger())
        def test_case(deliver):
            pass
        """,
        "UsageError: broker=",
        "must extend one of chaoskit's brokers, such as class Stranger(Kafka)",
    ),
    error(
        "no_partition",
        "a topic without partitions is an error that says what is needed",
        """
        @chaos(PAYMENTS, Kafka(partitions=0))
        def test_case(deliver):
            pass
        """,
        "UsageError: Kafka(partitions=0): a whole number, 1 or more, is needed",
    ),
    error(
        "no_schedules",
        "no schedules is an error",
        """
        @chaos(PAYMENTS, schedules=0)
        def test_case(deliver):
            pass
        """,
        "UsageError: schedules=0: a whole number, 1 or more, is needed",
    ),
    error(
        "invariant_without_parentheses",
        "an invariant's maker in the place of an invariant is told about the parentheses",
        """
        from chaoskit.invariants import no_error

        @chaos(PAYMENTS, invariants=[no_error])
        def test_case(deliver):
            pass
        """,
        "UsageError: invariants contains",
        "with the parentheses",
    ),
    error(
        "silent_allow_unknown",
        "allow_unknown needs words",
        """
        @chaos(PAYMENTS, allow_unknown=True)
        def test_case(deliver):
            pass
        """,
        "UsageError: allow_unknown=True: say in words why",
    ),
    error(
        "no_strategy",
        "events that are no strategy and no list are an error",
        """
        @chaos(lambda: [])
        def test_case(deliver):
            pass
        """,
        "Error: ",
        "@chaos(events, broker=…)",
    ),
]

STREAMS = [
    failure(
        "no_stream",
        "a strategy that yields no stream is an error that says so",
        """
        @chaos(PAYMENTS.filter(lambda stream: False))
        def test_case(deliver):
            deliver(adder({}))
            return {}
        """,
        "UsageError: the events strategy gave no stream",
    ),
    failure(
        "nothing",
        "an empty strategy is the same error",
        """
        @chaos(st.nothing())
        def test_case(deliver):
            deliver(adder({}))
            return {}
        """,
        "UsageError: the events strategy gave no stream",
    ),
    failure(
        "no_events",
        "a strategy of something else is an error that says what it gave",
        """
        @chaos(st.lists(st.integers(), min_size=1))
        def test_case(deliver):
            deliver(adder({}))
            return {}
        """,
        "StreamError: item 1 of the stream is 0 (int), not an Event",
    ),
    failure(
        "int_key",
        "a key that is neither text nor bytes is an error that names key_serializer",
        """
        @chaos(events(st.integers(), keys=st.integers()))
        def test_case(deliver):
            balances = {}
            deliver(adder(balances))
            return balances
        """,
        "StreamError: key 0 is int",
        "Kafka(key_serializer=",
    ),
    passed(
        "serialized_int_key",
        "the same key with a key_serializer is fine",
        """
        BROKER = Kafka(key_serializer=lambda key: str(key).encode())

        @chaos(events(st.integers(1, 9), keys=st.integers(1, 3)), BROKER, schedules=200)
        def test_case(deliver):
            balances = {}
            deliver(once(balances))
            return balances
        """,
    ),
    failure(
        "raises_in_order",
        "a handler that raises in order is an error that names the event",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            def handle(message):
                raise ValueError("no such account")
            deliver(handle)
            return {}
        """,
        "the handler raised ValueError on event 'e1' (",
        "came once and in order: no such account",
        "events(values, keys, valid=lambda stream: ",
    ),
]

OUTCOMES = [
    failure(
        "unknown",
        "a run that can show nothing fails with its reasons",
        """
        @chaos(events(st.just(1), keys=st.uuids().map(str), max_size=3), schedules=200, faults={Duplicate})
        def test_case(deliver):
            deliver(lambda message: None)
            return {}
        """,
        "unknown: this run has shown nothing, so it does not pass",
        "- the state was {} after every run, whatever was delivered",
        "allow_unknown=",
    ),
    skipped(
        "allowed_unknown",
        "allow_unknown makes it a skip that shows its reason",
        """
        WHY = "only keys here"

        @chaos(PAYMENTS, schedules=200, faults={Duplicate}, allow_unknown=WHY)
        def test_case(deliver):
            balances = {}
            deliver(once(balances))
            return sorted(balances)
        """,
        "chaoskit: only keys here (of the events that share their key with others, leaving one out never changed",
    ),
    passed(
        "one_payload",
        "one payload is what the streams are like: it is named, and no failure",
        """
        @chaos(events(st.just(1), keys=st.sampled_from(["a", "b"])), schedules=200)
        def test_case(deliver):
            balances = {}
            deliver(once(balances))
            return balances
        """,
        "no stream had two values under one key: an overwrite in the wrong order could not be seen",
    ),
    failure(
        "checker_raises",
        "an invariant that raises is unknown, never a pass",
        """
        def broken(reference, outcome):
            raise ZeroDivisionError("oops")

        @chaos(PAYMENTS, invariants=[Invariant("mine", broken)])
        def test_case(deliver):
            deliver(adder({}))
            return {}
        """,
        "unknown: this run has shown nothing",
        "- the invariant mine raised ZeroDivisionError: oops",
    ),
    skipped(
        "skip",
        "pytest.skip in the body is a skip",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            pytest.skip("no database here")
        """,
        "no database here",
    ),
    failure(
        "fail",
        "pytest.fail in the body is that failure",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            deliver(adder({}))
            pytest.fail("not like this")
        """,
        "not like this",
    ),
    skipped(
        "xfail",
        "pytest.xfail in the body is an expected failure",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            pytest.xfail("later")
        """,
        "later",
    ),
    skipped(
        "skip_in_handler",
        "pytest.skip in the handler is a skip, not a refusal",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            deliver(lambda message: pytest.skip("not on this machine"))
            return {}
        """,
        "not on this machine",
    ),
    skipped(
        "xfail_mark",
        "the mark xfail covers a chaos failure",
        """
        @pytest.mark.xfail(strict=True, reason="known")
        @chaos(PAYMENTS)
        def test_case(deliver):
            balances = {}
            deliver(adder(balances))
            return balances
        """,
        "known",
    ),
    passed(
        "assume",
        "hypothesis.assume in the body drops a stream and is no failure",
        """
        from hypothesis import assume

        @chaos(PAYMENTS, schedules=200)
        def test_case(deliver):
            balances = {}
            deliver(once(balances))
            assume(balances.get("alice", 0) < 300)
            return balances
        """,
        "held: ",
    ),
    passed(
        "assume_not_empty",
        "hypothesis.assume that no empty stream meets leaves the other streams",
        """
        from hypothesis import assume

        @chaos(PAYMENTS, schedules=200)
        def test_case(deliver):
            balances = {}
            deliver(once(balances))
            assume(balances)
            return balances
        """,
        "held: ",
    ),
    failure(
        "system_exit",
        "SystemExit in the body passes through",
        """
        @chaos(PAYMENTS)
        def test_case(deliver):
            raise SystemExit(17)
        """,
        "SystemExit: 17",
    ),
    failure(
        "own_assert",
        "an assertion of the body's own that a schedule breaks is shown with the delivery and its traceback",
        """
        @chaos(PAYMENTS, faults={Duplicate})
        def test_case(deliver):
            count = {}
            deliver(lambda m: count.update({m.id: count.get(m.id, 0) + 1}))
            assert all(n == 1 for n in count.values()), "twice!"
            return sorted(count)
        """,
        "does not survive Duplicate",
        "What differs",
        "AssertionError: twice!",
        "The delivery (1 event, 1 fault, minimal)",
    ),
    failure(
        "refused_to_the_end",
        "what is refused to the end is a violation with the handler's traceback",
        """
        @chaos(PAYMENTS, faults={Duplicate})
        def test_case(deliver):
            seen = []
            def handle(message):
                if message.id in seen:
                    raise LookupError("again?")
                seen.append(message.id)
            deliver(handle)
            return seen
        """,
        "does not survive Duplicate",
        "What differs",
        "refused",
        "in handle",
        "LookupError: again?",
        "The delivery",
        "raised",
    ),
    passed(
        "accepted_later",
        "what is refused at first and accepted later is no difference",
        """
        ORDERS = events(st.integers(1, 9), keys=st.sampled_from(["alice", "bob"]))

        @chaos(ORDERS, schedules=200, faults={DeadLetter})
        def test_case(deliver):
            customers, orders = set(), {}
            def handle(message):
                if message.seq == 1:
                    customers.add(message.key)
                if message.key not in customers:
                    raise LookupError("no such customer yet")
                orders[message.id] = message.value
            deliver(handle)
            return orders
        """,
        "held: 200 schedules",
    ),
    passed(
        "raises_on_empty",
        "a body that raises on no events is said not to be checked for freshness there",
        """
        @chaos(PAYMENTS, schedules=200)
        def test_case(deliver):
            balances = {}
            deliver(once(balances))
            return {"most": max(balances.values())}
        """,
        "held: 200 schedules",
        "freshness not checked on an empty stream: the test raised ValueError there",
    ),
    passed(
        "mutated_message",
        "a handler that changes its message harms no other delivery",
        """
        BASKETS = events(
            st.builds(lambda n: {"items": [n], "more": {"n": n}}, st.integers(1, 9)),
            keys=st.sampled_from(["alice", "bob"]),
        )

        @chaos(BASKETS, schedules=200)
        def test_case(deliver):
            baskets = {}
            def handle(message):
                clean = len(message.value["items"]) == 1 and "seen" not in message.headers and message.value["more"]
                baskets[message.id] = [bool(clean), message.value["items"][0]]
                message.value["items"].append("mine")
                message.value["more"].clear()
                message.headers["seen"] = "yes"
            deliver(handle)
            assert all(clean for clean, _ in baskets.values())
            return baskets
        """,
        "held: 200 schedules",
    ),
    passed(
        "fixtures_beside",
        "fixtures and parameters stand beside deliver, and fixtures are made once per test",
        """
        MADE = []

        @pytest.fixture
        def shop():
            MADE.append(1)
            return "shop"

        @pytest.mark.parametrize("factor", [2])
        @chaos(PAYMENTS, schedules=200)
        def test_case(shop, deliver, factor):
            assert (shop, factor, len(MADE)) == ("shop", 2, 1)
            balances = {}
            deliver(once(balances))
            return {key: value * factor for key, value in balances.items()}
        """,
        "held: 200 schedules",
    ),
    passed(
        "method",
        "methods work, and setup_method runs once per test",
        """
        class TestCase:
            made = 0

            def setup_method(self):
                type(self).made += 1
                self.name = "fresh"

            @chaos(PAYMENTS, schedules=200)
            def test_case(self, deliver):
                assert (self.made, self.name) == (1, "fresh")
                balances = {}
                deliver(once(balances))
                return balances
        """,
        "held: 200 schedules",
    ),
    passed(
        "async_alone",
        "an async test runs in one loop of ours where no plugin brings one",
        """
        import asyncio

        LOOPS = set()

        @chaos(PAYMENTS, schedules=200)
        async def test_case(deliver):
            LOOPS.add(asyncio.get_running_loop())
            balances = {}
            add = once(balances)
            async def handle(message):
                await asyncio.sleep(0)
                add(message)
            await deliver(handle)
            assert len(LOOPS) == 1
            return balances
        """,
        "held: 200 schedules",
    ),
    failure(
        "async_buggy",
        "an async test that breaks is shown like any other",
        """
        @chaos(PAYMENTS, faults={Duplicate})
        async def test_case(deliver):
            balances = {}
            add = adder(balances)
            async def handle(message):
                add(message)
            await deliver(handle)
            return balances
        """,
        "does not survive Duplicate",
        "state['alice']",
        "Replay",
        "chaoskit replay ",
    ),
    failure(
        "spawned",
        "deliver(spawn=…) loses what a process remembers",
        """
        @chaos(PAYMENTS, faults={Redeliver})
        def test_case(deliver):
            balances = {}
            deliver(spawn=lambda: once(balances))
            return balances
        """,
        "does not survive Redeliver",
        "restarts",
    ),
    passed(
        "memory_kept",
        "deliver(handler) keeps it, which is no failure; the run names spawn at its end",
        """
        @chaos(PAYMENTS, faults={Redeliver}, schedules=200)
        def test_case(deliver):
            balances = {}
            deliver(once(balances))
            return balances
        """,
    ),
    failure(
        "output",
        "what the search prints and logs is dropped, and that of the minimal run is shown",
        """
        import logging

        @chaos(PAYMENTS, faults={Duplicate})
        def test_case(deliver):
            balances = {}
            add = adder(balances)
            def handle(message):
                print("printed", message.offset)
                logging.getLogger("shop").warning("logged %s", message.offset)
                add(message)
            deliver(handle)
            return balances
        """,
        "does not survive Duplicate",
    ),
    passed(
        "silent",
        "a passing test keeps nothing of what its search printed, logged or warned",
        """
        import logging, sys, warnings

        @pytest.mark.filterwarnings("default")
        @chaos(PAYMENTS, schedules=200)
        def test_case(deliver):
            balances = {}
            add = once(balances)
            def handle(message):
                print("printed")
                print("printed", file=sys.stderr)
                logging.getLogger("shop").error("logged")
                warnings.warn("warned")
                add(message)
            deliver(handle)
            return balances
        """,
    ),
    passed(
        "few_schedules",
        "a budget of one stream is not spent on the one stream that can show nothing",
        """
        @chaos(PAYMENTS, schedules=50)
        def test_case(deliver):
            balances = {}
            deliver(once(balances))
            return balances
        """,
        "held: 50 schedules",
    ),
    passed(
        "zz_caplog",
        "caplog keeps no record of the search, even where the body raises its level",
        """
        import logging

        @pytest.fixture
        def few(caplog):
            yield
            assert len(caplog.get_records("call")) < 50

        @chaos(PAYMENTS, schedules=200)
        def test_case(deliver, few, caplog):
            caplog.set_level(logging.INFO)
            balances = {}
            add = once(balances)
            def handle(message):
                logging.getLogger("shop").error("logged")
                add(message)
            deliver(handle)
            return balances
        """,
    ),
    passed(
        "zz_logging_afterwards",
        "after a chaos test that raises the level with caplog, logging is on as before",
        """
        import logging

        @chaos(PAYMENTS, schedules=200)
        def test_before(deliver, caplog):
            caplog.set_level(logging.INFO)
            balances = {}
            deliver(once(balances))
            return balances

        def test_case():
            assert logging.getLogger("shop").isEnabledFor(logging.ERROR)
        """,
    ),
]

OPTIONS = ("--chaos-seed=1", "--continue-on-collection-errors", "--junitxml=junit.xml", "--tb=short")
CASES = [*STALE, *DELIVER, *DECORATOR, *STREAMS, *OUTCOMES]
Judged = tuple[dict[str, Result], Ran]


@pytest.fixture(scope="module")
def judged(mode: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """All cases in one project, run once."""
    heads = HEAD.replace("strategies as st", "example, strategies as st") + SUM
    files = {f"test_{case.name}": heads + textwrap.dedent(case.source) for case in CASES}
    project = Project.at(tmp_path_factory.mktemp("misuse"), **files)
    ran = project.run("pytest", *LONELY, *OPTIONS, *mode)
    return results(project.root / "junit.xml", ran), ran


def the_result(judged: Judged, name: str) -> Result:
    """Of the only test of this case."""
    return judged[0][f"test_{name}"]


def says_it(case: Case, result: Result) -> None:
    """The outcome, and every word of it, is as the case has it."""
    assert result.outcome == case.outcome, f"{case.claim}: {result.text}"
    text, place = f"{result.text} {result.line}", 0
    for part in case.says:
        place = text.find(part, place)
        assert place >= 0, f"{case.claim}: {part!r} is missing, or out of order, in:\n{text}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_said(case: Case, judged: Judged) -> None:
    """Each test comes to what its case says, with every word of it."""
    says_it(case, the_result(judged, case.name))


@pytest.mark.parametrize("case", [*STALE, *DELIVER, *STREAMS], ids=lambda case: case.name)
def test_it_is_said_without_a_traceback(case: Case, judged: Judged) -> None:
    """An error of the user's is told in words; no line of chaoskit's own code is shown."""
    text = the_result(judged, case.name).text
    assert "Traceback" not in text
    assert not re.search(r"chaoskit[/\\][\w/\\]+\.py", text), text


def test_the_output_of_the_minimal_run_alone_is_shown(judged: Judged) -> None:
    """One event and one duplicate print and log twice, whatever the search did before."""
    assert len(re.findall(r"^printed \d+$", judged[1].out, re.MULTILINE)) == 2
    assert len(re.findall(r"^WARNING +shop.*logged \d+$", judged[1].out, re.MULTILINE)) == 2


def test_that_memory_survived_restarts_is_said_once_for_all_tests(judged: Judged) -> None:
    """In a line that names spawn, and some of the tests that it is about."""
    reported = re.findall(r"^what the handler keeps in memory survived restarts: .*$", judged[1].out, re.MULTILINE)
    assert len(reported) == 1
    assert re.search(
        r"deliver\(spawn=make_handler\) would .* \(test_\w+\.py::test_\w+, .* and \d+ more\)$", reported[0]
    )


@pytest.mark.parametrize("word", ["printed", "logged", "warned"])
def test_the_output_of_a_passing_search_is_dropped(judged: Judged, word: str) -> None:
    """Nothing of two hundred schedules is kept."""
    assert word not in the_result(judged, "silent").text
    assert word not in judged[1].out.partition("warnings summary")[2]


def test_junit_has_every_case_once(judged: Judged) -> None:
    """The XML file can be read and holds every file of the project."""
    assert set(judged[0]) == {f"test_{case.name}" for case in CASES}


def test_a_failing_test_prints_the_seed_of_its_search(judged: Judged) -> None:
    """Whoever reads a failure can search again in the same way."""
    assert "Found with --chaos-seed=" in the_result(judged, "spawned").text
