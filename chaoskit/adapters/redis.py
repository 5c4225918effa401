"""`redis.Redis` and `redis.asyncio.Redis` for a consumer group of a stream: `with deliver.consumer(Redis) as r`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from itertools import islice, takewhile
from typing import Any

from chaoskit.adapters.stand_in import StandIn
from chaoskit.execution.consumer import ALL, Source, Stopped
from chaoskit.execution.stopped_task import StoppedTask
from chaoskit.values.event import Message

Entry = tuple[Any, dict[Any, Any]]

CLAIMED = 100
"""What XAUTOCLAIM gives where nobody says how many."""
ASKED = 10
"""So many times a loop that waits for new entries is told that there are none, before it is said to claim nothing."""


class Redis(StandIn):
    """An entry is settled by `xack` alone. What was handed out before comes by `xautoclaim`, where the loop calls it. A
    loop that reads what is its own (id 0) gets it by `xreadgroup`, and so does one that has claimed and no longer does,
    as another consumer's claim would bring it. A loop that does neither never gets it: it stays pending for ever. Where
    another process claims, say `claimed_by_others=True`.

    The fields of an entry are those of a dict, each as text or JSON; of any other value, or with `serializer=`, there
    is one, by the name of `field`. The headers are fields, too. `decode_responses` and `protocol` are as in the client.
    """

    _stands_for = "redis.Redis"
    _stop: type[BaseException] = Stopped

    def __init__(
        self,
        source: Source,
        *,
        field: str = "data",
        decode_responses: bool = False,
        protocol: int = 2,
        claimed_by_others: bool = False,
        **config: Any,
    ) -> None:
        super().__init__(source)
        self._field, self._is_text, self._is_map = field, decode_responses, protocol == 3
        self._given: dict[str, Any] = {}
        self._handed: list[Message] = []
        self._claims = False
        self._gets_pending = claimed_by_others
        """What was handed out before comes with what is new."""
        self._asked = 0

    @staticmethod
    def settles_by_hand(**config: Any) -> bool:
        return True

    # Reading.

    def xreadgroup(
        self,
        groupname: str,
        consumername: str,
        streams: Mapping[Any, Any],
        count: int | None = None,
        block: int | None = None,
        noack: bool = False,
        **options: Any,
    ) -> Any:
        """The next entries of `>`, up to `count`. A process that has just begun has nothing pending: its id 0 gives
        none."""
        is_new = ">" in [_name(id_) for id_ in streams.values()]
        self._gets_pending = self._gets_pending or not is_new
        entries = self._taken(self._fresh(count), count) if is_new else []
        if not entries:
            if is_new and not self._handed:
                self._source.idle(self._stop)
            stream = next(iter(streams))
            empty: list[Any] = [] if is_new else [[self._out(stream), []]]
            return dict(empty) if self._is_map else empty
        stream = next(name for name, id_ in streams.items() if _name(id_) == ">")
        return {self._out(stream): [entries]} if self._is_map else [[self._out(stream), entries]]

    def xautoclaim(
        self,
        name: Any,
        groupname: str,
        consumername: str,
        min_idle_time: int,
        start_id: Any = "0-0",
        count: int | None = None,
        justid: bool = False,
    ) -> list[Any]:
        """The next entries, up to `count`, if they were handed out before."""
        self._claims, self._asked, again = True, 0, self._source.comes_again
        entries = self._taken(takewhile(again, self._peek(count or CLAIMED)), count or CLAIMED)
        return [self._out("0-0"), [entry[0] for entry in entries] if justid else entries, []]

    # Settling.

    def xack(self, name: Any, groupname: str, *ids: Any) -> int:
        """How many of them were pending."""
        found = [self._given.pop(_name(id_), None) for id_ in ids]
        for message in found:
            if message is not None:
                message.ack()
        return sum(message is not None for message in found)

    def xdel(self, name: Any, *ids: Any) -> int:
        """Nothing comes of it: what is deleted stays pending until it is acknowledged."""
        return len(ids)

    def xgroup_create(self, name: Any, groupname: str, *args: Any, **options: Any) -> bool:
        return True

    def close(self) -> None:
        """It has nothing open."""

    # The entry.

    def _fresh(self, count: int | None) -> list[Message]:
        """What `>` gives. What comes again is kept back for a while, so that the loop can claim it."""
        waiting, again = self._peek(count), self._source.comes_again
        if self._gets_pending and not self._claims:
            return waiting
        while waiting and again(waiting[0]):
            if self._asked < ASKED:
                self._asked += 1
                return []
            if self._claims or self._gets_pending:
                return waiting[:1]
            self._source.leaves(waiting[0])
            self._handed = waiting[1:]
            waiting = self._peek(count)
        return list(takewhile(lambda message: not again(message), waiting))

    def _peek(self, count: int | None) -> list[Message]:
        """What the broker has handed over and the loop was not given."""
        if not self._handed:
            self._handed = self._source.take_several(count or ALL)
        return self._handed

    def _taken(self, messages: Iterable[Message], count: int | None) -> list[Entry]:
        taken = list(islice(messages, count))
        self._handed = self._handed[len(taken) :]
        return [self._entry(message) for message in taken]

    def _entry(self, message: Message) -> Entry:
        id_ = message.message_id or str(message.id)
        self._given[id_] = message
        return self._out(id_), {self._out(name): self._out(value) for name, value in self._fields(message).items()}

    def _fields(self, message: Message) -> dict[str, Any]:
        value, headers = message.value, dict(self._source.headers(message))
        if isinstance(value, Mapping) and self._source.serializer is None:
            return {**headers, **{str(name): _written(each) for name, each in value.items()}}
        return {**headers, self._field: self._bytes(message)}

    def _out(self, value: Any) -> Any:
        data = value if isinstance(value, bytes) else str(value).encode()
        return data.decode() if self._is_text else data


class AsyncRedis(StandIn):
    """The same for `redis.asyncio.Redis`: its calls are awaited."""

    _stands_for = "redis.asyncio.Redis"
    settles_by_hand = staticmethod(Redis.settles_by_hand)

    def __init__(self, source: Source, **config: Any) -> None:
        super().__init__(source)
        self._redis = Redis(source, **config)
        self._redis._stop = StoppedTask

    async def xreadgroup(self, groupname: str, consumername: str, streams: Mapping[Any, Any], **options: Any) -> Any:
        answer = self._redis.xreadgroup(groupname, consumername, streams, **options)
        if not answer:
            await asyncio.sleep(0)  # so that a task beside this one can claim
        return answer

    async def xautoclaim(
        self, name: Any, groupname: str, consumername: str, min_idle_time: int, **options: Any
    ) -> list[Any]:
        return self._redis.xautoclaim(name, groupname, consumername, min_idle_time, **options)

    async def xack(self, name: Any, groupname: str, *ids: Any) -> int:
        return self._redis.xack(name, groupname, *ids)

    async def xdel(self, name: Any, *ids: Any) -> int:
        return len(ids)

    async def xgroup_create(self, name: Any, groupname: str, *args: Any, **options: Any) -> bool:
        return True

    async def aclose(self) -> None:
        """It has nothing open."""


def _name(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _written(value: Any) -> str | bytes:
    if isinstance(value, (str, bytes)):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)
