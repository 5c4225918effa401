"""`def` endpoints of FastAPI, which its server runs in a pool of threads, under deaths, overlaps and failed calls."""

from __future__ import annotations

import asyncio
import importlib
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaoskit import Crash, Event, Fail, Message, Overlap, Webhook, check
from chaoskit.adapters import webhooks

pytest.importorskip("fastapi", reason="fastapi is missing")

BANK = """
import contextvars, sqlite3, threading, asyncio
import anyio.from_thread, anyio.to_thread
import fastapi

PATH = ""
threads, ends, seen = set(), [], contextvars.ContextVar("seen", default=None)
app = fastapi.FastAPI()

def connection():
    db = sqlite3.connect(PATH, isolation_level=None)
    try:
        yield db
    finally:
        ends.append("closed")
        db.close()

def raw(request: fastapi.Request):
    seen.set("in the pool")
    return anyio.from_thread.run(request.json)

@app.post("/webhook")
def hook(payment=fastapi.Depends(raw), db=fastapi.Depends(connection)):
    BOOK
    return {}
"""
AS_IN_A_POOL = """
    threads.add(threading.get_ident())
    assert seen.get() is None
    asyncio.run(asyncio.sleep(0))
    assert anyio.from_thread.run_sync(asyncio.get_running_loop).is_running()
"""
ONCE = """
    if not db.execute("select 1 from booked where number = ?", (payment["number"],)).fetchone():
        db.execute("insert into booked values (?)", (payment["number"],))
        db.execute("update account set balance = balance + ?", (payment["amount"],))
"""
ONCE_AT_ONCE = """
    db.execute("begin immediate")
    with db:
        if not db.execute("select 1 from booked where number = ?", (payment["number"],)).fetchone():
            db.execute("insert into booked values (?)", (payment["number"],))
            db.execute("update account set balance = balance + ?", (payment["amount"],))
"""
PAYMENTS = [Event("ann", {"number": number, "amount": 10**number}) for number in range(2)]


@pytest.fixture
def test_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], tuple[Any, Any]]]:
    """The module of an endpoint, and a test of it: a file, since the code of tests is not stepped into."""
    monkeypatch.syspath_prepend(tmp_path)

    def make(book: str) -> tuple[Any, Any]:
        (tmp_path / "def_bank.py").write_text(BANK.replace("    BOOK\n", book), encoding="utf-8")
        importlib.invalidate_caches()
        bank = importlib.import_module("def_bank")
        bank.PATH = str(tmp_path / "bank.db")
        with bank.sqlite3.connect(bank.PATH) as db:
            db.execute("create table account (balance int)")
            db.execute("create table booked (number int)")

        async def test(deliver: Any) -> Any:
            with bank.sqlite3.connect(bank.PATH) as db:
                db.executescript("delete from account; delete from booked; insert into account values (0)")
            await deliver(spawn=lambda: webhooks.asgi(bank.app))
            with bank.sqlite3.connect(bank.PATH) as db:
                return db.execute("select balance from account").fetchone()[0]

        return bank, test

    yield make
    sys.modules.pop("def_bank", None)


@pytest.mark.parametrize("kind", [Overlap, Crash, Fail])
@pytest.mark.parametrize(("book", "status"), [(ONCE, "violated"), (ONCE_AT_ONCE, "held")], ids=["race", "repaired"])
def test_a_def_endpoint_is_stepped_into(test_of: Any, kind: Any, book: str, status: str) -> None:
    """Between what it reads and what it writes; in one transaction nothing lies between."""
    _, test = test_of(book)
    schedules = 8 if status == "held" else 60
    assert check(test, PAYMENTS, Webhook(), faults={kind}, schedules=schedules, seed=1).status == status


def test_what_is_not_of_a_request_stays_in_the_pool(test_of: Any) -> None:
    bank, _ = test_of(AS_IN_A_POOL)
    bank.PATH = ":memory:"

    async def threads() -> int:
        await webhooks.asgi(bank.app)(Message("ann", {}, "e1", 1, {}, 0.0, "/webhook"))
        return await bank.anyio.to_thread.run_sync(threading.get_ident)  # type: ignore[no-any-return]

    assert asyncio.run(threads()) not in bank.threads
    assert bank.threads == {threading.get_ident()}
    assert bank.ends == ["closed"]
