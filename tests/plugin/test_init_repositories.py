"""What `chaoskit init` reads off repositories as people have them: how a loop ends, which ids differ, where the broker
and the database are told."""

from __future__ import annotations

import sqlite3
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from plugin.projects import Project
from plugin.test_init import assert_formatted, repository
from plugin.test_init_guesses import init


def made(root: Path, handler: str, **files: str) -> tuple[Project, str]:
    """The repository with its first test, and the text of that."""
    project = repository(root / "shop", **{name: textwrap.dedent(text) for name, text in files.items()})
    init(project, handler, "--yes")
    (test,) = project.root.glob("tests/test_*_chaos.py")
    assert_formatted(project, f"tests/{test.name}")
    return project, test.read_text(encoding="utf-8")


def words(text: str) -> str:
    """In one line, without the marks of comments."""
    return " ".join(text.replace("#", " ").split())


LOOP = """
import json
from contextlib import suppress
from aiokafka import AIOKafkaConsumer

async def handle(msg):
    payment = json.loads(msg.value)
    BALANCES[payment["account"]] = payment["amount"]

async def consume(consumer):
    try:
        async for msg in consumer:
            await handle(msg)
            await consumer.commit()
    except KeyboardInterrupt:
        pass
"""


@pytest.mark.parametrize(
    ("change", "by", "broker"),
    [
        ("", "", 'Kafka(auto_commit=True, on_error="stop")'),
        ("    BALANCES[", "    with suppress(KeyError):\n        BALANCES[", "Kafka(auto_commit=True)"),
        ("            await handle(msg)\n", "            consumer.seek(msg, 0)\n", "Kafka(auto_commit=True)"),
    ],
)
def test_an_error_that_nothing_catches_ends_the_process_of_a_loop(
    change: str, by: str, broker: str, tmp_path: Path
) -> None:
    """What is caught around the loop as a whole does not keep it going."""
    text = made(tmp_path, "loop:consume", **{"loop.py": LOOP.replace(change, by)})[1]
    assert f"broker={broker})" in text


LEDGER = """
class Ledger:
    def __init__(self):
        self.totals, self.done = {}, {}

    def handle(self, event):
        if self.done.get(event["payment_id"]):
            return
        self.done[event["payment_id"]] = True
        self.totals[event["account"]] = self.totals.get(event["account"], 0) + event["amount"]
"""
TASK = """
from celery import shared_task

@shared_task
def deposit(deposit_id, batch_id: int, merchant_id, account, amount):
    print(merchant_id, account, amount)

@shared_task
def receipt(payment_id: int):
    print(payment_id)
"""
ORDERS = """
from pydantic import BaseModel

class Moved(BaseModel):
    parcel_id: str
    move_id: str
    version: int

class Paid(BaseModel):
    payment_id: str
    account: str
    amount: int

parcels, totals = {}, {}

def handle_moved(event: Moved):
    parcels[event.parcel_id] = event.version

def handle_paid(event: Paid):
    totals[event.account] = totals.get(event.account, 0) + event.amount
"""
STATUSES = """
from app import app
from fastapi import Request
from statuses import STATUS
import stripe

rows = {}

@app.post("/stripe")
async def webhook(request: Request):
    event = stripe.Event.construct_from(await request.json(), "key")
    status = STATUS.get(event["type"])
    obj = event["data"]["object"]
    if rows.get(obj["id"], {"at": 0})["at"] < event["created"]:
        rows[obj["id"]] = {"status": status, "at": event["created"]}
"""


def test_a_right_handler_passes_that_looks_its_ids_up(tmp_path: Path) -> None:
    project, text = made(tmp_path, "ledger:Ledger.handle", **{"ledger.py": LEDGER})
    assert '{**message.value, "payment_id": message.id, "account": message.key}' in text
    assert "Guessed: no two events have the same `payment_id`." in words(text)
    ran = project.pytest("--chaos-seed=1", "--chaos-schedules=100")
    assert "1 passed" in ran.out, ran.text


