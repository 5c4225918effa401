"""Streams of events that were recorded: a file of real ones, varied."""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from chaoskit.strategies.dependent import by_key, drawn, interleaved, long_first, numbered
from chaoskit.strategies.lifecycles import some_lives
from chaoskit.strategies.models import is_model
from chaoskit.strategies.streams import Valid, checked_sizes
from chaoskit.strategies.ties import as_key, field_of
from chaoskit.values.errors import UsageError
from chaoskit.values.event import Event, Stream
from chaoskit.values.state import same

From = str | Callable[[Any], Any]


def events_from(
    path: str | Path,
    key: From,
    value: From | type | None = None,
    *,
    independent: bool = False,
    min_size: int = 1,
    max_size: int = 12,
    valid: Valid | None = None,
) -> SearchStrategy[list[Event]]:
    """Streams of recorded events: `path` is a file of JSON lines, an event on each. A relative one begins at the
    directory of the file that calls this.

    `key` is a field of what stands on the line ("order_id", "value.order.id") or a function of it; what is neither a
    text nor null becomes its text. `value` is a field, a function, or a class that is made of the fields; left out, it
    is all of the line.

    A stream has some of the keys, from the first event of each on to any, in the order of the file; nothing orders
    events of different keys. So whoever needs an earlier event has it. With `independent=True` any event may be left
    out, and a value may come once more. `valid(events)` guards what must stay possible.

    Raises UsageError, which names the file and the line, for what cannot be read, is no JSON, or has no such field.
    """
    checked_sizes("events_from", min_size, max_size)
    file = Path(path) if Path(path).is_absolute() else _directory_of_the_caller() / path
    recorded = Recording(_lives(file, key, value), independent, min_size, max_size, valid)
    if max(map(len, recorded.lives)) < 1 or sum(map(len, recorded.lives)) < min_size:
        raise UsageError(f"{file}: it has fewer events than min_size={min_size}")
    strategy = recorded.streams()
    # `map` and `filter` make new strategies, which have none: then a part of a stream may be none.
    strategy.chaos_dependent = recorded  # type: ignore[attr-defined]
    return strategy


def _directory_of_the_caller() -> Path:
    """Of the test, so that pytest may be run from anywhere; the current one where there is no file, as at a prompt."""
    name = sys._getframe(2).f_globals.get("__file__")
    return Path(name).parent if isinstance(name, str) else Path.cwd()


def _lives(file: Path, key: From, value: From | type | None) -> tuple[tuple[Event, ...], ...]:
    """The events of each key, in the order of the file."""
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"events_from({str(file)!r}): the file cannot be read: {error}") from error
    pairs = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            held = json.loads(line)
            if isinstance(held, list) and not callable(key):
                raise UsageError("an array; JSON lines are needed, one event on each: `jq -c '.[]'` makes them")
            pairs.append((as_key(_part(key, held)), held if value is None else _part(value, held)))
        except json.JSONDecodeError as error:
            raise UsageError(
                f"{file}, line {number}: this is no JSON: {error.msg} at column {error.colno}; JSON lines are needed, "
                "one event on each"
            ) from error
        except (UsageError, ValueError) as error:  # as a validator says it
            raise UsageError(f"{file}, line {number}: {error}") from error
        except Exception as error:
            raise UsageError(f"{file}, line {number}: {type(error).__name__}: {error}") from error
    if not pairs:
        raise UsageError(f"{file}: it has no events; JSON lines are needed, one event on each")
    return tuple(tuple(life) for life in by_key(numbered(pairs)).values())


def _part(part: From | type, held: Any) -> Any:
    if isinstance(part, str):
        return field_of(part.split("."), held)
    if not isinstance(part, type):
        return part(held)
    if not isinstance(held, Mapping):
        raise UsageError(f"{part.__qualname__} is made of fields, and here is {held!r}")
    return part.model_validate(held) if is_model(part) else part(**held)  # type: ignore[attr-defined]


@attrs.frozen(eq=False)
class Recording:
    """The events of each key, and what may become of them."""

    lives: tuple[tuple[Event, ...], ...]
    independent: bool
    min_size: int
    max_size: int
    valid: Valid | None

    def streams(self) -> SearchStrategy[list[Event]]:
        """Long first, as those of `events`."""
        return self._of_sizes(long_first(self.min_size, self.max_size)).map(lambda stream: list(stream.events))

    def few(self, most: int) -> SearchStrategy[Stream]:
        return self._of_sizes(st.integers(min(self.min_size, most), most))

    def _of_sizes(self, sizes: SearchStrategy[int]) -> SearchStrategy[Stream]:
        return drawn(self._pairs, sizes, self.min_size, self._is_valid)

    def _pairs(self, draw: st.DrawFn, size: int) -> Iterator[tuple[Hashable, Any]]:
        # Few keys: most bugs need several events of one.
        count = draw(st.integers(1, min(3, len(self.lives))))
        numbers = draw(st.lists(st.integers(0, len(self.lives) - 1), min_size=count, max_size=count, unique=True))
        places = dict.fromkeys(numbers, 0)
        for _ in range(size):
            left = [number for number in numbers if places[number] < len(self.lives[number])]
            if not left:
                return
            number = draw(st.sampled_from(left))
            if self.independent:
                # 0 is the next one; less is the one before once more, and more leaves some out.
                step = draw(st.integers(0, 3))
                places[number] += (0, -1, 1, 2)[step] if places[number] else max(0, step - 1)
                places[number] = min(places[number], len(self.lives[number]) - 1)
            event = self.lives[number][places[number]]
            places[number] += 1
            yield event.key, event.value

    def _is_valid(self, stream: Stream) -> bool:
        return self.valid is None or bool(self.valid(list(stream.events)))

    def allows(self, stream: Stream) -> bool:
        known = {life[0].key: life for life in self.lives}
        return self._is_valid(stream) and all(
            self._may_be(events, known.get(key, ())) for key, events in by_key(stream).items()
        )

    def _may_be(self, events: Sequence[Event], life: Sequence[Event]) -> bool:
        """By their values and not by identity: those that were read from a repro file are equal."""
        if not self.independent:
            return len(events) <= len(life) and all(
                same(e.value, known.value) for e, known in zip(events, life, strict=False)
            )
        place = 0
        for event in events:
            place = next((n for n in range(place, len(life)) if same(event.value, life[n].value)), len(life))
            if place == len(life):
                return False
        return True

    def learn(self, stream: Stream) -> None:
        """What it allows is known from the file."""

    def alike(self, stream: Stream) -> SearchStrategy[Stream]:
        """There are no other values than those that were recorded."""
        return st.just(stream)

    def keep(self, stream: Stream) -> None:
        """The file holds all that there is."""

    def another(self, chance: random.Random) -> Stream:
        if not self.independent:
            return some_lives(self.lives, chance, 3, self.max_size)
        chosen = chance.sample(self.lives, min(len(self.lives), chance.choice((1, 2, 2, 3))))
        share = max(1, self.max_size // len(chosen))
        parts = []
        for life in chosen:
            places = sorted(chance.choices(range(len(life)), k=min(share, len(life), chance.randint(1, share))))
            parts.append([life[place] for place in places])
        return interleaved(parts, chance)
