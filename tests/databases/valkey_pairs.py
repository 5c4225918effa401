"""Known mistakes inside a handler over a real Valkey, each with its right twin."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from redis.exceptions import LockError, WatchError

from chaoskit import Message

Handle = Callable[[Message], None]

TTL = 0.005
"""Seconds, of the server's clock: it is over before anybody is taken for one that waits for a lock."""


def rows(client: Any) -> dict[str, Any]:
    """All that is there."""
    payments = [*client.lrange("payments", 0, -1), *(key.partition(":")[2] for key in client.keys("payment:*"))]
    return {
        "balances": client.hgetall("balances"),
        "payments": sorted(payments),
        "orders": client.hgetall("orders"),
        "outbox": sorted(client.lrange("outbox", 0, -1)),
    }


def reads_before_it_writes(client: Any) -> Handle:
    def handle(message: Message) -> None:
        if client.sismember("seen", message.id):
            return
        amount = int(client.hget("balances", message.key) or 0)
        with client.pipeline(transaction=True) as pipe:
            pipe.hset("balances", message.key, amount + message.value)
            pipe.sadd("seen", message.id)
            pipe.execute()

    return handle


def watches_what_it_reads(client: Any) -> Handle:
    def handle(message: Message) -> None:
        while True:
            with client.pipeline(transaction=True) as pipe, contextlib.suppress(WatchError):
                pipe.watch("seen", "balances")
                if pipe.sismember("seen", message.id):
                    return
                amount = int(pipe.hget("balances", message.key) or 0)
                pipe.multi()
                pipe.hset("balances", message.key, amount + message.value)
                pipe.sadd("seen", message.id)
                pipe.execute()
                return

    return handle


def checks_then_pushes(client: Any) -> Handle:
    def handle(message: Message) -> None:
        if client.lpos("payments", message.id) is None:
            client.rpush("payments", message.id)

    return handle


def set_nx(client: Any) -> Handle:
    def handle(message: Message) -> None:
        if not client.exists(f"payment:{message.id}"):
            client.set(f"payment:{message.id}", message.value, nx=True)

    return handle


def outbox_row_outside(client: Any) -> Handle:
    def handle(message: Message) -> None:
        if client.hsetnx("orders", message.id, message.value):
            client.rpush("outbox", message.id)

    return handle


def outbox_row_inside(client: Any) -> Handle:
    def handle(message: Message) -> None:
        with client.pipeline(transaction=True) as pipe:
            pipe.watch("orders")
            if pipe.hexists("orders", message.id):
                return
            pipe.multi()
            pipe.hset("orders", message.id, message.value)
            pipe.rpush("outbox", message.id)
            pipe.execute()  # which raises where somebody was there first

    return handle


def under_a_lock(client: Any, work: Handle, message: Message) -> None:
    """redis-py's own, of each key; whoever waits for it has it as soon as it runs out."""
    lock = client.lock(f"lock:{message.key}", timeout=TTL, sleep=0.001)
    lock.acquire()
    try:
        work(message)
    finally:
        with contextlib.suppress(LockError):  # it is another's by now
            lock.release()


def lock_without_a_fence(client: Any) -> Handle:
    """Under a lock it may look first and push then, as long as it has the lock."""
    return lambda message: under_a_lock(client, checks_then_pushes(client), message)


FENCED_READ = """
if tonumber(ARGV[2]) < tonumber(redis.call('HGET', 'fences', ARGV[1]) or 0) then return redis.error_reply('late') end
redis.call('HSET', 'fences', ARGV[1], ARGV[2])
return {redis.call('SISMEMBER', 'seen', ARGV[3]), tonumber(redis.call('HGET', 'balances', ARGV[1]) or 0)}
"""
FENCED_WRITE = """
if tonumber(ARGV[2]) < tonumber(redis.call('HGET', 'fences', ARGV[1]) or 0) then return redis.error_reply('late') end
redis.call('HSET', 'fences', ARGV[1], ARGV[2])
redis.call('HSET', 'balances', ARGV[1], ARGV[4])
redis.call('SADD', 'seen', ARGV[3])
return 1
"""


def lock_with_a_fence(client: Any) -> Handle:
    """Each owner has a number, which grows; what comes with a smaller one than was seen is refused."""

    def work(message: Message) -> None:
        token = client.incr("owners")
        done, amount = client.eval(FENCED_READ, 0, message.key, token, message.id)
        if not done:
            client.eval(FENCED_WRITE, 0, message.key, token, message.id, amount + message.value)

    return lambda message: under_a_lock(client, work, message)
