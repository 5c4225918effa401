"""What rules a fault out: a setting of the broker, or a habit where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chaoskit.brokers.frameworks import FRAMEWORKS
from chaoskit.brokers.inside import gone_at, names_of
from chaoskit.brokers.sentences import brought_back, place_of
from chaoskit.brokers.wording import CALL_FAILED, IDEMPOTENT, TWICE
from chaoskit.report.deaths import SETTLE_AFTER, settled_first
from chaoskit.report.labels import kinds_of, ruled_out_by
from chaoskit.report.overlaps import short_ways
from chaoskit.values.errors import Unavailable
from chaoskit.values.faults import Crash, Fail, Overlap, Overtake, reaches_in
from chaoskit.values.schedule import Step
from chaoskit.values.verdict import Verdict


def remedies(verdict: Verdict, advised: bool) -> Iterator[tuple[str, str]]:
    """What rules each fault out; without the general habit where the handler is `advised` by what its state has."""
    assert verdict.scenario is not None
    assert verdict.schedule is not None
    broker = verdict.scenario.broker
    inside = {Fail} if any(isinstance(fault, Fail) and fault.point for fault in verdict.scenario.faults) else set()
    # Whatever fault was met: it is the order between keys that is not fixed, and that is an Overtake.
    for kind in [Overtake] if verdict.label == "across keys" else kinds_of(verdict):
        remedy = _where_a_call_failed(verdict) if kind in inside else ruled_out_by(verdict.scenario, kind)
        if kind is Crash and settled_first(verdict.schedule):
            remedy = remedy.replace(TWICE, SETTLE_AFTER)
        ways = short_ways(verdict.scenario, remedy) if kind is Overlap else [remedy]
        if advised:
            ways = [way.replace(f". {IDEMPOTENT}", "").replace(IDEMPOTENT, "no setting") for way in ways]
        yield from ((kind.__name__, way) for way in ways)
    if (left := _what_leaves(verdict)) and any(map(reaches_in, verdict.scenario.faults)):
        yield "What leaves", LEAVES.format(names_of(left))
    if not inside:
        for remedy in _final_failures(verdict.schedule.steps):
            yield "A final failure", remedy.removeprefix("no setting: any call can fail. ")
    # A broker of the user's own need not have it: it is no part of what is asked of one.
    if (whole := getattr(broker, "whole_batch", "")) and _batch_came_again(verdict.schedule.steps):
        yield "A batch that fails", whole


LEAVES = (
    "no rollback takes back {}. Write what is to be sent into a table, in the transaction of the effect (an outbox), "
    "and let a relay send it from there; who receives it drops what comes twice by its id"
)


def _what_leaves(verdict: Verdict) -> list[str]:
    """The names of the effects that leave, in order or in this run."""
    effects = (*verdict.expected_effects, *verdict.observed_effects)
    return list(dict.fromkeys(effect.name for effect in effects))


WHAT_IT_RAISES = "What the calls of the test really raise, such as OperationalError, is said by fails_with="


def _where_a_call_failed(verdict: Verdict) -> str:
    assert verdict.schedule is not None
    gone = gone_at(verdict.schedule.steps)
    errors = [step.failed.error for step in gone if step.failed is not None]
    final = next(iter(_final_failures(gone)), None)
    if final is None:
        return CALL_FAILED.ruled_out_by
    unsaid = any(error.startswith(Unavailable.__name__) for error in errors)
    return f"{final}. {WHAT_IT_RAISES}" if unsaid else f"{final}"


def _final_failures(steps: Sequence[Step]) -> list[str]:
    """What helps where a framework has made an end of a message."""
    by = dict.fromkeys(step.given_up_by for step in steps if step.raised and step.given_up_by)
    return [FRAMEWORKS[name].ruled_out_by for name in by if name in FRAMEWORKS]


def _batch_came_again(steps: Sequence[Step]) -> bool:
    return any(place_of(steps[one]) != place_of(steps[by]) for one, by in brought_back(steps).items())
