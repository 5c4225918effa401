"""Calls of a library fail that the handler gives to a task, where no line of its own code is around them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import chaoskit
from chaoskit import Event, Fail, Kafka, Message, Scenario

_LIBRARY: dict[str, Any] = {"__name__": "httpx._client"}
exec("async def post(rows, name):\n    rows.append(name)\n", _LIBRARY)
post = _LIBRARY["post"]


async def gathered(rows: list[str]) -> None:
    await asyncio.gather(post(rows, "charge"), post(rows, "mail"))


async def waited_for(rows: list[str]) -> None:
    await asyncio.wait_for(post(rows, "charge"), 5)
    await asyncio.wait_for(post(rows, "mail"), 5)


async def grouped(rows: list[str]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(post(rows, "charge"))
        group.create_task(post(rows, "mail"))


@pytest.mark.parametrize("calls", [gathered, waited_for, grouped])
def test_each_of_them_fails_once_where_the_handler_has_given_it_away(calls: Callable[[list[str]], Any]) -> None:
    async def test(deliver: Any) -> list[str]:
        rows: list[str] = []

        async def handle(message: Message) -> None:
            await calls(rows)

        await deliver(spawn=lambda: handle)
        return rows

    def failed(point: int) -> list[bool]:
        verdict = chaoskit.run(test, Scenario([Event("a", 1)], Kafka(), [Fail("e1", point=point)]))
        assert verdict.schedule is not None
        return [step.raised for step in verdict.schedule]

    assert [failed(point) for point in (1, 2, 3)] == [[True, False], [True, False], [False]]
