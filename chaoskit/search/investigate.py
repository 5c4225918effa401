"""From a question to a verdict: search, confirm, shrink, label. Knows nothing of pytest."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import attrs
from hypothesis.errors import StopTest

from chaoskit.brokers import base_of
from chaoskit.execution.limit import Hung
from chaoskit.execution.script import PASS_THROUGH
from chaoskit.invariants import final_state
from chaoskit.search.campaign import EARLY, FEW, UNLIMITED, Campaign, Found, confirm, has_two_values
from chaoskit.search.draw import draw_streams, strategy_of
from chaoskit.search.evidence import ENOUGH_MONOTONOUS, Evidence
from chaoskit.search.hangs import fewest_that_hang
from chaoskit.search.minimal import least
from chaoskit.search.oracle import CheckerFailed, Subject, kept
from chaoskit.search.plans import Plan
from chaoskit.search.recombined import Recombined
from chaoskit.search.verdicts import hung_verdict, violated
from chaoskit.strategies.streams import parts_of
from chaoskit.values.duration import shown
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Stream
from chaoskit.values.faults import FaultKind
from chaoskit.values.invariant import Invariant
from chaoskit.values.scenario import Broker, allowed_kinds
from chaoskit.values.verdict import Verdict

SCHEDULES_PER_STREAM = 50
STREAMS_PER_DRAW = 100
"""Streams of one run of Hypothesis, which remembers all that it has drawn: memory stays flat."""
DRAWN_AT_ONCE = 8
"""Of those that are recombined. After ten streams Hypothesis changes one a little, again and again, which recombining
does as well."""
MOST_POOR_DRAWS = 4
"""How often more streams are drawn where those that were had too few distinct schedules: less than half of what was
hoped for; or, where time is given, next to none several times in a row."""
LITERAL_ROUND = 1000
"""Schedules of a literal stream between two looks at the clock."""
MOST_LABEL_ROUNDS = 4
"""How often the search goes on after a failure that turns out to be across keys."""

Take = Callable[[Stream, int], bool]
"""Tries a stream with a salt, and says whether the search is over."""


@attrs.frozen(kw_only=True, eq=False)
class Question:
    """What `check` and a chaos test ask. `examples` are literal streams that are tried first. `budget`: seconds, in
    place of a number of schedules unless that is given, too. `patience`: seconds after which no new stream is begun,
    though there are schedules left. `evidence` and `known` come from earlier searches. `on_failure`
    is called with a failure before it is made minimal, which may take long; `resume_from` is what was found so once,
    and is tried before anything else."""

    subject: Subject
    events: Any
    kinds: tuple[FaultKind, ...]
    schedules: int
    streams: int
    seed: int
    budget: float | None = None
    patience: float | None = None
    across_keys: str = "violation"
    exact_streams: bool = False
    digest: bytes | None = None
    examples: tuple[Stream, ...] = ()
    fixtures: tuple[str, ...] = ()
    evidence: Evidence = attrs.field(factory=Evidence)
    known: tuple[frozenset[FaultKind], ...] = ()
    on_failure: Callable[[Verdict], None] | None = None
    resume_from: tuple[tuple[Stream, Plan], ...] = ()


def question(
    subject: Subject,
    events: Any,
    *,
    faults: Iterable[FaultKind] | None,
    without: Iterable[FaultKind] | None = None,
    schedules: int,
    seed: int,
    streams: int | None = None,
    budget: float | None = None,
    patience: float | None = None,
    across_keys: str = "violation",
    digest: bytes | None = None,
    examples: Sequence[Any] = (),
    fixtures: Sequence[str] = (),
    evidence: Evidence | None = None,
    known: Iterable[frozenset[FaultKind]] = (),
    on_failure: Callable[[Verdict], None] | None = None,
    resume_from: Sequence[tuple[Stream, Plan]] = (),
) -> Question:
    """Check what can be checked before anything runs. Raises UsageError in the user's terms."""
    if type(schedules) is not int or schedules < 1:
        raise UsageError(f"schedules={schedules!r}: a whole number, 1 or more, is needed")
    if across_keys not in ("violation", "any"):
        raise UsageError(f"across_keys={across_keys!r}: 'violation' or 'any' is needed")
    literal = strategy_of(events) is None
    if literal:
        events = Stream.of(events)
        if not len(events):
            raise UsageError("the list of events is empty: nothing would be delivered")
    known = tuple(known)
    kinds = kinds_left(subject.broker, faults, known, without)
    base_of(subject.broker)  # which must be known
    return Question(
        subject=subject,
        events=events,
        kinds=kinds,
        schedules=schedules,
        streams=1 if literal else streams or _streams_for(schedules),
        seed=seed,
        budget=budget,
        patience=patience,
        across_keys=across_keys,
        exact_streams=streams is not None and budget is None,
        digest=digest,
        examples=tuple(Stream.of(example) for example in examples),
        fixtures=tuple(fixtures),
        evidence=evidence or Evidence(),
        known=known,
        on_failure=on_failure,
        resume_from=tuple(resume_from),
    )


