"""`chaoskit init` for repositories as their libraries' documentation shows them, and what pytest then says: all of them
in one run, with the bug and repaired."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import attrs
import pytest

from plugin.test_init import assert_formatted, repository
from plugin.test_init_guesses import init


@attrs.frozen
class Source:
    """A module, of which `wrong` is what `right` repairs. `has`: what its test has in it. `kind`: what the report of
    its failure names."""

    needs: tuple[str, ...]
    handler: str
    text: str
    wrong: str
    right: str
    has: tuple[str, ...]
    kind: str = ""


ADDS, TAKES = 'totals.get(order["sku"], 0) + order["quantity"]', 'max(totals.get(order["sku"], 0), order["quantity"])'
ADDS_OBJECT, TAKES_OBJECT = (
    re.sub(r'order\["(\w+)"\]', r"order.\1", each) for each in (ADDS, TAKES)
)  # fmt: skip
CONFLUENT = """
import json

from confluent_kafka import Consumer, KafkaException

totals = {}

def main():
    consumer = Consumer({"bootstrap.servers": "localhost:9092", "group.id": "billing", "enable.auto.commit": False})
    consumer.subscribe(["orders"])
    try:
        while True:
            msg = consumer.poll(1.0)
            if msg is None:
                continue
            if msg.error():
                raise KafkaException(msg.error())
            order = json.loads(msg.value())
            totals[order["sku"]] = totals.get(order["sku"], 0) + order["quantity"]
            consumer.commit(asynchronous=False)
    finally:
        consumer.close()
"""
KAFKA_PYTHON = """
import json

from kafka import KafkaConsumer

totals = {}

def main():
    consumer = KafkaConsumer(
        "orders", bootstrap_servers="localhost:9092", group_id="billing", value_deserializer=json.loads
    )
    for message in consumer:
        order = message.value
        totals[order["sku"]] = totals.get(order["sku"], 0) + order["quantity"]
"""
EVENTBRIDGE = """
totals = {}

def lambda_handler(event, context):
    order = event["detail"]
    totals[order["sku"]] = totals.get(order["sku"], 0) + order["quantity"]
"""
SNS = """
import json

totals = {}

def lambda_handler(event, context):
    for record in event["Records"]:
        notification = json.loads(record["body"])
        order = json.loads(notification["Message"])
        totals[order["sku"]] = totals.get(order["sku"], 0) + order["quantity"]
"""
FASTSTREAM = """
from faststream import FastStream
from faststream.{kind} import {broker}
from pydantic import BaseModel

broker = {broker}()
app = FastStream(broker)
totals = {{}}

class Order(BaseModel):
    sku: str
    quantity: int

@broker.subscriber({of})
async def on_message(order: Order):
    totals[order.sku] = totals.get(order.sku, 0) + order.quantity
"""
SETTINGS = """
import os

DATABASE_URL = os.environ["DATABASE_URL"]
LEDGER_DB_PATH = os.environ.get("LEDGER_DB_PATH", "ledger.db")
"""
STORE = """
from sqlalchemy import func
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from settings import DATABASE_URL

engine = create_async_engine(DATABASE_URL)
Session = async_sessionmaker(engine, expire_on_commit=False)

class Base(DeclarativeBase):
    pass

class Account(Base):
    __tablename__ = "accounts"
    id: Mapped[str] = mapped_column(primary_key=True)
    balance: Mapped[int] = mapped_column(default=0)

class Payment(Base):
    __tablename__ = "payments"
    number: Mapped[int] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(unique=True)
    booked_at: Mapped[str] = mapped_column(server_default=func.now())
"""
AIOKAFKA = """
import json

from aiokafka import AIOKafkaConsumer
from sqlalchemy import select

from store import Account, Payment, Session

async def book(payment):
    async with Session() as session, session.begin():
        print(payment["payment_id"])
        account = await session.get(Account, payment["account"]) or Account(id=payment["account"], balance=0)
        account.balance += payment["amount"]
        session.add(account)

async def consume():
    consumer = AIOKafkaConsumer("payments", group_id="billing", enable_auto_commit=False)
    await consumer.start()
    try:
        async for msg in consumer:
            await book(json.loads(msg.value))
            await consumer.commit()
    finally:
        await consumer.stop()
"""
ONCE = """\
        if await session.scalar(select(Payment).where(Payment.id == payment["payment_id"])):
            return
        session.add(Payment(id=payment["payment_id"]))
        await session.flush()
"""
SQLITE = """
import sqlite3

from settings import LEDGER_DB_PATH

def connect():
    return sqlite3.connect(LEDGER_DB_PATH)

