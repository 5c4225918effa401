"""What each order costs on one stream, as data and as a few lines of text that any terminal and log can show."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import attrs

from chaoskit.brokers.base import Settings, as_written
from chaoskit.throughput.lanes import Order
from chaoskit.values.texts import in_line, printed


@attrs.frozen
class AtConsumers:
    """What so many consumers do, each of which handles one message at a time.

    `throughput`: messages a second while there is always a backlog. `busy`: the share of the consumers' time that they
    spend in the handler then, 0 to 1. `wait_ms`: where arrivals were asked for, the mean time in milliseconds from a
    message's arrival to the beginning of its handler; None where more arrives than is handled, so that it grows for
    ever.
    """

    consumers: int
    throughput: float
    busy: float
    wait_ms: float | None = None


@attrs.frozen
class OrderChoice:
    """One order on one stream: "total", "per_key" or "unordered".

    `unit` is the broker's word for what is handled one message at a time: a partition, a message group, the whole
    queue. `lanes`: how many of these the stream has, which is how many messages can run at once at most; None where no
    message waits for another one. `hottest_share`: of all messages, those in the fullest of them, 0 to 1. `peak` and
    `average`: messages under way at once while a backlog is worked off by as many consumers as can help; None where
    every other consumer helps. `points`: what 1, 2, 3, … consumers do. `knee`: the smallest number of consumers beyond
    which no other number has 5 % more throughput, where adding consumers stops helping; None where it is not among
    those that were looked at. `why_not`: why the broker does not keep this order under its settings; then there are no
    `points`. `takes`: what the application has to add for it.
    """

    order: Order
    unit: str
    lanes: int | None = None
    hottest_share: float = 0
    peak: int | None = None
    average: float | None = None
    points: tuple[AtConsumers, ...] = ()
    knee: int | None = None
    why_not: str = ""
    takes: str = ""

    def at(self, consumers: int) -> AtConsumers:
        """What so many consumers do. Raises IndexError where so many were not looked at, or the broker does not keep
        this order."""
        if not 1 <= consumers <= len(self.points):
            raise IndexError(f"{consumers} consumers: 1 to {len(self.points)} were looked at")
        return self.points[consumers - 1]


@attrs.frozen
class OrderingCost:
    """What total order, order per key and no order cost on one stream: print it, or read its fields.

    `messages`: those of the stream; `keys`: how many keys they have, `keyless`: how many have none.
    `hottest_key` has `hottest_share` of all messages, 0 to 1; of several it is the one that came first, and None where
    nothing has a key. `arrivals_per_second`: what was asked for.
    """

    broker: Settings
    handler_ms: float
    messages: int
    keys: int
    keyless: int
    hottest_key: Any
    hottest_share: float
    total: OrderChoice
    per_key: OrderChoice
    unordered: OrderChoice
    arrivals_per_second: float | None = None

    @property
    def choices(self) -> tuple[OrderChoice, ...]:
        """The three, the strictest first."""
        return self.total, self.per_key, self.unordered

    def __str__(self) -> str:
        return "\n".join(_lines(self))


NAMES: dict[Order, str] = {"total": "total order", "per_key": "order per key", "unordered": "no order"}

BAR = 22
"""The longest bar, in letters."""
MOST_OF_KEY = 40


def number(value: float) -> str:
    """Three digits at least, and no more than are known: 3.33, 33.3, 333, 3,333."""
    digits = 2 if value < 10 else 1 if value < 100 else 0
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(share: float) -> str:
    """A share as a person reads it: whole percents, and tenths below ten."""
    return f"{100 * share:.{0 if share >= 0.0995 else 1}f} %"


def shown_consumers(ordered: Sequence[OrderChoice]) -> list[int]:
    """Of the numbers of consumers those that a plot has room for: the knees, and 1, 2, 3, 4, 6, 8, 12, 16, … where
    something changes, and the last."""
    most = len(ordered[0].points)
    some = {n for power in range(most.bit_length()) for n in (1 << power, 3 << power) if n < most}
    rows: list[int] = []
    for n in sorted(some | {choice.knee for choice in ordered if choice.knee is not None and choice.knee < most}):
        if not rows or any(_shown(choice, n) != _shown(choice, rows[-1]) for choice in ordered):
            rows.append(n)
    return [*rows, most]


def _shown(choice: OrderChoice, consumers: int) -> str:
    return number(choice.at(consumers).throughput)


def summary(cost: OrderingCost) -> list[str]:
    """What the stream is, and which broker keeps its order: sentences without a full stop."""
    at = cost.broker.serialization
    lines = [
        f"{as_written(cost.broker)}, a handler of {number(cost.handler_ms)} ms",
        f"{_count(cost.messages, 'message')} of {_count(cost.keys, 'key')}{_keyless(cost)}{_hottest(cost)}",
        f"{at.name}: {at.fact}",
    ]
    return [*lines, at.quota] if at.quota else lines


def choice_text(choice: OrderChoice) -> str:
    """What an order allows, in a sentence without a full stop."""
    if choice.why_not:
        return f"not kept: {choice.why_not}"
    best = choice.points[-1] if choice.knee is None else choice.at(choice.knee)
    more = "more with more" if choice.knee is None else "no more with more"
    return f"{_at_once(choice)}: {number(best.throughput)}/s with {_count(best.consumers, 'consumer')}, and {more}"


def _at_once(choice: OrderChoice) -> str:
    if choice.peak is None or choice.average is None:
        return "as many at once as there are consumers"
    if choice.peak == 1:
        return "one message at a time"
    share = f" ({percent(choice.hottest_share)} of all go through one {choice.unit})" if choice.lanes else ""
    return f"up to {choice.peak:,} at once, {number(choice.average)} on average{share}"


def _count(n: int, what: str) -> str:
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}s"


def _keyless(cost: OrderingCost) -> str:
    return f", {cost.keyless:,} of them without one" if cost.keyless else ""


def _hottest(cost: OrderingCost) -> str:
    if not cost.keys:
        return ""
    key = printed(cost.hottest_key).encode("ascii", "backslashreplace").decode()
    short = key if len(key) <= MOST_OF_KEY else f"{key[: MOST_OF_KEY - 3]}..."
    return f"; the hottest, {in_line(short)}, has {percent(cost.hottest_share)}"


def _lines(cost: OrderingCost) -> Iterator[str]:
    """ASCII only, at most 100 columns where the key and the settings are not very long."""
    for line in summary(cost):
        yield from _wrapped("", line)
    yield ""
    for choice in cost.choices:
        yield from _wrapped(f"{NAMES[choice.order]:<15}", choice_text(choice))
        if choice.takes:
            yield from _wrapped(" " * 15, f"it takes {choice.takes}")
    ordered = [choice for choice in cost.choices if not choice.why_not]
    rows = shown_consumers(ordered)
    yield ""
    yield from _plot(ordered, rows)
    if cost.arrivals_per_second is not None:
        yield ""
        yield f"mean wait for a consumer in ms, where {number(cost.arrivals_per_second)} messages/s arrive"
        yield from _waits(ordered, rows)


def _wrapped(head: str, text: str, width: int = 100) -> Iterator[str]:
    line = head
    for word in text.split():
        if len(line) + len(word) >= width and line.strip():
            yield line.rstrip()
            line = " " * len(head)
        line += f"{word} "
    yield line.rstrip()


def _plot(ordered: Sequence[OrderChoice], rows: Iterable[int]) -> Iterator[str]:
    """A row for each number of consumers, a bar for each order."""
    most = max(point.throughput for choice in ordered for point in choice.points)
    yield from _row("messages/s", [NAMES[choice.order] for choice in ordered])
    for consumers in rows:
        points = [choice.at(consumers).throughput for choice in ordered]
        yield from _row(
            _count(consumers, "consumer"),
            [f"{'#' * max(1, round(BAR * each / most))} {number(each)}" for each in points],
        )


def _waits(ordered: Sequence[OrderChoice], rows: Iterable[int]) -> Iterator[str]:
    for consumers in rows:
        waits = [choice.at(consumers).wait_ms for choice in ordered]
        yield from _row(
            _count(consumers, "consumer"), ["grows for ever" if wait is None else number(wait) for wait in waits]
        )


def _row(head: str, cells: Sequence[str]) -> Iterator[str]:
    yield f"{head:>13}  {''.join(f'{cell:<{BAR + 7}}' for cell in cells)}".rstrip()
