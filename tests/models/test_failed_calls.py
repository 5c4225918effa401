"""What becomes of a message whose handler meets a failed call: it is what becomes of its answer."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from chaoskit import Event, Fail, Stream
from chaoskit.brokers.base import Settings
from chaoskit.search.plans import Plan, Plans
from chaoskit.values.scenario import Model
from chaoskit.values.schedule import Do, Raw, is_handed, point_of, what_of
from models.systems import SYSTEMS

STREAM = Stream.of([Event("abc"[(7 * i) % 3], i) for i in range(7)])
PLANS = 12
FAILS = [name for name, broker in SYSTEMS.items() if broker.why_impossible(Fail) is None]


def is_failing(step: Raw) -> bool:
    return what_of(step) == Do.DELIVER and point_of(step) > 0


def played(model: Model, plan: Plan, *, raises: bool) -> tuple[list[Raw], list[int]]:
    """The steps where the handler raises, or does not, when a call of it has failed; and at which it has raised."""
    play, steps, raised, answer = model.play(plan), list[Raw](), list[int](), None
    try:
        while True:
            steps.append(play.send(answer))
            answer = (raises and is_failing(steps[-1])) or None
            if answer:
                raised.append(len(steps) - 1)
    except StopIteration:
        return steps, raised


@pytest.mark.parametrize("name", FAILS)
def test_where_the_handler_raises_the_rest_is_that_of_a_failed_attempt(name: str) -> None:
    model = SYSTEMS[name].model(STREAM)
    for id_ in STREAM.ids:
        inside, _ = played(model, [Fail(id_, 1, point=2)], raises=True)
        before, _ = played(model, [Fail(id_, 1)], raises=False)
        assert [step[1:] for step in inside] == [step[1:] for step in before]
        changed = [(one, two) for one, two in zip(inside, before, strict=True) if one != two]
        assert all(is_failing(one) and two[0] in (Do.FAIL, Do.SKIP) for one, two in changed), changed


@pytest.mark.parametrize("name", FAILS)
def test_where_the_handler_answers_nothing_follows(name: str) -> None:
    model = SYSTEMS[name].model(STREAM)
    calm = list(model.play(()))
    steps, _ = played(model, [Fail("e3", 1, point=2)], raises=False)
    assert [step[1:] for step in steps] == [step[1:] for step in calm]
    assert [point_of(step) for step in steps if step[0] != Do.DELIVER] == [2]


def mixtures(broker: Settings, salt: int) -> Iterator[tuple[Plan, Plan]]:
    """Plans of other kinds, and the same with a failed call or two."""
    chance, model = random.Random(salt), broker.model(STREAM)
    for plan in Plans(model, broker.kinds(), salt).mixtures():
        fails = [Fail(chance.choice(STREAM.ids), chance.randrange(3), chance.choice((1, 2))) for _ in range(2)]
        yield plan[:5], (*plan[:5], *fails)


@pytest.mark.parametrize("raises", [True, False])
@pytest.mark.parametrize("name", FAILS)
def test_the_judge_permits_it_and_the_message_is_handled_in_the_end(name: str, raises: bool) -> None:
    broker = SYSTEMS[name]
    model, failed = broker.model(STREAM), 0
    for _, (without, plan) in zip(range(PLANS), mixtures(broker, 1), strict=False):
        steps, raised = played(model, plan, raises=raises)
        failed += sum(map(is_failing, steps))
        gone = {step[2] for step in steps if step[0] in (Do.LOSE, Do.SKIP, Do.WAIT)}
        taken = {step[2] for n, step in enumerate(steps) if is_handed(step) and n not in raised}
        assert gone | taken >= set(range(len(STREAM))), plan
        assert Do.REFUSE not in map(what_of, steps), plan
        if broker.permits(model.trace(without, *played(model, without, raises=False))):
            permitted = broker.permits(model.trace(plan, steps, raised))
            assert permitted, f"{plan}\n{permitted}"
        model.schedule(plan, steps, raised)
    assert failed >= PLANS // 2
