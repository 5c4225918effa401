"""Who permits two executions at once, what the reports state of them, and what rules them out: by what the broker
states of a `Zombie`, whose message is lent a second time, and of an `Overtake` among consumers that compete."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import attrs

from chaoskit.brokers.impossible import Impossible
from chaoskit.models.faults.overlap import lends_again, lets_compete
from chaoskit.models.log.policy import Reading
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.values.faults import FaultKind, Overtake, Zombie
from chaoskit.values.schedule import Step

HandsOut = Reading | LeasePolicy

RELAYED = Impossible(
    "a second relay publishes a message twice, and its consumer handles the copies one after the other", {},
    "a broker whose own consumers overlap makes it possible",
)  # fmt: skip
ENDED = Impossible("an execution that takes too long is ended, before its message comes back")

IN_THE_STATE = (
    "a row lock (SELECT … FOR UPDATE), or a version that is compared where the row is written; a unique key refuses a "
    "second insert, and a fencing token refuses a late owner"
)
"""What helps on every broker."""
ONE_MESSAGE = "for two executions of one message"
TWO_MESSAGES = "for two messages of one key at once"
"""What a setting helps against."""
NO_RETRY_TOPIC = f'{TWO_MESSAGES}: on_error="retry", as a retry topic has a listener of its own'


@attrs.frozen
class Ways:
    """What rules two executions at once out: in the handler; and of the broker's settings, which ones against which of
    the two, by what they help against. One that has none against it is not there."""

    handler: str = IN_THE_STATE
    one_message: str = ""
    two_messages: str = ""

    @property
    def text(self) -> str:
        settings = (f"{text[0].upper()}{text[1:]}" for text in (self.one_message, self.two_messages) if text)
        return ". ".join([self.handler, *settings])


def why_no_overlap(hands_out: HandsOut, impossible: Mapping[FaultKind, Impossible]) -> Impossible | None:
    """Why no two executions are ever at work at once; None where they are."""
    if isinstance(hands_out, LeasePolicy):
        if hands_out.renewed:
            return RELAYED
        if lends_again(hands_out) or lets_compete(hands_out):
            return None
        if Zombie not in impossible:
            return ENDED
    if Zombie not in impossible:
        return None
    alone, competes = impossible[Zombie], impossible.get(Overtake)
    if competes is None or not isinstance(hands_out, LeasePolicy) or hands_out.lock != "message":
        return alone
    return Impossible(f"{alone.why}, and {competes.why}", {**competes.allowed_by, **alone.allowed_by})


def how_to_rule_out(hands_out: HandsOut, zombie: str, overtake: str, rehash: str | None) -> Ways:
    """What rules it out, where these rule out a `Zombie`, an `Overtake` and a `Rehash`; None where no key moves."""
    lends = not isinstance(hands_out, LeasePolicy) or lends_again(hands_out)
    one = f"{ONE_MESSAGE}: {zombie}" if lends else ""
    two = ""
    if isinstance(hands_out, LeasePolicy):
        two = f"{TWO_MESSAGES}: {overtake}" if lets_compete(hands_out) else ""
    elif hands_out.consumers > 1 and rehash is not None:
        two = f"{TWO_MESSAGES}, while it moves: {rehash}"
    if not isinstance(hands_out, LeasePolicy) and hands_out.passes_failed:
        two = f"{two}; {NO_RETRY_TOPIC}" if two else NO_RETRY_TOPIC
    return Ways(IN_THE_STATE, one, two)


def meanwhile(number: int, steps: Sequence[Step]) -> list[Step]:
    """What was run between the step of this number, in which an execution began, and that in which it goes on."""
    consumer = steps[number].consumer
    rest = itertools.takewhile(lambda s: s.action != "go on" or s.consumer != consumer, steps[number + 1 :])
    others = (step for step in rest if step.action != "begin" or step.consumer != consumer)  # of its call, that begin
    return [step for step in others if step.action in ("deliver", "die", "begin")]
