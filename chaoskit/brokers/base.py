"""What every broker's settings have in common, and how a broker is told what it must know of itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, ClassVar

import attrs

from chaoskit.brokers.wording import NOTHING_PASSES, Cause, Words, sentences
from chaoskit.models.log.model import LogModel, LogSettings
from chaoskit.models.log.policy import Reading
from chaoskit.models.partitioners import Partitioner
from chaoskit.models.producer import Home
from chaoskit.models.queue.model import QueueModel, QueueSettings
from chaoskit.models.queue.policy import Leasing
from chaoskit.models.stored import Growth
from chaoskit.traces import LogRules, Permitted, QueueRules, judge_log, judge_queue, parse
from chaoskit.values.errors import StreamError, UsageError, did_you_mean
from chaoskit.values.event import Event, Stream
from chaoskit.values.faults import KINDS, Duplicate, Fail, FaultKind, Redeliver, Zombie
from chaoskit.values.schedule import Schedule, Step

Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def _at_least(least: int) -> Callable[[Any, attrs.Attribute[Any], Any], None]:
    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if type(value) is not int or value < least:
            name = f"{type(instance).__name__}({attribute.name}={value!r})"
            raise UsageError(f"{name}: a whole number, {least} or more, is needed")

    return check


positive, not_negative = _at_least(1), _at_least(0)


def boolean(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise UsageError(f"{type(instance).__name__}({attribute.name}={value!r}): True or False is needed")


def text(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, str) or not value:
        raise UsageError(f"{type(instance).__name__}({attribute.name}={value!r}): a name is needed")


def one_of(*known: str) -> Validator:
    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in known:
            hint = did_you_mean(str(value), known)
            raise UsageError(f"{type(instance).__name__}({attribute.name}={value!r}): not known{hint}")

    return check


def whole(default: int) -> int:
    """A setting that is a whole number, 1 or more."""
    return attrs.field(default=default, validator=positive)


def whole_or_none(default: int | None = None) -> int | None:
    """A setting that is a whole number, 1 or more, or None."""
    return attrs.field(default=default, validator=attrs.validators.optional(positive))


def flag(default: bool = False) -> bool:
    """A setting that is True or False."""
    return attrs.field(default=default, validator=boolean)


def named(default: str) -> str:
    """A name, as messages carry it."""
    return attrs.field(default=default, validator=text)


def choice(default: str, *others: str) -> Any:
    """A setting that is one of these words."""
    return attrs.field(default=default, validator=one_of(default, *others))


NO_GROWTH = "the number of partitions never changes (growth=False); growth=True makes it possible"


def without_effect(broker: Settings, settings: Iterable[str], where: str) -> None:
    """Raise UsageError where one of these settings was given another value, although `where` nothing reads it."""
    for name in settings:
        field = attrs.fields_dict(type(broker))[name]
        value = getattr(broker, name)
        if value != field.default:
            raise UsageError(f"{type(broker).__name__}({name}={value!r}): {name} has no effect with {where}")


def delivered_once(limit: int | None, setting: str) -> dict[FaultKind, str]:
    """What is impossible where the limit of deliveries is 1: whatever needs a second one."""
    why = f"{setting}=1 gives up what was delivered once; {setting}=2 makes it possible"
    return dict.fromkeys((Duplicate, Redeliver, Zombie), why) if limit == 1 else {}


@attrs.frozen
class Settings:
    """The settings of one system. A broker's file fills in the rest, and reads like a fact sheet.

    `guarantees`: what the broker promises about order and repetition, a sentence each. `sources`: where its facts are
    from. `words`: how it tells what happened.
    """

    guarantees: ClassVar[tuple[str, ...]]
    sources: ClassVar[tuple[str, ...]]
    words: ClassVar[Words]

    def stages(self) -> LogSettings | QueueSettings:
        """How it sends, routes, stores, hands out and settles: what the search runs."""
        raise NotImplementedError

    def rules(self) -> LogRules | QueueRules:
        """What it can do, as a second reading for `permits`."""
        raise NotImplementedError

    def impossible(self) -> dict[FaultKind, str]:
        """The kinds of fault that it cannot make, and which setting would allow them."""
        raise NotImplementedError

    def lossy(self) -> tuple[str, ...]:
        """The names of the settings by which messages are lost without having been refused; none where nothing is."""
        return ()

    def drops(self) -> tuple[str, ...]:
        """The names of the settings by which a message is lost whose attempt failed; none where it is tried again."""
        return self.lossy() if self._handing_out().drops_failed else ()

    def _handing_out(self) -> Reading | Leasing:
        """How the model hands out, and what it does with a failed attempt."""
        stages = _stages(self)
        return stages.leasing if isinstance(stages, QueueSettings) else stages.reading

    @property
    def loses(self) -> str:
        """The settings that lose messages as they are written."""
        values = {name: getattr(self, name) for name in (*self.lossy(), *self.drops())}
        return ", ".join(f'{k}="{v}"' if isinstance(v, str) else f"{k}={v!r}" for k, v in values.items())

    def kinds(self) -> tuple[FaultKind, ...]:
        """The kinds of fault that the broker can make under these settings."""
        impossible = self.impossible()
        return tuple(kind for kind in KINDS if kind not in impossible)

    def why_impossible(self, kind: FaultKind) -> str | None:
        return self.impossible().get(kind)

    def model(self, stream: Stream) -> LogModel | QueueModel:
        stages = _stages(self)
        return LogModel(stream, stages) if isinstance(stages, LogSettings) else QueueModel(stream, stages)

    def explain(self, schedule: Schedule, events: Sequence[Event]) -> list[tuple[Cause, str]]:
        return sentences(schedule, events, _words(self), _stages(self).producer.partitions)

    def ruled_out_by(self, kind: FaultKind) -> str:
        if kind is Fail:
            return self._what_keeps_order_at_a_failure()
        return self.words.of(kind).ruled_out_by

    def _what_keeps_order_at_a_failure(self) -> str:
        """What the model does with a failed attempt decides: it is lost, it is overtaken, or it is not."""
        hands_out = self._handing_out()
        if hands_out.drops_failed:
            return "settings under which what failed is tried again: here it is dropped"
        return (self.words.of(Fail) if hands_out.passes_failed else NOTHING_PASSES).ruled_out_by

    @property
    def whole_batch(self) -> str:
        """Which setting brings back only what the handler refused, where its whole batch comes again; else empty."""
        return self.words.whole_batch

    def lane(self, step: Step, key: Any) -> str | None:
        words = _words(self)
        if words.lanes == "consumer":
            return f"{words.lane} {step.consumer}"
        if step.event is None:
            return None
        return f"{words.lane} {key}" if words.lanes == "key" else f"{words.lane} {step.partition}"

    def mark(self, step: Step) -> str:
        words = _words(self)
        match step.action:
            case "restart":
                return words.restarts.format(consumer=step.consumer)
            case "park":
                return words.dead
            case "put back":
                return words.put_back
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


MARKS = {
    "skip": "skipped",
    "refuse": "refused to the end",
    "lose": "lost",
    "wait": "never delivered",
    "fail": "the attempt fails",
}
"""What a step is called, whatever the broker."""


@lru_cache(maxsize=256)
def _stages(broker: Settings) -> LogSettings | QueueSettings:
    """A search makes thousands of models of one broker: its stages, and their caches, are made once."""
    return broker.stages()


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
        moving = [n for n in range(partitions + 1, doubled + 8) if partition(key, n) != old]
        return sorted({*moving[:2], *(n for n in moving if n == doubled)}) if grows else []

    return home, growth


def one_queue(key: Any, position: int, count: int) -> int:
    """Everything goes to the same queue."""
    return 0
