"""Whatever a handler settles by itself, and whenever: the broker's judge can make the trace of it."""

from __future__ import annotations

from random import Random

import pytest

from cases import cases
from chaoskit.brokers import Settings
from chaoskit.search.plans import Plans
from chaoskit.values.answers import answer_of, begun_at
from chaoskit.values.event import Event, Stream
from chaoskit.values.faults import Crash, Fault, Gather, Overlap
from chaoskit.values.scenario import Answer
from chaoskit.values.schedule import Do, Raw, size_of, what_of
from chaoskit.values.settling import Settles, Verb
from models.systems import SYSTEMS

pytestmark = pytest.mark.many

SCENARIOS = cases(60)
"""For each system."""

OWN = [name for name, broker in SYSTEMS.items() if broker.model(Stream.of([Event("a", 1)])).verbs.names]
"""Systems of which a handler can settle messages itself."""
ONE_OPEN = "PubSub, ordered"
"""Its client hands over a message of a key when the one before is settled."""


def driven(
    broker: Settings, stream: Stream, faults: tuple[Fault, ...], random: Random, most: int = 0
) -> tuple[list[Raw], set[int], dict[int, Settles]]:
    """The steps for a handler that settles this delivery or some of the earlier ones, each or none, and seldom refuses
    one. `most`: its client hands over up to so many in one call, and all but the last of it are open until then."""
    model = broker.model(stream)
    if most:
        model.in_batches(most, by_hand=True)
    verb = "commit" if "commit" in model.verbs.names else "ack"
    play = model.play(faults)
    steps: list[Raw] = []
    refused: set[int] = set()
    settled: dict[int, Settles] = {}
    open_: list[int] = []
    answer: Answer = None
    left = 0
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
        if what_of(step) == Do.BATCH:
            left = size_of(step)
        if what_of(step) in (Do.DELIVER, Do.DIE, Do.BEGIN, Do.GO_ON):
            own, may = begun_at(steps, number), what_of(step) in (Do.DELIVER, Do.GO_ON)
            goes_on = own < number
            left -= 1
            refusals: list[Verb] = [each for each in ("nack", "reject") if each in model.verbs.names]
            if left > 0:
                open_.append(number)
                settled[number] = ()
            elif refusals and random.random() < 0.05 and may and (own in open_ or not goes_on):
                refused.add(number)
                settled[number] = ((random.choice(refusals), own),)
                open_ = [at for at in open_ if at != own]
            else:
                open_ += [] if goes_on else [number]
                random.shuffle(open_)
                count = random.randint(min(1, len(open_)), len(open_)) if random.random() < eager else 0
                settled[number] = tuple((verb, at) for at in open_[:count])
                del open_[:count]
            answer = answer_of(steps, number, settled, refused=number in refused)


@pytest.mark.parametrize("name", OWN)
def test_what_a_handler_settles_is_permitted(name: str) -> None:
    broker, random = SYSTEMS[name], Random(f"settled {name}")
    reported = 0
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
        if broker.why_impossible(Overlap) is None and random.random() < 0.4:
            position = random.randrange(len(stream))
            _, by, others = broker.model(stream).arguments(Overlap, position)
            faults = (*faults, Overlap(stream.ids[position], 1, random.choice(by), random.choice(others)))
        steps, refused, settled = driven(broker, stream, faults, random)
        trace = broker.model(stream).trace(faults, steps, sorted(refused), settled)
        answer = broker.permits(trace) if trace else True
        assert answer, f"{faults}\n{settled}\n{steps}\n{trace}\n{answer}"
        reported += any(len(each) != 1 for each in settled.values())
    assert reported > SCENARIOS // 2


@pytest.mark.parametrize("name", [name for name in OWN if SYSTEMS[name].why_impossible(Gather) is None])
def test_what_a_loop_settles_of_a_call_is_permitted(name: str) -> None:
    """Of several messages, where the broker hands them over together, whatever else goes wrong."""
    broker, random = SYSTEMS[name], Random(f"calls {name}")
    calls = 0
    for _ in range(SCENARIOS // 4):
        stream = Stream.of([Event(random.choice("ab"), 1) for _ in range(random.randint(2, 8))])
        plans = Plans(broker.model(stream), broker.kinds(), random.getrandbits(32))
        faults = (Gather(random.choice(stream.ids[:-1]), random.randint(0, 2)), *next(plans.mixtures())[:2])
        if broker.why_impossible(Crash) is None and random.random() < 0.4:
            faults = (*faults, Crash(random.choice(stream.ids), 1, random.randint(0, 2)))
        steps, refused, settled = driven(broker, stream, faults, random, most=4)
        model = broker.model(stream)
        if "commit" in model.verbs.names:  # of a queue it is a run of single messages, some of them held
            trace = model.trace(faults, steps, sorted(refused), settled)
            answer = broker.permits(trace) if trace else True
            assert answer, f"{faults}\n{settled}\n{steps}\n{trace}\n{answer}"
        assert len(model.schedule(faults, steps, sorted(refused), settled)) == len(steps)
        calls += any(what_of(step) == Do.BATCH for step in steps)
    assert calls or name == ONE_OPEN
