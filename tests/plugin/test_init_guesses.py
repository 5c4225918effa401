"""What `chaoskit init` guesses: which fields of a value are the event's own, which ones a broker stamps, and where it
does not guess at all."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
from click.testing import CliRunner

from chaoskit.cli import main
from plugin.projects import LONELY, Project, Ran
from plugin.test_init import assert_formatted, contents, repository, said_of

HANDLERS = '''
import json

class Meta:
    def __init__(self):
        self.totals, self.seen = {}, set()

    def handle(self, event):
        if event["meta"]["event_id"] in self.seen:
            return
        self.seen.add(event["meta"]["event_id"])
        self.totals[event["account"]] = self.totals.get(event["account"], 0) + event["amount"]

class Versions:
    """Of the object of an event, as Stripe sends it, the latest."""

    def __init__(self):
        self.status, self.versions = {}, {}

    def handle(self, event):
        obj = event["data"]["object"]
        if obj["version"] <= self.versions.get(obj["id"], 0):
            return
        self.versions[obj["id"]] = obj["version"]
        self.status[obj["id"]] = obj["status"]

class Objects:
    def __init__(self):
        self.totals, self.seen = {}, set()

    def handle(self, event):
        obj = event["data"]["object"]
        if obj["id"] in self.seen:
            return
        self.seen.add(obj["id"])
        self.totals[obj["customer"]] = self.totals.get(obj["customer"], 0) + obj["amount"]

class Attributes:
    def __init__(self):
        self.totals, self.seen = {}, set()

    def handle(self, event: "Placed"):
        if event.meta.id in self.seen:
            return
        self.seen.add(event.meta.id)
        customer = event.order.customer_id
        self.totals[customer] = self.totals.get(customer, 0) + event.order.total

class Texts:
    """The value is in a text, in a record of SQS."""

    def __init__(self):
        self.totals, self.seen = {}, set()

    def handle(self, record):
        body = json.loads(record["body"])
        if body["id"] in self.seen:
            return
        self.seen.add(body["id"])
        self.totals[body["account"]] = self.totals.get(body["account"], 0) + body["amount"]

class Times:
    """The last one wins, by the producer's time; of one version of the schema."""

    def __init__(self):
        self.rows = {}

    def handle(self, event):
        meta, payload = event.get("meta") or {}, event["payload"]
        if meta.get("schema_version") != 2:
            return
        row = self.rows.get(payload["sku"])
        if row is None or row["at"] < payload["updated_at"]:
            self.rows[payload["sku"]] = {"at": payload["updated_at"], "stock": payload["stock"]}
'''

RIGHT = {
    "Meta": ('"meta": {"event_id": message.id},', "`meta.event_id` and `account` into the value, too: the event's id"),
    "Versions": ('"version": message.seq,', "What `data.object.status` may be does not show: letters stand there."),
    "Objects": ('"id": message.id,', "`data.object.id` and `data.object.customer` into the value, too"),
    "Attributes": ('"meta": SimpleNamespace(id=message.id)', "`meta.id` and `order.customer_id` into the value, too"),
    "Texts": ('"id": message.id, "account": message.key', "`body.id` and `body.account` into the value, too"),
    "Times": ('"updated_at": message.seq,', "`payload.sku` and `payload.updated_at` into the value, too"),
}  # fmt: skip
"""Right handlers, whose ids, keys and versions lie inside of their value: code in the test of each, and words in it."""

STAMPS = '''
import json

class Kinesis:
    """As powertools hand it out: the id of the event is shard and sequence number."""

    def __init__(self):
        self.totals, self.seen = {}, set()

    def handle(self, record):
        if record.event_id in self.seen:
            return
        self.seen.add(record.event_id)
        data = json.loads(record.kinesis.data)
        self.totals[data["account"]] = self.totals.get(data["account"], 0) + data["amount"]

class Sqs:
    def __init__(self):
        self.totals, self.seen = {}, set()

    def handle(self, record):
        if record["messageId"] in self.seen:
            return
        self.seen.add(record["messageId"])
        body = json.loads(record["body"])
        self.totals[body["account"]] = self.totals.get(body["account"], 0) + body["amount"]

