"""What the settings of all brokers have in common, and how keys find their partitions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import attrs

from chaoskit.brokers.fields import assignments
from chaoskit.brokers.frameworks import FRAMEWORKS
from chaoskit.brokers.impossible import Impossible
from chaoskit.brokers.overlaps import Ways, how_to_rule_out, why_no_overlap
from chaoskit.brokers.sentences import Cause, sentences
from chaoskit.brokers.serialization import Serialization
from chaoskit.brokers.timing import timing_of
from chaoskit.brokers.wording import NOTHING_PASSES, UNASKED, Words
from chaoskit.models.handover import Handover
from chaoskit.models.log.model import LogModel, LogSettings
from chaoskit.models.log.policy import Reading
from chaoskit.models.partitioners import Partitioner
from chaoskit.models.producer import Home
from chaoskit.models.queue.model import QueueModel, QueueSettings, handover_of
from chaoskit.models.queue.policy import LeasePolicy
from chaoskit.models.stored import Growth
from chaoskit.traces import LogRules, Permitted, QueueRules, judge_log, judge_queue, parse
from chaoskit.values.errors import StreamError
from chaoskit.values.event import Event, Stream
from chaoskit.values.faults import KINDS, Crash, Fail, FaultKind, Gather, Overlap, Overtake, Redeliver, Rehash, Zombie
from chaoskit.values.schedule import Schedule, Step
from chaoskit.values.timing import USUAL, Timing

ONE_BY_ONE = Impossible("its handler gets one message at a time", hint="no setting makes it possible")


@attrs.frozen
class Settings:
    """The settings of one system. A broker's file fills in the rest, and reads like a fact sheet.

    `guarantees`: what the broker promises about order and repetition, a sentence each. `sources`: where its facts are
    from. `usual_timing`: how long things take there, where no setting says it and it is not as with most.
    """

    guarantees: ClassVar[tuple[str, ...]]
    usual_timing: ClassVar[Timing] = USUAL
    sources: ClassVar[tuple[str, ...]]

    @property
    def words(self) -> Words:
        """How it says what happened."""
        raise NotImplementedError

    @property
    def serialization(self) -> Serialization:
        """What it handles one message at a time, and so how many consumers can help."""
        raise NotImplementedError

    def stages(self) -> LogSettings | QueueSettings:
        """How it sends, routes, stores, hands out and settles: what the search runs."""
        raise NotImplementedError

    @property
    def timing(self) -> Timing:
        """How long things take: `usual_timing` with what the settings say."""
        return timing_of(self, self.usual_timing)

    def rules(self) -> LogRules | QueueRules:
        """What it can do, as a second reading for `permits`."""
        raise NotImplementedError

    def impossible(self) -> Mapping[FaultKind, Impossible]:
        """The kinds of fault that it cannot make, and which setting would allow them."""
        raise NotImplementedError

    def lossy(self) -> tuple[str, ...]:
        """The names of the settings by which messages are lost without having been refused; none where nothing is."""
        return ()

    def drops(self) -> tuple[str, ...]:
        """The names of the settings by which a message is lost whose attempt failed; none where it is tried again."""
        # A broker that never gives a message again loses it in a crash, too: the same settings are to blame.
        return self.lossy() if self._handing_out().drops_failed else ()

    def _handing_out(self) -> Reading | LeasePolicy:
        """How the model hands out, and what it does with a failed attempt."""
        stages = _stages(self)
        return stages.leasing if isinstance(stages, QueueSettings) else stages.reading

    @property
    def loses(self) -> str:
        """The settings that lose messages as they are written."""
        values = {name: getattr(self, name) for name in (*self.lossy(), *self.drops())}
        return ", ".join(assignments(values))

    def cannot(self) -> Mapping[FaultKind, Impossible]:
        """What is impossible, with the kinds that it makes only where it is asked to."""
        impossible = self.impossible()
        # What a dying process had comes again, or is gone where it was settled first or had its only delivery.
        if Redeliver in impossible and not _is_never_again(self._handing_out()):
            impossible = {Crash: impossible[Redeliver], **impossible}
        if self._handover().most < 2:
            impossible = {Gather: ONE_BY_ONE, **impossible}
        if (why := why_no_overlap(self._handing_out(), impossible)) is not None:
            impossible = {Overlap: why, **impossible}
        return {**_unasked(self), **impossible}

    def _handover(self) -> Handover:
        stages = _stages(self)
        return handover_of(stages) if isinstance(stages, QueueSettings) else stages.handover

    @property
    def partitions_at_first(self) -> int:
        """How many partitions, shards or queues the producer spreads its keys over; 1 where there is one queue."""
        return _stages(self).producer.partitions

    def home(self, key: Any, position: int, partitions: int) -> int:
        """Which of so many partitions the event at this position has, by its key. Raises StreamError for a key that
        cannot be written."""
        return _stages(self).producer.home(key, position, partitions)

    def kinds(self) -> tuple[FaultKind, ...]:
        """The kinds of fault that the broker can make under these settings."""
        impossible = self.cannot()
        return tuple(kind for kind in KINDS if kind not in impossible)

    def why_impossible(self, kind: FaultKind) -> str | None:
        reason = self.cannot().get(kind)
        return None if reason is None else str(reason)  # a user's own class may give a plain sentence

    def model(self, stream: Stream) -> LogModel | QueueModel:
        stages = _stages(self)
        return LogModel(stream, stages) if isinstance(stages, LogSettings) else QueueModel(stream, stages)

    def explain(self, schedule: Schedule, events: Sequence[Event]) -> list[tuple[Cause, str]]:
        return sentences(schedule, events, _words(self), _stages(self).producer.partitions)

    def ruled_out_by(self, kind: FaultKind) -> str:
        # The same words would be wrong under half of the settings of a broker, so the model is asked.
        if kind is Fail:
            return self._what_keeps_order_at_a_failure()
        return ways_without_overlap(self).text if kind is Overlap else self.words.ruled_out_by(kind)

    def _what_keeps_order_at_a_failure(self) -> str:
        """What the model does with a failed attempt decides: it is lost, it is overtaken, or it is not."""
        hands_out = self._handing_out()
        if hands_out.drops_failed:
            return "settings under which what failed is tried again: here it is dropped"
        return self.words.ruled_out_by(Fail) if hands_out.passes_failed else NOTHING_PASSES.ruled_out_by

    @property
    def whole_batch(self) -> str:
        """Which setting brings back only what the handler refused, where its whole batch comes again; else empty."""
        return self.words.whole_batch

    def lane(self, step: Step, key: Any) -> str | None:
        words = _words(self)
        if words.lanes == "consumer":
            return f"{words.lane} {step.consumer}"
        if step.event is None:  # a restart, of which a lane of keys or partitions shows nothing
            return None
        return f"{words.lane} {key}" if words.lanes == "key" else f"{words.lane} {step.partition}"

    def mark(self, step: Step) -> str:
        if step.action == "deliver":  # which nearly all are: to find the words takes the hash of all settings
            return ""
        if (framework := FRAMEWORKS.get(step.given_up_by or "")) is not None and step.action == "skip":
            return framework.mark
        words = _words(self)
        match step.action:
            case "restart":
                return words.restarts.format(consumer=step.consumer)
            case "park":
                return words.dead
            case "put back":
                return words.put_back
            case "skip":
                return "skipped"
            case "take over":
                return f"{words.worker} {step.consumer} takes over"
        return MARKS.get(step.action, "")

    @property
    def promises_no_order(self) -> str:
        return self.words.no_order

    def permits(self, trace: str) -> Permitted:
        """Whether this broker can make the delivery that `trace` writes down, and why not.

        `bool()` of the answer is yes or no; printed, it names the first word that could not be, and the rules that
        refuse it. The notation stands in docs/brokers.md. Raises UsageError for a trace that cannot be read.
        """
        rules = self.rules()
        read = parse(trace)
        return judge_log(rules, read) if isinstance(rules, LogRules) else judge_queue(rules, read)


def _is_never_again(hands_out: Reading | LeasePolicy) -> bool:
    """Whether what a process died at is gone, or a dead letter."""
    return isinstance(hands_out, LeasePolicy) and (hands_out.settles_first or hands_out.most_deliveries == 1)


def _unasked(broker: Settings) -> Mapping[FaultKind, Impossible]:
    """The kinds that this one would make, and is not asked to."""
    asks = {field.metadata.get("allows"): field.name for field in attrs.fields(type(broker))}
    allowed = {kind: {asks[kind]: True} if kind in asks else {} for kind in UNASKED}
    return {
        kind: Impossible(why, allowed[kind])
        for kind, why in UNASKED.items()
        if not (kind in asks and getattr(broker, asks[kind]))
    }


def as_written(broker: Settings) -> str:
    """A broker as one would write it: `Kafka(group="share")`."""
    fields = attrs.fields(type(broker))
    changed = {f.name: value for f in fields if (value := getattr(broker, f.name)) != f.default}
    return f"{type(broker).__name__}({', '.join(assignments(changed))})"


MARKS = {
    "refuse": "refused to the end",
    "lose": "lost",
    "wait": "never delivered",
    "fail": "the attempt fails",
    "die": "the process is killed",
    "begin": "begins, and pauses",
    "go on": "goes on",
}
"""What a step is called, whatever the broker."""


@lru_cache(maxsize=256)
def _stages(broker: Settings) -> LogSettings | QueueSettings:
    """A search makes thousands of models of one broker: its stages, and their caches, are made once."""
    return attrs.evolve(broker.stages(), timing=broker.timing)


@lru_cache(maxsize=256)
def _words(broker: Settings) -> Words:
    """A report asks for them at each step, and some brokers make them of their settings."""
    return broker.words


def key_bytes(broker: Any, key: Any) -> bytes | None:
    """The key as the client writes it: str as UTF-8. Raises StreamError for anything else."""
    if key is None or isinstance(key, bytes):
        return key
    if isinstance(key, str):
        try:
            return key.encode()
        except UnicodeEncodeError as error:
            raise StreamError(f"key {key!r} cannot be sent as UTF-8: {error}") from error
    name, serializes = type(broker).__name__, hasattr(broker, "key_serializer")
    raise StreamError(
        f"key {key!r} is {type(key).__name__}: {name} partitions by bytes. Use str (sent as UTF-8), bytes or None"
        + (f", or say how your producer writes it: {name}(key_serializer=lambda key: …)" if serializes else "")
    )


def routing(
    to_bytes: Callable[[Any], bytes | None],
    hash_: Partitioner,
    partitions: int,
    *,
    grows: bool = True,
    spreads: Callable[[bytes | None], bool] = lambda data: data is None,
) -> tuple[Home, Growth]:
    """How keys find their partitions, and to which counts the topic may grow so that a key moves.

    Where `spreads`, a record has no affinity: they go round robin, so that nothing keeps them in order.
    """

    @lru_cache(maxsize=1 << 12, typed=True)
    def partition(key: Any, count: int) -> int | None:
        data = to_bytes(key)
        return None if spreads(data) else hash_(data or b"", count)

    def home(key: Any, position: int, count: int) -> int:
        found = partition(key, count)
        return position % count if found is None else found

    @lru_cache(maxsize=1 << 12, typed=True)
    def growth(key: Any) -> list[int]:
        """The two least counts that move the key, and twice the count where that moves it."""
        old, doubled = partition(key, partitions), 2 * partitions
        # Beyond twice the count, too: of few partitions hardly any count below it moves the key.
        moving = [n for n in range(partitions + 1, doubled + 8) if partition(key, n) != old]
        return sorted({*moving[:2], *(n for n in moving if n == doubled)}) if grows else []

    return home, growth


def one_queue(key: Any, position: int, count: int) -> int:
    """Everything goes to the same queue."""
    return 0


def ways_without_overlap(broker: Settings) -> Ways:
    """What rules two executions at once out."""
    words = _words(broker)
    rehash = words.ruled_out_by(Rehash) if broker.why_impossible(Rehash) is None else None
    hands_out = broker._handing_out()
    return how_to_rule_out(hands_out, words.ruled_out_by(Zombie), words.ruled_out_by(Overtake), rehash)
