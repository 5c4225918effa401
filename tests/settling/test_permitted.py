"""Whatever a handler settles by itself, and whenever: the broker's judge can make the trace of it."""

from __future__ import annotations

from random import Random

import pytest

from cases import cases
from chaoskit.brokers import Settings
from chaoskit.search.plans import Plans
from chaoskit.values.event import Event, Stream
from chaoskit.values.faults import Crash, Fault
from chaoskit.values.scenario import Answer
from chaoskit.values.schedule import Do, Raw, what_of
from chaoskit.values.settling import Settles, Verb, answer_of
from models.systems import SYSTEMS

pytestmark = pytest.mark.many

SCENARIOS = cases(60)
"""For each system."""

OWN = [name for name, broker in SYSTEMS.items() if broker.model(Stream.of([Event("a", 1)])).verbs.names]
"""Systems of which a handler can settle messages itself."""


def driven(
    broker: Settings, stream: Stream, faults: tuple[Fault, ...], random: Random
) -> tuple[list[Raw], set[int], dict[int, Settles]]:
    """The steps for a handler that settles this delivery or some of the earlier ones, each or none, and seldom refuses
    one."""
    model = broker.model(stream)
    verb = "commit" if "commit" in model.verbs.names else "ack"
    play = model.play(faults)
    steps: list[Raw] = []
    refused: set[int] = set()
    settled: dict[int, Settles] = {}
    open_: list[int] = []
    answer: Answer = None
    eager = random.choice((0.1, 0.5, 0.9))
    while True:
        try:
            steps.append(play.send(answer))
        except StopIteration:
            return steps, refused, settled
        number, step = len(steps) - 1, steps[-1]
        answer = False
        if what_of(step) == Do.RESTART:  # what a dead process had is settled by nobody
            open_ = [at for at in open_ if steps[at][1] != step[1]]
        if what_of(step) in (Do.DELIVER, Do.DIE):
            refusals: list[Verb] = [each for each in ("nack", "reject") if each in model.verbs.names]
            if refusals and random.random() < 0.05 and what_of(step) == Do.DELIVER:
                refused.add(number)
                settled[number] = ((random.choice(refusals), number),)
            else:
                open_.append(number)
                random.shuffle(open_)
                count = random.randint(1, len(open_)) if random.random() < eager else 0
                settled[number] = tuple((verb, at) for at in open_[:count])
                del open_[:count]
            answer = answer_of(steps, number, settled[number], refused=number in refused)


@pytest.mark.parametrize("name", OWN)
def test_what_a_handler_settles_is_permitted(name: str) -> None:
    broker, random = SYSTEMS[name], Random(f"settled {name}")
    told = 0
    for _ in range(SCENARIOS):
        keys = "abc"[: random.randint(1, 3)]
        stream = Stream.of([Event(random.choice(keys), 1) for _ in range(random.randint(1, 8))])
        plans = Plans(broker.model(stream), broker.kinds(), random.getrandbits(32))
        if any(plans.choices(position) for position in range(len(stream))):
            faults = next(plans.mixtures())[: random.randint(0, 4)]
        else:
            faults = ()
        if broker.why_impossible(Crash) is None and random.random() < 0.4:
            faults = (*faults, Crash(random.choice(stream.ids), 1, random.randint(0, 2)))
        steps, refused, settled = driven(broker, stream, faults, random)
        trace = broker.model(stream).trace(faults, steps, sorted(refused), settled)
        answer = broker.permits(trace) if trace else True
        assert answer, f"{faults}\n{settled}\n{steps}\n{trace}\n{answer}"
        told += any(len(each) != 1 for each in settled.values())
    assert told > SCENARIOS // 2