@pytest.mark.parametrize(
    ("handler", "parts"),
    [
        (
            "task:deposit",
            (
                '"deposit_id": message.id', '"batch_id": st.integers(1, 1_000_000_000)', '"account": message.key',
                'valid=lambda s: len({e.value["batch_id"] for e in s}) == len(s)',
                '"merchant_id": st.sampled_from(["a", "b", "c"])', "have the same `deposit_id` and `batch_id`.",
            ),
        ),
        (
            "task:receipt",
            (
                "st.integers(1, 1_000_000_000),", "valid=lambda s: len({e.value for e in s}) == len(s)",
                "have the same `payment_id`.",
            ),
        ),
        # A version is that of a thing, whose id other events have, too.
        ("orders:handle_moved", ('events(Moved, keys="parcel_id")', '"move_id": message.id')),
        # The id by which it is repaired is there before the repair.
        ("orders:handle_paid", ('events(Paid, keys="account")', 'model_copy(update={"payment_id": message.id})')),
        (
            "hooks:webhook",
            ('"type": st.sampled_from(["made", "paid"])', '"id": message.key', '"object-1"', '"created": message.seq'),
        ),
    ],
)  # fmt: skip
def test_ids_of_one_event_are_its_own_and_kinds_are_those_of_the_table(
    handler: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    files = {
        "task.py": TASK,
        "orders.py": ORDERS,
        "hooks.py": STATUSES,
        "statuses.py": 'STATUS = {"made": 1, "paid": 2}\n',
        "app.py": "from fastapi import FastAPI\n\napp = FastAPI()\n",
    }
    text = made(tmp_path, handler, **files)[1]
    assert [part for part in parts if part not in text and part not in words(text)] == [], text


CELERY_IN_DJANGO = {
    "manage.py": 'import os\n\nos.environ.setdefault("DJANGO_SETTINGS_MODULE", "proj.settings")\n',
    "proj/__init__.py": "",
    "proj/settings.py": 'CELERY_BROKER_URL = "amqp://guest@localhost//"\nCELERY_TASK_ACKS_LATE = True\n',
    "shop/__init__.py": "",
    "shop/models.py": """
        from django.db import models

        class Account(models.Model):
            number = models.CharField(max_length=20, unique=True)

        class Deposit(models.Model):
            deposit_id = models.CharField(max_length=40)
            account = models.OneToOneField(Account, on_delete=models.PROTECT)
    """,
    "shop/tasks.py": """
        from celery import shared_task
        from .models import Account, Deposit

        @shared_task
        def deposit(deposit_id, account):
            row = Account.objects.get_or_create(number=account)[0]
            Deposit.objects.create(deposit_id=deposit_id, account=row)
    """,
}


def test_a_task_of_django_has_its_rows_and_the_broker_of_the_settings(tmp_path: Path) -> None:
    project, text = made(tmp_path, "shop.tasks:deposit", **CELERY_IN_DJANGO)
    for part in (
        "@pytest.mark.django_db(transaction=True)",
        'Celery(acks_late=True, transport="amqp", retries=False)',
        "Deposit.objects.all().delete()  # fresh state for every schedule\n    Account.objects.all().delete()",
        'sorted(Deposit.objects.values_list("deposit_id"), key=repr)',
    ):
        assert part in text, text
    assert "TODO" not in text
    assert "DJANGO_SETTINGS_MODULE = proj.settings\n" in (project.root / "pytest.ini").read_text()


@pytest.mark.parametrize(
    ("files", "broker", "assumed"),
    [
        ({}, "Celery(retries=False)", True),
        ({"celeryconfig.py": 'broker_url = "redis://localhost"\n'}, "Celery(retries=False)", False),
        (
            {"work/__init__.py": "", "work/celery.py": 'app.conf.broker_url = os.getenv("BROKER", "sqs://")\n'},
            'Celery(transport="sqs", retries=False)',
            False,
        ),
    ],
)
def test_the_transport_of_a_task_is_read_or_said_to_be_assumed(
    files: dict[str, str], broker: str, assumed: bool, tmp_path: Path
) -> None:
    text = made(tmp_path, "task:deposit", **{"task.py": TASK, **files})[1]
    assert f"broker={broker})" in text
    assert ('URL does not show: transport="redis" is assumed.' in words(text)) == assumed


def test_the_workflow_says_what_is_left_to_install(tmp_path: Path) -> None:
    """Of a module that is called like the library that it imports, too; nothing where the repository says it."""
    celery = "import json\nfrom celery import Celery\nfrom shop.tasks import deposit\n"
    project = made(tmp_path, "shop.tasks:deposit", **CELERY_IN_DJANGO, **{"shop/celery.py": celery})[0]
    workflow = (project.root / ".github/workflows/chaoskit.yml").read_text(encoding="utf-8")
    todo = "      # TODO: install what the repository imports, before pytest needs it: celery, django, pytest_django\n"
    assert workflow.count(f"{todo}      - run: python -m pip install chaoskit==") == 2
    reported = repository(tmp_path / "told", **{"requirements.txt": "celery\n", "task.py": TASK})
    assert "TODO" not in init(reported, "--dry-run")


PAYMENTS = {
    "shop/__init__.py": "",
    "shop/store.py": """
        import os
        import sqlite3

        PATH = "payments.db"
        URL = os.environ.get("DATABASE_URL", "sqlite+aiosqlite:///data/shop.db")
        QUEUE = os.environ["QUEUE"]

        def connect():
            made = sqlite3.connect(PATH)
            made.execute("create table if not exists payments (id)")
            return made
    """,
    "shop/worker.py": """
        from sqlalchemy import create_engine

        from .store import URL, connect

        OTHER = "other.db"
        engine = create_engine(f"sqlite:///{OTHER}")
        SERVER = os.getenv("REPORTS_DB_URL", "postgresql://localhost/reports")

        def handle(event):
            with connect() as db:
                db.execute("insert into payments values (?)", [event["id"]])
    """,
}


def test_no_test_writes_into_a_database_that_somebody_uses(tmp_path: Path) -> None:
    """By a variable with a default, by a constant; what cannot be told otherwise is left to do."""
    project, _ = made(tmp_path, "shop.worker:handle", **PAYMENTS)
    conftest = (project.root / "tests" / "conftest.py").read_text(encoding="utf-8")
    for line in (
        'os.environ.setdefault("QUEUE", "test")\n',
        'os.environ["DATABASE_URL"] = f"sqlite+aiosqlite:///{DIRECTORY}/shop.db"\n',
        'pytest.MonkeyPatch().setattr("shop.store.PATH", f"{DIRECTORY}/payments.db")\n',
    ):
        assert line in conftest, conftest
    own = "Let the tests have one of their own."
    reports = "reads REPORTS_DB_URL of the environment, by default postgresql://localhost/reports"
    assert f"TODO: shop.worker opens other.db when it is imported. {own}" in words(conftest)
    assert f"TODO: shop.worker {reports}. {own}" in words(conftest)
    assert_formatted(project, "tests/conftest.py")
    project.write("tests/test_it.py", "from shop import store\n\n\ndef test_it():\n    store.connect()\n")
    ran = project.pytest("tests/test_it.py")
    assert "1 passed" in ran.out, ran.text
    assert not list(project.root.rglob("*.db"))
    project.write("tests/conftest.py", "import pytest\n")
    shown = words(init(project, "shop.worker:handle", "--dry-run"))
    assert "reads QUEUE and REPORTS_DB_URL and DATABASE_URL of the environment: tests/conftest.py has to set" in shown
    assert "shop.worker writes to shop.worker.OTHER and shop.store.PATH: tests/conftest.py has to let the" in shown


ENGINE = """
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

engine = create_engine("sqlite:///shop.db")

class Base(DeclarativeBase):
    pass

class Parcel(Base):
    __tablename__ = "parcels"
    id: Mapped[str] = mapped_column(primary_key=True)
    moves: Mapped[int]

def handle(event):
    with Session(engine) as session, session.begin():
        parcel = session.get(Parcel, event["parcel_id"]) or Parcel(id=event["parcel_id"], moves=0)
        parcel.moves += event["moves"]
        session.add(parcel)
"""


def test_an_engine_whose_file_stands_in_the_source_has_another_one_in_tests(tmp_path: Path) -> None:
    """And so its rows may be emptied."""
    pytest.importorskip("sqlalchemy")
    project, text = made(tmp_path, "parcels:handle", **{"parcels.py": ENGINE})
    assert "TODO" not in text + (project.root / "tests" / "conftest.py").read_text(encoding="utf-8")
    assert_formatted(project, "tests/conftest.py")
    ran = project.pytest("--chaos-seed=1", "--chaos-schedules=40")
    assert "test_parcels does not survive" in ran.out, ran.text
    assert not list(project.root.rglob("*.db"))


OF_SETTINGS = ENGINE.replace(
    'engine = create_engine("sqlite:///shop.db")',
    'import os\n\nfrom conf import settings\n\nCACHE = os.environ["CACHE_DB_PATH"]\n{engine}',
)

HOME = """
import os, sqlite3
CACHE = os.environ["CACHE_DB_PATH"]
def connect():
    return sqlite3.connect(os.path.expanduser("~/shop.db"))
def handle(event):
    with connect() as db:
        db.execute("create table if not exists parcels (id text primary key)")
        db.execute("insert into parcels values (?)", [event["parcel_id"]])
"""


@pytest.mark.parametrize(
    ("source", "conftest"),
    [
        # Beside a database that the tests have for themselves, one of which nobody knows where it is.
        (OF_SETTINGS.replace("{engine}", "engine = create_engine(settings.url)"), ""),
        (OF_SETTINGS.replace("{engine}", 'engine = create_engine(f"postgresql://{settings.host}/shop")'), ""),
        (HOME, ""),
        # A conftest.py that names the variable, and opens what it says.
        (HOME.replace('os.path.expanduser("~/shop.db")', "CACHE"), 'import os\nURL = os.environ["CACHE_DB_PATH"]\n'),
        (ENGINE, 'import parcels  # parcels.engine\n'),
    ],
)  # fmt: skip
def test_no_row_is_deleted_that_may_be_somebodys(source: str, conftest: str, tmp_path: Path) -> None:
    files = {"tests/conftest.py": conftest} if conftest else {}
    _, text = made(tmp_path, "parcels:handle", **{"parcels.py": source, "conf.py": "settings = object()\n", **files})
    assert "delete" not in text, text


def test_a_database_that_was_opened_before_the_tests_had_their_own_keeps_its_rows(tmp_path: Path) -> None:
    """By a conftest.py above, which is imported first."""
    pytest.importorskip("sqlalchemy")
    source = ENGINE.replace('"sqlite:///shop.db"', 'os.environ["DATABASE_URL"]').replace("\n", "import os\n", 1)
    project, text = made(tmp_path, "parcels:handle", **{"parcels.py": source, "conftest.py": "import parcels\n"})
    assert "table.delete()" in text
    assert_formatted(project, "tests/test_parcels_chaos.py")
    with closing(sqlite3.connect(project.root / "shop.db")) as database, database:
        database.execute("create table parcels (id text primary key, moves integer)")
        database.execute("insert into parcels values ('p1', 3)")
    ran = project.pytest("--chaos-schedules=5", env={"DATABASE_URL": f"sqlite:///{project.root}/shop.db"})
    assert "shop.db is not a database of the tests" in ran.out, ran.text
    with closing(sqlite3.connect(project.root / "shop.db")) as database:
        assert database.execute("select * from parcels").fetchall() == [("p1", 3)]
