"""The moves as code for what a handler keeps its state in."""

from __future__ import annotations

import functools
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Literal

from chaoskit.values.repair import MoveName

Storage = Literal["sql", "redis", "python"]

LIBRARIES: dict[str, Storage] = {
    "sqlite3": "sql", "sqlalchemy": "sql", "sqlmodel": "sql", "psycopg": "sql", "psycopg2": "sql", "asyncpg": "sql",
    "aiosqlite": "sql", "pymysql": "sql", "MySQLdb": "sql", "django": "sql", "peewee": "sql", "tortoise": "sql",
    "redis": "redis", "valkey": "redis", "fakeredis": "redis",
}  # fmt: skip
"""What is imported where a handler is written, and what it tells of where the state lives."""

RECIPES: dict[MoveName, dict[Storage, str]] = {
    "ids": {
        "sql": """\
with transaction:  # the id and the effect: both or neither
    if execute("INSERT INTO handled (id) VALUES (:id) ON CONFLICT DO NOTHING", id=message.id).rowcount:
        handle(message)""",
        "redis": """\
if not redis.sismember("handled", message.id):
    with redis.pipeline(transaction=True) as pipe:  # the id and the effect: both or neither
        handle(message, pipe); pipe.sadd("handled", message.id); pipe.execute()""",
        "python": """\
if message.id not in handled:  # a set that is stored with the state, not in the process
    handle(message)
    handled.add(message.id)""",
    },
    "version": {
        "sql": """\
INSERT INTO profile (id, name, seq) VALUES (:key, :name, :seq)
ON CONFLICT (id) DO UPDATE SET name = :name, seq = :seq
WHERE profile.seq < :seq  -- no row is written: the message is stale""",
        "redis": """\
-- one Lua script, so that nothing comes between
if tonumber(redis.call('HGET', KEYS[1], 'seq') or 0) < tonumber(ARGV[1]) then
    redis.call('HSET', KEYS[1], 'seq', ARGV[1], 'value', ARGV[2]) end""",
        "python": """\
if message.seq > versions.get(message.key, 0):
    handle(message)
    versions[message.key] = message.seq  # stored with the state""",
    },
    "resequence": {
        "sql": """\
execute("INSERT INTO waiting (key, seq, body) VALUES (:key, :seq, :body) ON CONFLICT DO NOTHING", …)
while row := take("DELETE FROM waiting WHERE key = :key AND seq = :next RETURNING body", next=handled(key) + 1):
    handle(row); set_handled(key, row.seq)  # in one transaction with the DELETE""",
        "redis": """\
redis.zadd(f"waiting:{message.key}", {body: message.seq})
while due := redis.zrangebyscore(f"waiting:{message.key}", handled(key) + 1, handled(key) + 1):
    handle(due[0]); redis.zrem(f"waiting:{message.key}", due[0]); set_handled(key, handled(key) + 1)""",
        "python": """\
waiting[message.key, message.seq] = message  # stored, as `handled` is
while due := waiting.pop((message.key, handled.get(message.key, 0) + 1), None):
    handle(due); handled[due.key] = due.seq""",
    },
    "transaction": {
        "sql": """\
with transaction:  # committed once, at the end; no commit, and no call of another system, in between
    handle(message)""",
        "redis": """\
with redis.pipeline(transaction=True) as pipe:  # all commands at once, or none
    handle(message, pipe); pipe.execute()""",
        "python": """\
with store.transaction():  # the effect and the mark: both or neither
    handle(message)""",
    },
    "unique key": {
        "sql": """\
with transaction:  # CREATE TABLE handled (id TEXT PRIMARY KEY)
    if execute("INSERT INTO handled (id) VALUES (:id) ON CONFLICT DO NOTHING", id=message.id).rowcount:
        handle(message)  # in the same transaction""",
        "redis": """\
-- one Lua script: the id and the effect, both or neither
if redis.call('SADD', 'handled', ARGV[1]) == 1 then redis.call('HINCRBY', KEYS[1], ARGV[2], ARGV[3]) end""",
        "python": """\
with store.transaction():
    if store.insert_id(message.id):  # under a unique key: refused the second time
        handle(message)""",
    },
}

MOST_DEEP = 3
"""How far the user's own modules are followed from the test to where the state is."""


def recipe(move: MoveName, storage: Storage) -> str:
    """A few lines that show the move; empty for one that is no code of the handler's."""
    return RECIPES.get(move, {}).get(storage, "")


def storage_of(test: Any) -> Storage:
    """Where the state of this test's handler lives, by what its module and those that it imports of the user's own
    import: a database that speaks SQL, Redis, or what is unknown, which is shown as plain Python."""
    while isinstance(test, functools.partial):
        test = test.func
    module = sys.modules.get(getattr(inspect.unwrap(test), "__module__", "") or "")
    found = {LIBRARIES[name] for name in _imported(module, MOST_DEEP, set()) if name in LIBRARIES}
    return "sql" if "sql" in found else "redis" if "redis" in found else "python"


def _imported(module: ModuleType | None, deep: int, seen: set[str]) -> Iterator[str]:
    """The top-level names of the modules from which this one, and the user's own that it imports, have something."""
    if module is None or deep == 0 or module.__name__ in seen:
        return
    seen.add(module.__name__)
    # A list, as looking at a lazy value may import something into the module.
    for value in list(vars(module).values()):
        name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", None)
        # Some objects, such as mocks, have every attribute.
        if not isinstance(name, str):
            continue
        yield name.partition(".")[0]
        other = sys.modules.get(name)
        if other is not None and _is_users(other):
            yield from _imported(other, deep - 1, seen)


def _is_users(module: ModuleType) -> bool:
    """Neither the standard library's, nor installed, nor ours."""
    file = getattr(module, "__file__", None)
    if not file or module.__name__.partition(".")[0] == "chaoskit":
        return False
    paths = sysconfig.get_paths()
    return not any(file.startswith(paths[place]) for place in ("stdlib", "platstdlib", "purelib", "platlib"))
