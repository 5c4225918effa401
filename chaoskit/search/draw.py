"""What Hypothesis does here: draw streams and a salt for each; and draw simpler values for a found failure.

It stays out of the inner loop: one example is one stream, or several that are put together of it, and some fifty
schedules are run on each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import attrs
import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.control import current_build_context
from hypothesis.errors import FailedHealthCheck, Unsatisfiable
from hypothesis.strategies import SearchStrategy

from chaoskit.strategies.dependent import dependent_of
from chaoskit.strategies.streams import Parts, parts_of
from chaoskit.values.errors import StreamError, UsageError
from chaoskit.values.event import Stream

SOME_VALUES = 12

VALUE_EXAMPLES = 2000
"""Streams that are drawn to find one that fails with the same faults, before its values are shrunk."""

FEWER_EXAMPLES = 300
"""Streams of fewer events that are drawn of what is minimal already, but for those."""

_QUIET = [
    # They judge a test by its examples, and here an example is fifty runs of the user's.
    HealthCheck.too_slow,
    HealthCheck.data_too_large,
    HealthCheck.large_base_example,
    HealthCheck.nested_given,
    HealthCheck.differing_executors,
    HealthCheck.function_scoped_fixture,
]


class _Fails(Exception):
    """A failure for Hypothesis: this candidate is one, and a simpler one is wanted."""


class _Enough(BaseException):
    """Ends a run of Hypothesis at once. It is no Exception, which Hypothesis would take for a failure of the test and
    run the example again."""


class _Interrupted(BaseException):
    """Carries what is to end the test, such as a timeout around it, past Hypothesis, which would take it for a failure
    and run the example again."""

    def __init__(self, outer: BaseException) -> None:
        super().__init__(outer)
        self.outer = outer


def draw_streams(
    events: SearchStrategy[Any],
    take: Callable[[Stream, int], bool],
    *,
    streams: int,
    seed: int,
    digest: bytes | None,
) -> None:
    """Give up to `streams` streams, each with a salt, to `take` until it answers True.

    With a `digest` (the node id of the test) the profile's database is used under a key of its own.
    """
    settings = hypothesis.settings(
        max_examples=streams,
        # No shrinking and no explaining: the failure is made minimal by moves of our own, over faults as well.
        phases=(Phase.reuse, Phase.generate),
        suppress_health_check=_QUIET,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
        database=None if digest is None else _profile().database,
    )
    stopped = False

    def one_stream(stream: Any, salt: int) -> None:
        nonlocal stopped
        if stopped or take(Stream.of(stream), salt):
            stopped = True
            raise _Enough

    test = settings(hypothesis.given(stream=events, salt=st.integers(0, 2**64 - 1))(one_stream))
    _run(test, seed, digest or b"")


def shares_parts() -> bool:
    """Whether the keys or values that are drawn just now hang together by `st.shared`, as those of `st.uuids()` do, of
    which a stream has none twice. Hypothesis has no public way to ask."""
    shared = getattr(current_build_context().data, "_shared_strategy_draws", {})
    return any(key != "hypothesis.regex.group_cache" for key in shared)  # which is no part of a value


def some_values(parts: Parts, seed: int) -> list[Any]:
    """A few values that the strategy draws; none where values of different streams do not go together."""
    found: list[Any] = []

    def one_choice(values: tuple[Any, ...]) -> None:
        found[:] = [] if shares_parts() else values

    settings = hypothesis.settings(
        max_examples=2,  # of which the first is the simplest
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
        deadline=None,
        derandomize=False,
        database=None,
        verbosity=Verbosity.quiet,
    )
    with suppress(UsageError):  # what is hard to draw a dozen times
        _run(settings(hypothesis.given(values=st.tuples(*[parts.values] * SOME_VALUES))(one_choice)), seed)
    return found


def simpler_values(
    events: SearchStrategy[Any], stream: Stream, places: list[int], fails: Callable[[Stream], bool], seed: int
) -> Stream | None:
    """The simplest values with which `stream` still fails; None if none were found.

    `places` are the positions of its events in the stream that was drawn, for strategies of which no part can be
    drawn by itself.
    """
    parts = parts_of(events) or dependent_of(events)
    candidates = parts.alike(stream) if parts else _same_places(events, stream, places)
    return _simplest(candidates, fails, seed)


def simplest_stream(
    events: SearchStrategy[Any], most: int, fails: Callable[[Stream], bool], seed: int
) -> Stream | None:
    """The simplest of the strategy's own streams that fails, of up to `most` events where it is known what they are
    made of; None if none was found."""
    if dependent := dependent_of(events):
        return _simplest(dependent.few(most), fails, seed, FEWER_EXAMPLES)
    parts = parts_of(events)
    return _simplest(parts.few(most) if parts else events.map(Stream.of), fails, seed)


def _simplest(
    candidates: SearchStrategy[Stream], fails: Callable[[Stream], bool], seed: int, examples: int = VALUE_EXAMPLES
) -> Stream | None:
    last: list[Stream] = []
    settings = hypothesis.settings(
        max_examples=examples,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        deadline=None,
        derandomize=False,
        database=None,
        report_multiple_bugs=False,
        print_blob=False,
        verbosity=Verbosity.quiet,
    )

    def one_candidate(candidate: Stream) -> None:
        try:
            failed = fails(candidate)
        except Exception:
            raise
        except BaseException as outer:
            raise _Interrupted(outer) from outer
        if failed:
            last[:] = [candidate]
            raise _Fails

    _run(settings(hypothesis.given(candidate=candidates)(one_candidate)), seed)
    return last[0] if last else None


@contextmanager
def _without_local_constants() -> Iterator[None]:
    """Hypothesis now and then draws a constant that it read in the modules which are imported just then. The same seed
    would give other streams under xdist, or beside other tests; there is no public setting for it."""
    from hypothesis.internal.conjecture import providers

    def none_of(found: Callable[[], Any]) -> Callable[[], Any]:
        # Where it is known without a call, which parses every local module that is imported.
        there = getattr(providers, "_local_constants", None)
        return lambda: type(found() if there is None else there)()

    names: dict[str, Callable[[Any], Any]] = {
        "_get_local_constants": none_of,
        "CONSTANTS_CACHE": lambda found: type(found)(1024),
    }
    # Not public: where a version of Hypothesis has not got them, it draws as it likes, which is better than to fail.
    saved = {name: getattr(providers, name) for name in names if hasattr(providers, name)}
    for name, found in saved.items():
        setattr(providers, name, names[name](found))
    try:
        yield
    finally:
        for name, found in saved.items():
            setattr(providers, name, found)


def _profile() -> Any:
    return hypothesis.settings.default


def _run(test: Callable[[], None], seed: int, digest: bytes = b"") -> None:
    # Not `@seed`, which switches the database off, too.
    test._hypothesis_internal_use_seed = seed  # type: ignore[attr-defined]
    # All tests would share the key of our function else, which is made of its source each time, and be shown each
    # other's streams.
    test._hypothesis_internal_database_key = b"chaoskit." + digest  # type: ignore[attr-defined]
    try:
        with _without_local_constants():
            test()
    except (_Fails, _Enough):
        return
    except _Interrupted as interrupted:
        raise interrupted.outer from None
    except (Unsatisfiable, FailedHealthCheck) as error:
        raise UsageError(
            f"the events strategy gave no stream, or filters out nearly all of them: {str(error).splitlines()[0]}"
        ) from error


@st.composite
def _same_places(draw: st.DrawFn, events: SearchStrategy[Any], stream: Stream, places: list[int]) -> Stream:
    """A whole stream, cut down to the places of the events that are left."""
    whole = Stream.of(draw(events))
    hypothesis.assume(len(whole) > max(places))
    cut = whole.keep(places)
    renamed = (attrs.evolve(event, id=old.id) for event, old in zip(cut.events, stream.events, strict=True))
    candidate = Stream(tuple(renamed))
    hypothesis.assume([event.seq for event in candidate] == [event.seq for event in stream])
    return candidate


def strategy_of(events: object) -> SearchStrategy[Any] | None:
    """`events` if it is a strategy; None if it is a literal list. Raises StreamError for anything else."""
    if isinstance(events, SearchStrategy):
        return events
    if isinstance(events, (list, tuple, Stream)):
        return None
    raise StreamError(
        f"events={events!r}: a strategy such as chaoskit.strategies.events(values, keys), or one literal list of "
        "Events, is needed"
    )