class PubSub:
    def __init__(self):
        self.totals, self.seen = {}, set()

    def handle(self, message):
        if message.message_id in self.seen:
            return
        self.seen.add(message.message_id)
        data = json.loads(message.data)
        self.totals[data["account"]] = self.totals.get(data["account"], 0) + data["amount"]

class Offsets:
    def __init__(self):
        self.totals, self.seen = {}, set()

    def handle(self, record):
        if (record["partition"], record["offset"]) in self.seen:
            return
        self.seen.add((record["partition"], record["offset"]))
        self.totals[record["account"]] = self.totals.get(record["account"], 0) + record["amount"]
'''

STAMPED = {
    "Kinesis": ("Kinesis", '"event_id": f"{message.partition}:{message.sequence}"'),
    "Sqs": ("SqsStandard", '"messageId": message.message_id'),
    "PubSub": ("PubSub", '"message_id": message.message_id'),
    "Offsets": ("Kafka", '"offset": message.offset'),
}
"""Handlers that tell by what the broker stamps whether they have seen a message, the broker, and code in the test."""
UNSTAMPED = {"Kinesis": "event_id", "Sqs": "messageId"}
"""The same under Kafka, which stamps nothing of the kind."""


def init(project: Project, *arguments: str) -> str:
    """What the command says, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        said = CliRunner().invoke(main, ["init", *arguments])
    assert said.exit_code == 0, said.output
    return said.output


@attrs.frozen(eq=False)
class Guessed:
    project: Project
    tests: dict[str, str]
    ran: Ran

    def text(self, name: str) -> str:
        return (self.project.root / self.tests[name]).read_text()

    def said(self, name: str) -> str:
        return said_of(self.ran, self.tests[name])


@pytest.fixture(scope="module")
def guessed(tmp_path_factory: pytest.TempPathFactory) -> Guessed:
    """The tests of all of them as they are written, in one run."""
    files = {"right.py": HANDLERS, "stamps.py": STAMPS, "elsewhere.py": STAMPS.replace("class ", "class Other")}
    project = repository(tmp_path_factory.mktemp("guessed") / "shop", **files)
    named = {name: [f"right:{name}"] for name in RIGHT}
    named |= {name: [f"stamps:{name}", "--broker", broker] for name, (broker, _) in STAMPED.items()}
    named |= {f"Other{name}": [f"elsewhere:Other{name}"] for name in UNSTAMPED}
    tests = {
        name: init(project, *asked, "--yes").rpartition("Next: pytest ")[2].split()[0] for name, asked in named.items()
    }
    ran = project.pytest("--chaos-seed=1", "--chaos-schedules=300", "-rA", *LONELY, env={"COLUMNS": "250"})
    return Guessed(project, tests, ran)


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_handler_passes_whose_ids_keys_and_versions_lie_deeper(guessed: Guessed, name: str) -> None:
    """What the producer says of an event stays on every delivery, wherever it stands, and is said to be a guess."""
    code, words = RIGHT[name]
    assert guessed.said(name).startswith("PASSED")
    assert code in guessed.text(name)
    said = " ".join(guessed.text(name).replace("#", " ").split())
    assert "Guessed: the producer writes" in said
    assert words in said
    assert "TODO" not in said


@pytest.mark.parametrize("name", STAMPED)
def test_what_a_broker_stamps_is_never_the_event_s_own_id(guessed: Guessed, name: str) -> None:
    """A handler that tells copies by it counts what was sent again twice, as it does with the real broker."""
    broker, code = STAMPED[name]
    text = guessed.text(name)
    assert code in text
    assert "message.id" not in text.replace("message.message_id", "")
    assert "what the broker stamps, anew for what is sent again" in " ".join(text.replace("#", " ").split())
    if broker != "Kafka":  # an idempotent producer sends nothing again
        assert "does not survive Resend" in guessed.said(name)


@pytest.mark.parametrize("name", UNSTAMPED)
def test_what_this_broker_does_not_stamp_is_left_to_do(guessed: Guessed, name: str) -> None:
    """No test that passes by a guess: it fails with the name until somebody says what it is."""
    said = guessed.said(f"Other{name}")
    assert said.startswith("FAILED")
    assert f"TODO: {UNSTAMPED[name]} is what a broker stamps, and Kafka stamps none" in said


def test_every_guess_is_one_that_a_formatter_leaves_alone(guessed: Guessed) -> None:
    assert_formatted(guessed.project, *guessed.tests.values())


@attrs.frozen
class Called:
    """A function that a framework calls, what is said of it, and what of its module may be named instead."""

    source: str
    handler: str
    what: str
    instead: str = ""


FASTSTREAM = """
from faststream import Depends, FastStream

@broker.subscriber("orders")
async def on_order(order: OrderPlaced, logger, stock: Stock = Depends(stock)):
    await place(order, stock)

async def place(order, stock): ...
"""
LAMBDA = """
def lambda_handler(event, context):
    for each in event["Records"]:
        one(each)

def one(record): ...
"""
POLL = """
def consume():
    while True:
        message = consumer.poll(1.0)
        handle_one(message)

def handle_one(message): ...
"""
LOOP = """
async def process_all(consumer):
    async for message in consumer:
        await one(message)
"""
PIKA = """
def on_message(ch, method, properties, body):
    ch.basic_ack(method.delivery_tag)
"""
SETTLES = """
async def on_message(message):
    async with message.process():
        paid(message.body)
"""

FRAMEWORKS = {
    "faststream": Called(FASTSTREAM, "on_order", "a FastStream subscriber (@broker.subscriber('orders'))", "place"),
    "lambda": Called(LAMBDA, "lambda_handler", "an AWS Lambda function (event, context)", "one"),
    "poll loop": Called(
        POLL, "consume", "a loop that fetches its messages itself (consumer.poll(1.0), line 4)", "handle_one"
    ),
    "async loop": Called(LOOP, "process_all", "a loop that fetches its messages itself (consumer, line 3)"),
    "pika": Called(PIKA, "on_message", "a callback of pika (ch, method, properties, body)"),
    "settles": Called(SETTLES, "on_message", "a handler that settles its messages itself (message.process(), line 3)"),
}


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_a_framework_without_a_recipe_is_named_and_no_test_is_written(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, with what can be named instead; nor is such a function offered."""
    case = FRAMEWORKS[name]
    project = repository(tmp_path / "shop", **{"shop.py": case.source})
    monkeypatch.chdir(project.root)
    said = CliRunner().invoke(main, ["init", f"shop:{case.handler}", "--yes"])
    assert said.exit_code == 2, said.output
    assert f"{case.handler} is {case.what}, and chaoskit init has no recipe for that yet" in said.output
    assert f"such as shop:{case.instead};" in said.output if case.instead else "take the work out" in said.output
    assert list(contents(project)) == ["shop.py"]
    assert f"chaoskit init shop:{case.handler}\n" not in init(project, "--dry-run")


PLAIN = """
import celery
from fastapi import FastAPI

balances = {}

@celery.shared_task
def handle_task(payment):
    balances[payment["account"]] = payment["amount"]

def handle_retries(event):
    while not client.fetch(event["url"]):
        pass
    balances[event["account"]] = event["url"]

def handle_order(order):
    order.complete()

def handle_service(message, db):
    db.process(message.value)
"""


POWERTOOLS = """
rows = []

def handle(record):
    for each in record.kinesis.data_as_json()["lines"]:
        rows.append((record.name.lower(), each))
"""


def test_a_method_of_the_value_that_no_plain_value_has_is_marked(tmp_path: Path) -> None:
    """As powertools' records have them; what texts, numbers, lists and dictionaries have is no such method."""
    shown = init(repository(tmp_path / "shop", **{"shop.py": POWERTOOLS}), "shop:handle", "--dry-run")
    said = " ".join(shown.replace("|", " ").replace("#", " ").split())
    assert "TODO: handle calls `kinesis.data_as_json()` of what it is given, which a plain value does not have" in said
    assert "Fill in what is marked TODO: until then it fails." in said


@pytest.mark.parametrize("handler", ["handle_task", "handle_retries", "handle_order", "handle_service"])
def test_a_function_that_takes_a_value_gets_its_test_in_whatever_module_it_is(handler: str, tmp_path: Path) -> None:
    """A module that imports a framework, a loop inside of a handler, an order that is completed: no framework's."""
    project = repository(tmp_path / "shop", **{"shop.py": PLAIN})
    assert f"create  tests/test_{handler}_chaos.py" in init(project, f"shop:{handler}", "--dry-run")
    assert f"shop:{handler}" in init(project, "--dry-run")