def _streams_for(schedules: int) -> int:
    """How many streams so many schedules are spread over. Where they are few, there are no early streams."""
    early = EARLY if schedules >= 2 * EARLY * FEW else 0
    return early + -(-(schedules - early * FEW) // SCHEDULES_PER_STREAM)


def kinds_left(
    broker: Broker,
    faults: Iterable[FaultKind] | None,
    known: Iterable[frozenset[FaultKind]],
    without: Iterable[FaultKind] | None = None,
) -> tuple[FaultKind, ...]:
    """The kinds to search, without those that are known to fail alone. Raises as `allowed_kinds` does."""
    alone = {kind for kinds in known if len(kinds) == 1 for kind in kinds}
    return tuple(kind for kind in allowed_kinds(broker, faults, without) if kind not in alone)


def investigate(q: Question) -> Verdict:
    """Search until a failure within a partition or key is found or the schedules are used up."""
    campaign = _campaign(q)
    across: Verdict | None = None
    recombined = _recombined(q)
    try:
        for round_ in range(MOST_LABEL_ROUNDS):
            campaign.found = _found_before(q) if round_ == 0 else None
            if campaign.found is None:
                _search(q, campaign, recombined, round_)
            if campaign.error is not None:
                raise campaign.error
            if campaign.found is None:
                break
            verdict = _settle(q, campaign, campaign.found)
            if verdict.label != "across keys":
                return verdict
            across = across or verdict
            campaign.ignore_across = True
        if across is None:
            _ask_more(q, campaign)
    except CheckerFailed as failed:
        return Verdict("unknown", reasons=(str(failed),), tally=campaign.tally(), seed=q.seed)
    except Hung as hung:
        if q.on_failure is not None:
            q.on_failure(hung_verdict(q.subject, hung))
        fewest = fewest_that_hang(q.subject, q.events, q.kinds, hung, q.seed)
        return attrs.evolve(fewest, tally=campaign.tally(), seed=q.seed)
    if across is not None and q.across_keys == "violation":
        return attrs.evolve(across, tally=campaign.tally())
    return _without_failure(q, campaign)


def _campaign(q: Question) -> Campaign:
    literal = isinstance(q.events, Stream)
    timed = LITERAL_ROUND if literal else SCHEDULES_PER_STREAM
    return Campaign(
        q.subject,
        q.kinds,
        q.schedules,
        q.streams + len(q.examples),
        ignore_across=q.across_keys == "any",
        literal=literal,
        evidence=q.evidence,
        known=q.known,
        budget=q.budget,
        patience=q.patience,
        most_per_stream=UNLIMITED if q.budget is None else timed,
        fixtures=q.fixtures,
    )


def _without_failure(q: Question, campaign: Campaign) -> Verdict:
    reasons, notes = campaign.unknown(), _notes(q, campaign)
    if reasons and campaign.lost_patience:
        reasons.append(_lost_patience(campaign))
    return Verdict(
        "unknown" if reasons else "held",
        reasons=tuple(reasons),
        tally=attrs.evolve(campaign.tally(), saturated=campaign.saturated),
        notes=tuple(notes),
        seed=q.seed,
    )


def _found_before(q: Question) -> Found | None:
    """The first of these scenarios that still fails."""
    for stream, faults in q.resume_from:
        case = q.subject.on(stream)
        run = kept(case.run(faults))
        if case.violations(run):
            return Found(case, faults, run)
    return None


MEMORY_KEPT = (
    "what the handler keeps in memory survived restarts: deliver(spawn=make_handler) would lose it as a restart does"
)


def _notes(q: Question, campaign: Campaign) -> list[str]:
    notes = [*campaign.notes, *campaign.evidence.not_exercised()]
    if campaign.budget is not None and campaign.saturated and campaign.wants_more:
        notes.append(
            f"stopped after {shown(campaign.elapsed)} of {shown(campaign.budget)}: the search sees nothing new any "
            "more. Longer streams, more keys or more partitions would give it more to try"
        )
    elif campaign.budget is not None:
        notes.append(f"searched for {shown(campaign.elapsed)}")
    elif campaign.lost_patience:
        notes.append(_lost_patience(campaign))
    if left_out := campaign.subject.leaves_out(campaign.kinds):
        notes.append(left_out)
    if campaign.memory_kept and q.evidence.restarted:
        notes.append(MEMORY_KEPT)
    return notes


def _lost_patience(campaign: Campaign) -> str:
    return (
        f"the time ended it: {campaign.done:,} of {campaign.schedules:,} schedules in {shown(campaign.elapsed)}. "
        "schedules=, --chaos-schedules or --chaos-time says how much is to be tried"
    )


def _recombined(q: Question) -> Recombined | None:
    """None for streams that are not those of `events(…)` itself, and where it was said how many Hypothesis draws."""
    parts = None if isinstance(q.events, Stream) or q.exact_streams else parts_of(q.events)
    return None if parts is None else Recombined(parts)


def _search(q: Question, campaign: Campaign, recombined: Recombined | None, round_: int) -> None:
    def try_(stream: Stream, salt: int) -> bool:
        campaign.try_stream(stream, derive(q.seed, f"plans {salt}"))
        return campaign.stopped

    take = _heedful(campaign, try_)
    if round_ == 0:
        for number, example in enumerate(q.examples):
            if take(example, number):
                return
    if isinstance(q.events, Stream):
        for again in itertools.count():
            done = campaign.done
            campaign.streams = campaign.streams_done + 1
            if take(q.events, round_ + MOST_LABEL_ROUNDS * again) or q.budget is None or not campaign.wants_more:
                return
            if campaign.done - done < LITERAL_ROUND:
                campaign.saturated = True
                return
    poor = chunk = 0
    while not campaign.stopped and campaign.wants_more and poor < MOST_POOR_DRAWS:
        done = campaign.done
        streams = campaign.streams - campaign.streams_done
        if not q.exact_streams:
            streams = max(streams, -(-(q.schedules - done) // SCHEDULES_PER_STREAM))
        if streams < 1:
            return
        campaign.streams = campaign.streams_done + streams
        seed, asked = derive(q.seed, f"streams {round_} {chunk}"), min(streams, STREAMS_PER_DRAW)
        if recombined is None:
            # One more, as the first is the simplest, in which little can go wrong.
            draw_streams(q.events, take, streams=asked + 1, seed=seed, digest=q.digest)
        else:
            _search_recombined(q, campaign, recombined, try_, asked, seed)
        if chunk == 0 and not campaign.stopped:
            _meet_two_values(q, campaign, take, round_)
        chunk += 1
        new, hoped = campaign.done - done, min(asked * SCHEDULES_PER_STREAM, q.schedules - done)
        if q.budget is None:
            poor += new < hoped // 2
        else:
            poor = poor + 1 if new < hoped // 100 else 0
    campaign.saturated = poor == MOST_POOR_DRAWS


def _search_recombined(
    q: Question,
    campaign: Campaign,
    recombined: Recombined,
    try_: Callable[[Stream, int], bool],
    streams: int,
    seed: int,
) -> None:
    """On about so many streams: those that Hypothesis draws, a few at once, and those that are put together of them."""
    take = _heedful(campaign, lambda stream, salt: any(try_(*each) for each in recombined.of(stream, salt)))
    last = recombined.given + streams
    for number in itertools.count():
        given, left = recombined.given, last - recombined.given
        if left < 1 or campaign.stopped or not campaign.wants_more:
            return
        drawn = min(math.ceil(left / recombined.for_each), DRAWN_AT_ONCE)
        draw_streams(q.events, take, streams=drawn + 1, seed=derive(seed, str(number)), digest=q.digest)
        if recombined.given == given:
            return


def _heedful(campaign: Campaign, look: Take) -> Take:
    """An error ends the search as a failure does: Hypothesis would run it again, and may not see it then."""

    def take(stream: Stream, salt: int) -> bool:
        try:
            return look(stream, salt)
        except (StopTest, *PASS_THROUGH):
            raise
        except BaseException as error:  # noqa: BLE001 - raised again by the caller, outside of Hypothesis
            campaign.error = error
            return True

    return take


def _ask_more(q: Question, campaign: Campaign) -> None:
    """Where leaving out an event has changed nothing so far, more streams are asked, in order only: a few may be such
    by chance, and what is unknown fails."""
    shown = campaign.evidence
    if not q.subject.needs_state or campaign.literal or shown.sibling_matters or not shown.siblings_asked:
        return
    ask = _heedful(campaign, lambda stream, _: campaign.ask(stream))
    draw_streams(q.events, ask, streams=STREAMS_PER_DRAW, seed=derive(q.seed, "siblings"), digest=q.digest)
    if campaign.error is not None:
        raise campaign.error


def _meet_two_values(q: Question, campaign: Campaign, take: Take, round_: int) -> None:
    """Where the first streams were too few to meet two values under one key, draw on until some do, and run only
    those; or until it seems that the strategy makes none."""
    shown = campaign.evidence

    def take_the_others(stream: Stream, salt: int) -> bool:
        if has_two_values(stream):
            return take(stream, salt) or campaign.streams_done >= campaign.streams or not campaign.wants_more
        shown.monotonous += 1
        return shown.is_monotonous

    if shown.two_values or shown.is_monotonous or not campaign.wants_more:
        return
    seed = derive(q.seed, f"two values {round_}")
    draw_streams(q.events, take_the_others, streams=2 * ENOUGH_MONOTONOUS, seed=seed, digest=q.digest)


def _settle(q: Question, campaign: Campaign, found: Found) -> Verdict:
    """Confirm the failure, make it minimal, and say which order it breaks."""
    run = confirm(found)
    if q.on_failure is not None:
        q.on_failure(violated(found.case, found.faults, run, None, minimal=False))
    minimal = least(q.subject, q.events, q.kinds, found, derive(q.seed, "values"))
    case = q.subject.on(minimal.stream)
    run = kept(case.run(minimal.faults))
    label = "across keys" if minimal.across else case.label(run)
    verdict = violated(case, minimal.faults, run, label)
    whole = None if parts_of(q.events) else found.case.model.stream.events
    return attrs.evolve(
        verdict,
        found=whole,
        found_faults=() if whole is None else minimal.found_faults,
        is_part=minimal.is_part,
        also=tuple(kind.__name__ for kind in minimal.also),
        tally=campaign.tally(),
        seed=q.seed,
    )


def derive(seed: int, what: str) -> int:
    """Another seed from this one, the same on every machine."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{what}".encode()).digest()[:8], "big")


def default_invariants(invariants: Iterable[Invariant] | None) -> tuple[Invariant, ...]:
    if invariants is None:
        return (final_state(),)
    found = tuple(invariants) if isinstance(invariants, Iterable) else (invariants,)
    for invariant in found:
        if not isinstance(invariant, Invariant):
            raise UsageError(
                f"invariants contains {invariant!r}, not an Invariant; write final_state(), no_error() or "
                "always(predicate) from chaoskit.invariants, with the parentheses"
            )
    if not found:
        raise UsageError("invariants is empty: nothing would be checked. Leave it out for final_state()")
    return found