def migrate():
    with connect() as db:
        db.execute("create table if not exists booked (id text primary key, at text default current_timestamp)")
        db.execute("create table if not exists balances (account text primary key, amount integer)")

def handle(event):
    db = connect()
    try:
        if db.execute("insert or ignore into booked (id) values (?)", [event["payment_id"]]).rowcount:
            db.commit()
            db.execute("insert or ignore into balances values (?, 0)", [event["account"]])
            db.execute("update balances set amount = amount + ? where account = ?", [event["amount"], event["account"]])
        db.commit()
    finally:
        db.close()
"""

SOURCES = {
    "confluent": Source(
        ("confluent_kafka",), "main", CONFLUENT, ADDS, TAKES,
        (', "Consumer", made)', 'broker=Kafka(on_error="stop")'),
    ),
    "kafka_python": Source(
        ("kafka",), "main", KAFKA_PYTHON, ADDS, TAKES,
        (', "KafkaConsumer", made)', 'keys="sku"'),
    ),
    "eventbridge": Source(
        (), "lambda_handler", EVENTBRIDGE, ADDS, TAKES, ("aws_lambda.eventbridge(", "LambdaSqs(batch_size=1)"),
    ),
    "sns": Source((), "lambda_handler", SNS, ADDS, TAKES, ("aws_lambda.sns_sqs(", "batch=True")),
    "faststream_kafka": Source(
        ("faststream", "aiokafka"), "on_message", FASTSTREAM.format(kind="kafka", broker="KafkaBroker", of='"orders"'),
        ADDS_OBJECT, TAKES_OBJECT, ("broker=Kafka()", "ACK_FIRST", 'events(Order, keys="sku")'),
    ),
    "faststream_nats": Source(
        ("faststream", "nats"), "on_message",
        FASTSTREAM.format(kind="nats", broker="NatsBroker", of='"orders", stream="shop"'),
        ADDS_OBJECT, TAKES_OBJECT, ("broker=JetStream()", "REJECT_ON_ERROR"),
    ),
    "faststream_redis": Source(
        ("faststream", "redis"), "on_message",
        FASTSTREAM.format(kind="redis", broker="RedisBroker", of='list="orders"'),
        ADDS_OBJECT, TAKES_OBJECT, ("broker=RedisList()",),
    ),
    "aiokafka_sqlalchemy": Source(
        ("aiokafka", "sqlalchemy", "aiosqlite"), "consume", AIOKAFKA,
        '        print(payment["payment_id"])\n', ONCE,
        ("run_sync(Base.metadata.create_all)", "select(Account.id, Account.balance)", "select(Payment.id))"),
    ),
    "sqlite": Source(
        (), "handle", SQLITE, "            db.commit()\n", "",
        ("    migrate()\n", '"delete from balances"', '"select id from booked"', "spawn=lambda: handle_one"),
        kind="Crash|Fail",
    ),
}  # fmt: skip


def test_each_repository_finds_its_bug_and_holds_after_the_repair(tmp_path: Path) -> None:
    """With no TODO in its test."""
    there = {name: source for name, source in SOURCES.items() if all(map(find_spec, source.needs))}
    files = {"settings.py": SETTINGS, "store.py": STORE}
    for name, source in there.items():
        assert source.wrong in source.text, name
        files |= {f"{name}.py": source.text, f"{name}_repaired.py": source.text.replace(source.wrong, source.right)}
    project = repository(tmp_path / "shop", **files)
    written = []
    for name, source in there.items():
        for module in (name, f"{name}_repaired"):
            init(project, f"{module}:{source.handler}", "--yes")
            written.append(f"tests/test_{module}_chaos.py")
            text = (project.root / written[-1]).read_text(encoding="utf-8")
            assert "TODO" not in text, text
            assert [part for part in source.has if part not in " ".join(text.split()) and part not in text] == [], text
    assert_formatted(project, *written, "tests/conftest.py")
    ran = project.run("pytest", "-p", "no:cacheprovider", "--chaos-seed=1", "--chaos-schedules=10", "-rA")
    found = re.findall(r"^(PASSED|FAILED) tests/test_(\w+)_chaos\.py", ran.out, re.MULTILINE)
    came = {name: status for status, name in found}
    assert came == {
        f"{name}{more}": status for name in there for more, status in (("", "FAILED"), ("_repaired", "PASSED"))
    }, ran.text
    for name, source in there.items():
        assert re.search(rf"test_{name} does not survive .*({source.kind})", ran.out), (name, ran.text)
    if missing := {need for source in SOURCES.values() for need in source.needs if find_spec(need) is None}:
        pytest.skip(f"not installed: {', '.join(sorted(missing))}")
