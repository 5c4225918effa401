"""What a handler may do to a search that looks inside of it, and what becomes of that."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

import chaoskit
from chaoskit import Crash, Event, Kafka, Message, Scenario, UsageError
from chaoskit.strategies import events
from inside.subjects import Store

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]), max_size=4)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_of_the_handlers_own_does_not_die_in_its_place() -> None:
    def test(deliver: Any) -> dict[str, int]:
        store = Store()

        def handle(message: Message) -> None:
            child = os.fork()
            if not child:
                str.upper("an effect of the child's")
                os._exit(0)
            os.waitpid(child, 0)
            store.add_once([message])

        deliver(spawn=lambda: handle)
        return store.balances

    verdict = chaoskit.check(test, PAYMENTS, Kafka(partitions=1), faults={Crash}, schedules=40, seed=1, limit=5)
    assert verdict.status == "held", verdict.report()


# Connections.


SEEN = "CREATE TABLE seen (id TEXT PRIMARY KEY); CREATE TABLE balances (owner TEXT PRIMARY KEY, amount INTEGER)"
INSERT = "INSERT OR IGNORE INTO seen VALUES (:id)"
ADD = "INSERT INTO balances VALUES (:o, :a) ON CONFLICT (owner) DO UPDATE SET amount = amount + :a"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("is_whole", [True, False])
def test_an_engine_of_the_module_has_connections_of_its_own_in_each_process(tmp_path: Path, is_whole: bool) -> None:
    """Its pool would give a process what another one has opened, and keep what the dead had begun."""
    sa = pytest.importorskip("sqlalchemy", reason="sqlalchemy is missing")
    prepared(tmp_path / "shop.db")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'shop.db'}")

    def handle(message: Message) -> None:
        with engine.begin() as db:
            if not db.execute(sa.text(INSERT), {"id": message.id}).rowcount:
                return
            if is_whole:
                db.execute(sa.text(ADD), {"o": message.key, "a": message.value})
        if not is_whole:
            with engine.begin() as db:
                db.execute(sa.text(ADD), {"o": message.key, "a": message.value})

    def test(deliver: Any) -> dict[str, int]:
        with engine.begin() as db:
            db.execute(sa.text("DELETE FROM seen"))
            db.execute(sa.text("DELETE FROM balances"))
        deliver(spawn=lambda: handle)
        with engine.begin() as db:
            return dict(map(tuple, db.execute(sa.text("SELECT owner, amount FROM balances"))))

    verdict = chaoskit.check(test, PAYMENTS, Kafka(partitions=1), faults={Crash}, schedules=30, seed=1)
    assert verdict.status == ("held" if is_whole else "violated"), verdict.report()
    engine.dispose()


def prepared(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.executescript(SEEN)


class Shop:
    def __init__(self, session: Any) -> None:
        self.session = session

    def handle(self, message: Message) -> None:
        with self.session.begin():
            self.session.connection().exec_driver_sql("INSERT OR IGNORE INTO seen VALUES (?)", (message.id,))


@pytest.mark.parametrize("inside", [True, False], ids=["in spawn", "outside"])
def test_a_connection_that_two_processes_would_share_is_refused_by_its_name(tmp_path: Path, inside: bool) -> None:
    sa = pytest.importorskip("sqlalchemy", reason="sqlalchemy is missing")
    orm = pytest.importorskip("sqlalchemy.orm", reason="sqlalchemy is missing")
    prepared(tmp_path / "shop.db")
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'shop.db'}", poolclass=sa.NullPool)

    def test(deliver: Any) -> int:
        with orm.Session(engine) as session:
            shop = Shop(session)

            def process() -> Any:
                return Shop(orm.Session(engine)).handle if inside else shop.handle

            def only_its_own() -> Any:
                return Shop(orm.Session(engine)).handle

            deliver(spawn=only_its_own if inside else process)
            return 1

    scenario = Scenario([Event("k", 1, id="e1")], Kafka(partitions=1), [Crash("e1", 1)])
    if inside:
        assert chaoskit.run(test, scenario).status == "held"
        return
    with pytest.raises(UsageError, match=r"`session`, a sqlalchemy Session, is there before `spawn` is called"):
        chaoskit.run(test, scenario)


class Lazy:
    """As Django's settings: whoever asks for its class makes it, which may fail."""

    @property
    def __class__(self) -> Any:
        raise LookupError("nothing is configured")


SETTINGS = Lazy()


def test_a_lazy_object_of_the_handlers_is_not_made_by_the_search() -> None:
    def test(deliver: Any) -> dict[str, int]:
        store, lazily = Store(), SETTINGS

        def handle(message: Message) -> None:
            if id(lazily) == id(SETTINGS):
                store.add_once([message])

        deliver(spawn=lambda: handle)
        return store.balances

    scenario = Scenario([Event("k", 1, id="e1")], Kafka(partitions=1), [Crash("e1", 1)])
    assert chaoskit.run(test, scenario).status == "held"
