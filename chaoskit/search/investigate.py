"""From a question to a verdict: search, confirm, shrink, label. Knows nothing of pytest."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator

import attrs
from hypothesis.errors import StopTest

from chaoskit.execution.limit import Hung
from chaoskit.execution.opened import listing_of_the_open
from chaoskit.execution.script import PASS_THROUGH
from chaoskit.search.campaign import LITERAL_ROUND, Campaign
from chaoskit.search.draw import draw_streams
from chaoskit.search.evidence import ENOUGH_MONOTONOUS
from chaoskit.search.exhaustive import try_all
from chaoskit.search.failing import NO_CALLS, NO_CALLS_OF_LOOP
from chaoskit.search.found import Found, confirm
from chaoskit.search.hangs import fewest_that_hang
from chaoskit.search.labels import label_of
from chaoskit.search.minimal import least
from chaoskit.search.oracle import CheckerFailed, with_state_copied
from chaoskit.search.question import SCHEDULES_PER_STREAM, Question, derive
from chaoskit.search.recombined import Recombined
from chaoskit.search.shape import has_two_values
from chaoskit.search.verdicts import hung_verdict, violated
from chaoskit.strategies.dependent import dependent_of
from chaoskit.strategies.streams import parts_of
from chaoskit.values.duration import shown
from chaoskit.values.event import Stream
from chaoskit.values.faults import Crash, Overlap
from chaoskit.values.verdict import Exhausted, Verdict

STREAMS_PER_DRAW = 100
"""Streams of one run of Hypothesis, which remembers all that it has drawn: memory stays flat."""
DRAWN_AT_ONCE = 8
"""Of those that are recombined. After ten streams Hypothesis changes one a little, again and again, which recombining
does as well."""
MOST_POOR_DRAWS = 4
"""How often more streams are drawn where those that were had too few distinct schedules: less than half of what was
hoped for; or, where time is given, next to none several times in a row."""
MOST_LABEL_ROUNDS = 4
"""How often the search goes on after a failure that turns out to be across keys."""

Take = Callable[[Stream, int], bool]
"""Tries a stream with a salt, and says whether the search is over."""


def investigate(q: Question) -> Verdict:
    """Search until a failure within a partition or key is found or the schedules are used up."""
    campaign = Campaign.of(q)
    across: Verdict | None = None
    exhausted: Exhausted | None = None
    recombined = _recombined(q)
    try:
        # Each round searches on with other seeds: it was a failure across keys that ended the one before.
        for round_ in range(MOST_LABEL_ROUNDS):
            # It may be across keys; the next round must not find it again.
            campaign.found = _found_before(q) if round_ == 0 else None
            if campaign.found is None and q.settings.exhaustive is not None:
                exhausted = try_all(q, campaign)
            elif campaign.found is None:
                _search(q, campaign, recombined, round_)
            if campaign.error is not None:
                raise campaign.error
            if campaign.found is None:
                break
            verdict = _settle(q, campaign, campaign.found)
            if verdict.label != "across keys":
                return verdict
            across = across or verdict
            # From now on only a failure within a key would say more.
            campaign.ignore_across = True
        # Else a failure was found, so that the state shows something.
        if across is None:
            _ask_more(q, campaign)
    except CheckerFailed as failed:
        return Verdict("unknown", reasons=(str(failed),), tally=campaign.tally(), seed=q.seed)
    except Hung as hung:
        if q.settings.on_failure is not None:
            q.settings.on_failure(hung_verdict(q.subject, hung))
        fewest = fewest_that_hang(q.subject, q.events, campaign.kinds, hung, q.seed)
        return attrs.evolve(fewest, tally=campaign.tally(), seed=q.seed)
    if across is not None and q.settings.across_keys == "violation":
        return attrs.evolve(across, tally=campaign.tally())
    return attrs.evolve(_without_failure(q, campaign), exhausted=exhausted)


def first_failure(q: Question) -> tuple[Found | None, int]:
    """The first failure that a search meets, as it was met, and after how many schedules; None where it meets none."""
    campaign = Campaign.of(q)
    _search(q, campaign, _recombined(q), 0)
    if campaign.error is not None:
        raise campaign.error
    return campaign.found, campaign.done


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
    for stream, faults in q.settings.resume_from:
        case = q.subject.on(stream)
        case.reference()  # whether the handler takes batches is known when it ran, and with it what the broker makes
        run = with_state_copied(case.run(faults))
        if case.violations(run):
            return Found(case, faults, run)
    return None


MEMORY_KEPT = (
    "what the handler keeps in memory survived restarts: deliver(spawn=make_handler) would let processes die inside it "
    "(Crash), work at the same time (Overlap) and meet calls that fail (Fail), and lose it as a restart does"
)
LEFT_THREADS = (
    "the handler swallows every exception, BaseException, too, and does not end: threads of processes that died inside "
    "it are left behind. Catch Exception there"
)
OWN_THREADS = (
    "the handler starts threads or processes of its own ({}): nothing stops inside them, and where the process dies "
    "they go on to their end. What has to be done when the handler returns it has to wait for"
)
NOT_LISTED = (
    "this system does not list what a program has open (/proc/self/fd, /dev/fd): a connection that the handler opens "
    "by itself stays open when its process dies, and belongs into `spawn`"
)
GAVE_UP = (
    "messages were given up whose attempts had failed before they had any effect, as their framework or provider does: "
    "compared without what was lost; loss='violation' makes it a failure"
)
"""What has to be said of a pass where no setting of the broker loses them."""
NONE_DIED = "no process died inside the handler (Crash)"
NO_TWO_AT_ONCE = "no two executions were at work at once (Overlap)"
NONE_FAILED = "no call failed there (Fail)"
NOT_INSIDE = "deliver(spawn=make_handler) says what belongs to a process"


def _notes(q: Question, campaign: Campaign) -> list[str]:
    notes = [*campaign.preflight.notes, *campaign.evidence.not_exercised()]
    if q.settings.budget is not None and campaign.saturated and campaign.wants_more:
        notes.append(
            f"stopped after {shown(campaign.elapsed)} of {shown(q.settings.budget)}: the search sees nothing new any "
            "more. Longer streams, more keys or more partitions would give it more to try"
        )
    elif q.settings.budget is not None:
        notes.append(f"searched for {shown(campaign.elapsed)}")
    elif campaign.lost_patience:
        notes.append(_lost_patience(campaign))
    if left_out := campaign.subject.leaves_out(campaign.kinds):
        notes.append(left_out)
    elif campaign.evidence.gave_up and campaign.subject.loss == "left out":
        notes.append(GAVE_UP)
    if campaign.preflight.memory_kept and campaign.evidence.restarted:
        notes.append(MEMORY_KEPT)
    notes += _of_the_inside(campaign)
    notes += _of_calls(campaign)
    return notes


def _of_the_inside(campaign: Campaign) -> Iterator[str]:
    """Where processes died inside the handler and where executions stopped, or why none did."""
    shown, spawns = campaign.evidence, campaign.preflight.spawns
    if shown.points:
        effects = f"{len(shown.points):,} effects"
        if Crash in campaign.kinds:
            died = len(shown.reached & shown.points)
            yield f"processes died inside the handler before {died:,} of its {effects} (Crash)"
        if Overlap in campaign.kinds:
            stopped = len(shown.stopped & shown.points)
            yield f"of two executions at once one stopped before {stopped:,} of its {effects} (Overlap)"
        if shown.left_threads:
            yield LEFT_THREADS
        if shown.started_at:
            yield OWN_THREADS.format(", ".join(sorted(shown.started_at)))
        if listing_of_the_open() is None:
            yield NOT_LISTED
    elif campaign.why_not_inside and spawns:
        yield f"{_none_inside(campaign)}: {campaign.why_not_inside}"
    elif campaign.why_not_inside and not (campaign.preflight.memory_kept and shown.restarted):
        yield f"{_none_inside(campaign)}: {NOT_INSIDE}"


def _none_inside(campaign: Campaign) -> str:
    """With `fails_with` calls may have failed all the same."""
    if campaign.evidence.calls:
        return f"{NONE_DIED}, and {NO_TWO_AT_ONCE}"
    return f"{NONE_DIED}, {NO_TWO_AT_ONCE}, and {NONE_FAILED}"


def _of_calls(campaign: Campaign) -> Iterator[str]:
    """Which calls failed inside the handler, or why none did."""
    shown = campaign.evidence
    if shown.calls:
        yield (
            f"calls failed inside the handler at {len(shown.failed & shown.calls):,} of the {len(shown.calls):,} "
            "places where they can (Fail)"
        )
    elif campaign.why_no_call_failed in (NO_CALLS, NO_CALLS_OF_LOOP) or (
        campaign.why_no_call_failed and not campaign.why_not_inside
    ):
        yield f"no call failed inside the handler (Fail): {campaign.why_no_call_failed}"


def _lost_patience(campaign: Campaign) -> str:
    wanted = campaign.settings.schedules
    return (
        f"the time ended it: {campaign.done:,} of {wanted:,} schedules in {shown(campaign.elapsed)}. "
        "schedules=, --chaos-schedules or --chaos-time says how much is to be tried"
    )


def _recombined(q: Question) -> Recombined | None:
    """None for streams of which it is not known what they are made of, and where it was given how many Hypothesis
    draws."""
    return None if q.is_literal or q.exact_streams else Recombined.made_of(q.events)


def _search(q: Question, campaign: Campaign, recombined: Recombined | None, round_: int) -> None:
    def try_(stream: Stream, salt: int) -> bool:
        campaign.try_stream(stream, derive(q.seed, f"plans {salt}"))
        return campaign.stopped

    take = _heedful(campaign, try_)
    if round_ == 0:
        for number, example in enumerate(q.settings.examples):
            if take(example, number):
                return
    if q.is_literal:
        _search_literal(q, campaign, take, round_)
        return
    poor = chunk = 0
    while not campaign.stopped and campaign.wants_more and poor < MOST_POOR_DRAWS:
        done, streams = campaign.done, _streams_wanted(q, campaign)
        if streams < 1:
            return
        campaign.streams = campaign.streams_done + streams
        seed, asked = derive(q.seed, f"streams {round_} {chunk}"), min(streams, STREAMS_PER_DRAW)
        if recombined is None:
            # One more, as the first is the simplest, in which little can go wrong.
            draw_streams(q.events, take, streams=asked + 1, seed=seed, digest=q.settings.digest)
        else:
            _search_recombined(q, campaign, recombined, try_, asked, seed)
        if chunk == 0 and not campaign.stopped:
            _meet_two_values(q, campaign, take, round_)
        chunk += 1
        hoped = min(asked * SCHEDULES_PER_STREAM, q.settings.schedules - done)
        poor = _poor_draws(q, poor, campaign.done - done, hoped)
    campaign.saturated = poor == MOST_POOR_DRAWS


def _search_literal(q: Question, campaign: Campaign, take: Take, round_: int) -> None:
    """The one stream there is: once, or again and again while there is time and anything new."""
    for again in itertools.count():
        done = campaign.done
        campaign.streams = campaign.streams_done + 1
        # Each round has a salt of its own, those of a search that goes on after a failure across keys, too.
        if take(q.events, round_ + MOST_LABEL_ROUNDS * again) or q.settings.budget is None or not campaign.wants_more:
            return
        if campaign.done - done < LITERAL_ROUND:
            campaign.saturated = True
            return


def _streams_wanted(q: Question, campaign: Campaign) -> int:
    streams = campaign.streams - campaign.streams_done
    if q.exact_streams:
        return streams
    # Streams that had fewer distinct schedules than their share have left some over.
    return max(streams, -(-(q.settings.schedules - campaign.done) // SCHEDULES_PER_STREAM))


def _poor_draws(q: Question, poor: int, new: int, hoped: int) -> int:
    """How many draws gave too little: in a row, where time is given; else in all."""
    if q.settings.budget is None:
        return poor + (new < hoped // 2)
    return poor + 1 if new < hoped // 100 else 0


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
        # One more, as in `_search`.
        draw_streams(q.events, take, streams=drawn + 1, seed=derive(seed, str(number)), digest=q.settings.digest)
        if recombined.given == given:  # the strategy draws nothing new any more
            return


def _heedful(campaign: Campaign, look: Take) -> Take:
    """An error ends the search as a failure does: Hypothesis would run it again, and may not see it then."""

    def take(stream: Stream, salt: int) -> bool:
        try:
            return look(stream, salt)
        # Hypothesis' own, which it has to see.
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
    draw_streams(q.events, ask, streams=STREAMS_PER_DRAW, seed=derive(q.seed, "siblings"), digest=q.settings.digest)
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
    draw_streams(q.events, take_the_others, streams=2 * ENOUGH_MONOTONOUS, seed=seed, digest=q.settings.digest)


def _settle(q: Question, campaign: Campaign, found: Found) -> Verdict:
    """Confirm the failure, make it minimal, and say which order it breaks."""
    run = confirm(found)
    if q.settings.on_failure is not None:
        q.settings.on_failure(violated(found.case, found.faults, run, None, minimal=False))
    if not q.settings.minimal:
        unshrunk = violated(found.case, found.faults, run, None, minimal=False)
        return attrs.evolve(unshrunk, tally=campaign.tally(), seed=q.seed)
    minimal = least(q.subject, q.events, campaign.kinds, found, derive(q.seed, "values"))
    case = q.subject.on(minimal.stream)
    run = with_state_copied(case.run(minimal.faults))
    label = "across keys" if minimal.across else label_of(case, run)
    verdict = violated(case, minimal.faults, run, label)
    # What `events(…)` and `lifecycle(…)` allow is a stream by itself: the one that was found says nothing more.
    whole = None if parts_of(q.events) or dependent_of(q.events) else found.case.model.stream.events
    return attrs.evolve(
        verdict,
        found=whole,
        found_faults=() if whole is None else minimal.found_faults,
        is_part=minimal.is_part,
        fewer=minimal.fewer,
        also=tuple(kind.__name__ for kind in minimal.also),
        tally=campaign.tally(),
        seed=q.seed,
    )
