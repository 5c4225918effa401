"""Dramatiq actors, Huey tasks, RQ and arq jobs as their pages write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from chaoskit import Celery, Event, Message, Overtake, UsageError, check
from chaoskit.adapters import arq, dramatiq, huey, rq
from chaoskit.adapters.refusing import NotHandled
from chaoskit.brokers.frameworks import FRAMEWORKS as FRAMEWORK_WORDS
from chaoskit.execution.retried import Final, how_final

ACCOUNTS = [Event("ann", {"kind": "opened"}), Event("ann", {"kind": "paid", "amount": 5})]
LATE = Celery(acks_late=True, reject_on_worker_lost=True)


def named(message: Message) -> dict[str, Any]:
    return {"customer": message.key, **message.value}


def message(value: Any = 5, retries: int = 0) -> Message:
    return Message("ann", value, "e1", 1, {"retries": retries}, 1.0, "celery", message_id="e1", redelivered=False)


# Each framework's way to write a task with so many retries, and the adapter around it.


def as_actor(function: Any, retries: int) -> Any:
    library = pytest.importorskip("dramatiq", reason="dramatiq is missing")
    stub = pytest.importorskip("dramatiq.brokers.stub").StubBroker()
    stub.add_middleware(library.middleware.CurrentMessage())
    return library.actor(function, broker=stub, max_retries=retries)


def as_task(function: Any, retries: int) -> Any:
    library = pytest.importorskip("huey", reason="huey is missing")
    return library.MemoryHuey("shop").task(retries=retries)(function)


def actor(function: Any, retries: int, args: Any = None) -> Any:
    return dramatiq.actor(as_actor(function, retries), args)


def task(function: Any, retries: int, args: Any = None) -> Any:
    return huey.task(as_task(function, retries), args)


def job(function: Any, retries: int, args: Any = None) -> Any:
    library = pytest.importorskip("rq", reason="rq is missing")
    return rq.job(function, args, retry=library.Retry(max=retries) if retries else None)


NAMES = {actor: "dramatiq", task: "huey", job: "rq"}
FRAMEWORKS = pytest.mark.parametrize("framework", [actor, task, job])


def opening(framework: Any, retries: int) -> Callable[[Any], dict[str, int]]:
    """A payment may run before the account is there: then the task fails."""

    def test(deliver: Any) -> dict[str, int]:
        accounts: dict[str, int] = {}

        def book(customer: str, kind: str, amount: int = 0) -> None:
            if kind == "opened":
                accounts.setdefault(customer, 0)
            else:
                accounts[customer] = max(accounts[customer], amount)

        deliver(framework(book, retries, named))
        return accounts

    return test


@FRAMEWORKS
def test_a_task_that_fails_is_lost_unless_it_retries(framework: Any) -> None:
    """Retries are asked for in each of them; a payment that ran too early waits for its account then."""
    found = check(opening(framework, 0), ACCOUNTS, LATE, faults={Overtake}, schedules=30, seed=1)
    assert found.status == "violated"
    assert found.observed == {"ann": 0}
    reported = FRAMEWORK_WORDS[NAMES[framework]]
    report = " ".join(found.report().split())
    assert reported.mark in report
    assert reported.ruled_out_by.removeprefix("no setting: any call can fail. ") in report
    assert found.schedule is not None
    assert [step.given_up_by for step in found.schedule] == [NAMES[framework], NAMES[framework], None]
    held = check(opening(framework, 3), ACCOUNTS, LATE, faults={Overtake}, schedules=30, seed=1)
    assert held.status == "held", held.report()


@FRAMEWORKS
def test_a_task_that_counts_counts_twice(framework: Any) -> None:
    """All of them run a task at least once where it is acknowledged late."""

    def test(deliver: Any) -> dict[str, int]:
        paid: dict[str, int] = {}

        def charge(amount: int) -> None:
            paid["ann"] = paid.get("ann", 0) + amount

        deliver(framework(charge, 3))
        return paid

    assert check(test, [Event("ann", 5)], LATE, schedules=20, seed=1).status == "violated"


@FRAMEWORKS
def test_a_failure_is_final_when_the_retries_are_used_up(framework: Any) -> None:
    """It is raised each time, and the last one says that nothing brings it back."""

    def charge(amount: int) -> None:
        raise LookupError("customer")

    handle = framework(charge, 1)
    final = []
    for retries in (0, 1):
        with pytest.raises(LookupError) as raised:
            handle(message(retries=retries))
        final.append(how_final(raised.value))
    assert final == [None, Final(NAMES[framework], used_up=True, rejected=False)]
    with pytest.raises(UsageError):
        handle(message(lambda: 5))


def test_an_actor_knows_its_message_and_what_it_throws_is_final() -> None:
    """The Retries middleware is asked what it would do."""
    library = pytest.importorskip("dramatiq", reason="dramatiq is missing")
    seen: list[Any] = []

    def charge(amount: int) -> None:
        current = library.middleware.CurrentMessage.get_current_message()
        seen.append((current.message_id, current.options["retries"]))
        raise ValueError(amount)

    made = as_actor(charge, 3)
    made.options["throws"] = ValueError
    handle = dramatiq.actor(made)
    with pytest.raises(ValueError, match="5") as raised:
        handle(message(retries=1))
    assert how_final(raised.value) == Final("dramatiq", used_up=True, rejected=False)
    assert seen == [("e1", 1)]
    assert library.middleware.CurrentMessage.get_current_message() is None


def test_a_job_knows_itself_and_may_return_a_retry() -> None:
    """`get_current_job` is that of RQ."""
    library = pytest.importorskip("rq", reason="rq is missing")
    seen: list[Any] = []

    def charge(amount: int) -> Any:
        seen.append(library.get_current_job().id)
        return library.Retry(max=2) if amount else None

    rq.job(charge)(message(0))
    final = []
    for retries in (1, 2):
        with pytest.raises(NotHandled, match="returned a Retry") as raised:
            rq.job(charge)(message(1, retries))
        final.append(how_final(raised.value))
    assert final == [None, Final("rq", used_up=True, rejected=False)]
    assert seen == ["e1"] * 3


def test_a_task_of_huey_may_ask_for_a_retry_or_be_cancelled() -> None:
    """With or without retries of its own."""
    library = pytest.importorskip("huey", reason="huey is missing")
    asks: dict[str, Exception] = {
        "retry": library.RetryTask(),
        "cancel": library.CancelExecution(),
        "again": library.CancelExecution(retry=True),
    }

    def charge(how: str) -> None:
        raise asks[how]

    for how in ("retry", "again"):
        with pytest.raises(NotHandled):
            task(charge, 0)(message(how))
    task(charge, 0)(message("cancel"))
    with pytest.raises(NotHandled):
        task(charge, 1)(message("cancel"))


@pytest.mark.asyncio
async def test_a_job_of_arq_comes_again_only_where_it_says_so() -> None:
    """Any other exception is its end."""
    library = pytest.importorskip("arq", reason="arq is missing: it does not go with redis 6 and newer")
    tries: list[int] = []

    async def charge(ctx: dict[str, Any], how: str) -> None:
        tries.append(ctx["job_try"])
        assert ctx["pool"] == "p"
        if how == "retry":
            raise library.Retry(defer=5)
        raise LookupError(how)

    handle = arq.job(charge, ctx={"pool": "p"}, max_tries=2)
    final = []
    for retries in (0, 1):
        with pytest.raises(NotHandled, match="asked for a retry") as asked:
            await handle(message("retry", retries))
        final.append(how_final(asked.value))
    with pytest.raises(LookupError) as raised:
        await handle(message("fails"))
    assert [*final, how_final(raised.value)] == [
        None,
        Final("arq", used_up=True, rejected=False),
        Final("arq", used_up=False, rejected=False),
    ]
    assert tries == [1, 2, 1]
