"""`chaoskit init` for what frameworks call: repositories as their documentation shows them, each with a bug that the
test finds as it is written, and a repair with which it holds."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
import sys
import textwrap
from pathlib import Path
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

import chaoskit
from chaoskit.cli import main
from plugin.test_init import assert_formatted, repository
from plugin.test_init_guesses import init


@attrs.frozen
class Repository:
    """`wrong` in its source is what `right` repairs. `has`: what the test has in it."""

    needs: str
    handler: str
    source: str
    wrong: str
    right: str
    has: tuple[str, ...]


LAMBDA = """
import json

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

processor = BatchProcessor(event_type=EventType.SQS)
balances = {}
seen = set()

def record_handler(record):
    payment = json.loads(record.body)
    if record.message_id in seen:
        return
    seen.add(record.message_id)
    balances[payment["account"]] = balances.get(payment["account"], 0) + payment["amount"]
    payment["payment_id"]

def lambda_handler(event, context):
    return process_partial_response(event=event, record_handler=record_handler, processor=processor, context=context)
"""
KINESIS = """
import base64
import json

balances = {}

def lambda_handler(event, context):
    for record in event["Records"]:
        payload = json.loads(base64.b64decode(record["kinesis"]["data"]))
        balances[payload["account"]] = balances.get(payload["account"], 0) + payload["amount"]
"""
CELERY = """
from celery import Celery

app = Celery("shop", broker="pyamqp://guest@localhost//")
app.conf.task_acks_late = True
balances = {}
seen = set()

@app.task(bind=True, autoretry_for=(ConnectionError,), reject_on_worker_lost=True)
def charge(self, account: str, amount: int):
    balances[account] = balances.get(account, 0) + amount
"""
FASTSTREAM = """
from faststream import Depends, FastStream
from faststream.rabbit import RabbitBroker
from pydantic import BaseModel

broker = RabbitBroker()
app = FastStream(broker)
balances = {}
seen = set()

class Payment(BaseModel):
    payment_id: str
    account: str
    amount: int
    note: str = ""

@broker.subscriber("payments")
async def on_payment(payment: Payment):
    balances[payment.account] = balances.get(payment.account, 0) + payment.amount
"""
FLASK = """
from flask import Blueprint, request

hooks = Blueprint("hooks", __name__, url_prefix="/hooks")
balances = {}
seen = set()

@hooks.route("/paid", methods=["POST"])
def paid():
    event = request.get_json()
    balances[event["account"]] = balances.get(event["account"], 0) + event["amount"]
    return {"received": True}
"""
STRIPE = """
import stripe
from flask import Flask, jsonify, request

app = Flask(__name__)
endpoint_secret = "whsec_test"
emails = {}

@app.route("/webhook", methods=["POST"])
def webhook():
    event = stripe.Webhook.construct_event(request.data, request.headers["STRIPE_SIGNATURE"], endpoint_secret)
    customer = event["data"]["object"]
    emails[customer["id"]] = customer["email"]
    return jsonify(success=True)
"""
SIGNED = """
import base64
import hashlib
import hmac
import time

from flask import Flask, abort, request

app = Flask(__name__)
SECRET = "test"
totals = {}

{checks}

@app.route("/hook", methods=["POST"])
def hook():
    checked(request)
    order = request.get_json()
    totals[order["sku"]] = totals.get(order["sku"], 0) + order["quantity"]
    return "", 204
"""
GITHUB = SIGNED.replace(
    "{checks}",
    """
def verify(payload, secret, signature):
    expected = "sha256=" + hmac.new(secret.encode("utf-8"), msg=payload, digestmod=hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, signature):
        abort(403)

def checked(request):
    verify(request.data, SECRET, request.headers["X-Hub-Signature-256"])
    if request.headers["X-GitHub-Event"] != "release":
        abort(400)
""",
)
SHOPIFY = SIGNED.replace(
    "{checks}",
    """
def checked(request):
    digest = hmac.new(SECRET, request.get_data(), digestmod=hashlib.sha256).digest()
    if not hmac.compare_digest(base64.b64encode(digest), request.headers["X-Shopify-Hmac-Sha256"].encode()):
        abort(401)
""",
).replace('SECRET = "test"', 'SECRET = b"test"')
SLACK = SIGNED.replace(
    "{checks}",
    """
def checked(request):
    stamp = request.headers["X-Slack-Request-Timestamp"]
    if abs(time.time() - int(stamp)) > 300:
        abort(400)
    base = b"v0:" + stamp.encode() + b":" + request.get_data()
    ours = "v0=" + hmac.new(SECRET.encode(), base, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(ours, request.headers["X-Slack-Signature"]):
        abort(403)
""",
)
FASTAPI = """
from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter()
balances = {}
seen = set()

class Payment(BaseModel):
    payment_id: str
    account: str
    amount: int

@router.post("/payments")
async def payments(payment: Payment):
    balances[payment.account] = balances.get(payment.account, 0) + payment.amount
"""

DRAMATIQ = """
import dramatiq
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import CurrentMessage

broker = StubBroker()
broker.add_middleware(CurrentMessage())
balances = {}
seen = set()

@dramatiq.actor(broker=broker, max_retries=3)
def charge(account: str, amount: int):
    task = CurrentMessage.get_current_message()
    balances[account] = balances.get(account, 0) + amount
"""
HUEY = """
from huey import MemoryHuey

huey = MemoryHuey("shop")
totals = {}

@huey.task()
def count(payment):
    totals[payment["account"]] = totals.get(payment["account"], 0) + payment["amount"]
"""
RQ = """
from rq import Queue, Retry
from rq.decorators import job

totals = {}

@job("default", connection=None, retry=Retry(max=3))
def count(account: str, amount: int):
    totals[account] = totals.get(account, 0) + amount
"""
ARQ = """
from arq.connections import RedisSettings

async def startup(ctx):
    ctx["balances"], ctx["seen"] = {}, set()

async def charge(ctx, account: str, amount: int):
    balances, seen = ctx["balances"], ctx["seen"]
    balances[account] = balances.get(account, 0) + amount

class WorkerSettings:
    functions = [charge]
    on_startup = startup
    redis_settings = RedisSettings()
    max_tries = 3
"""
DYNAMODB = """
balances = {}

def lambda_handler(event, context):
    for record in event["Records"]:
        if record["eventName"] in ("INSERT", "MODIFY"):
            account = record["dynamodb"]["Keys"]["account"]["S"]
            image = record["dynamodb"]["NewImage"]
            balances[account] = balances.get(account, 0) + int(image["amount"]["N"])
"""

PIKA = """
import json

import pika

PREFETCH = 5
orders = {}

def callback(ch, method, properties, body):
    order = json.loads(body)
    orders[order["order_id"]] = orders.get(order["order_id"], 0) + order["quantity"]
    ch.basic_ack(delivery_tag=method.delivery_tag)

def main():
    connection = pika.BlockingConnection(pika.ConnectionParameters(host="localhost"))
    channel = connection.channel()
    channel.queue_declare(queue="orders", durable=True)
    channel.basic_qos(prefetch_count=PREFETCH)
    channel.basic_consume(queue="orders", on_message_callback=callback)
    channel.start_consuming()
"""
AIO_PIKA = """
import asyncio

import aio_pika
from pydantic import BaseModel

class Order(BaseModel):
    order_id: str
    quantity: int

orders = {}

async def process_message(message: aio_pika.abc.AbstractIncomingMessage) -> None:
    async with message.process():
        order = Order.model_validate_json(message.body)
        orders[order.order_id] = orders.get(order.order_id, 0) + order.quantity

async def main() -> None:
    connection = await aio_pika.connect_robust("amqp://guest:guest@127.0.0.1/")
    channel = await connection.channel()
    await channel.set_qos(prefetch_count=100)
    queue = await channel.declare_queue("orders", auto_delete=True)
    await queue.consume(process_message)
    try:
        await asyncio.Future()
    finally:
        await connection.close()
"""
AIOKAFKA = """
import json

from aiokafka import AIOKafkaConsumer

balances = {}

async def consume():
    consumer = AIOKafkaConsumer("payments", bootstrap_servers="localhost:9092", enable_auto_commit=False)
    await consumer.start()
    try:
        async for msg in consumer:
            payment = json.loads(msg.value)
            balances[payment["account"]] = balances.get(payment["account"], 0) + payment["amount"]
            await consumer.commit()
    finally:
        await consumer.stop()
"""
BOTO3 = """
import json

import boto3

QUEUE_URL = "https://sqs.us-east-1.amazonaws.com/123456789012/orders"
sqs = boto3.client("sqs", region_name="us-east-1")
totals = {}

def poll():
    while True:
        response = sqs.receive_message(QueueUrl=QUEUE_URL, MaxNumberOfMessages=10, WaitTimeSeconds=20)
        for message in response.get("Messages", []):
            body = json.loads(message["Body"])
            totals[body["sku"]] = totals.get(body["sku"], 0) + body["quantity"]
            sqs.delete_message(QueueUrl=QUEUE_URL, ReceiptHandle=message["ReceiptHandle"])
"""

NATS = """
import json

import nats

totals = {}

async def main():
    nc = await nats.connect("nats://localhost:4222")
    js = nc.jetstream()
    sub = await js.pull_subscribe("orders", durable="worker")
    while True:
        try:
            msgs = await sub.fetch(1, timeout=5)
        except nats.errors.TimeoutError:
            continue
        for msg in msgs:
            order = json.loads(msg.data)
            totals[order["sku"]] = totals.get(order["sku"], 0) + order["quantity"]
            await msg.ack()
"""
NATS_PUSH = """
import asyncio
import json

import nats

totals = {}

async def on_order(msg):
    order = json.loads(msg.data.decode())
    totals[order["sku"]] = totals.get(order["sku"], 0) + order["quantity"]
    await msg.ack()

async def main():
    nc = await nats.connect("nats://localhost:4222")
    js = nc.jetstream()
    await js.subscribe("orders", durable="worker", cb=on_order, manual_ack=True)
    await asyncio.Event().wait()
"""
REDIS = """
import redis

r = redis.Redis(host="localhost", decode_responses=True)
totals = {}

def work():
    while True:
        left = r.xautoclaim("orders", "billing", "worker-1", min_idle_time=60000)[1]
        for stream, entries in [["orders", left], *r.xreadgroup("billing", "worker-1", {"orders": ">"}, count=1)]:
            for entry_id, fields in entries:
                totals[fields["sku"]] = totals.get(fields["sku"], 0) + int(fields["quantity"])
                r.xack("orders", "billing", entry_id)
"""
REDIS_JSON = """
import json

import redis

totals = {}

def work():
    client = redis.Redis(host="localhost")
    while True:
        left = client.xautoclaim("orders", "billing", "worker-1", min_idle_time=60000)[1]
        for stream, entries in [[b"orders", left], *client.xreadgroup("billing", "worker-1", {"orders": ">"}, count=1)]:
            for entry_id, fields in entries:
                order = json.loads(fields[b"payload"])
                totals[order["sku"]] = totals.get(order["sku"], 0) + order["quantity"]
                client.xack("orders", "billing", entry_id)
"""
PUBSUB = """
import json

from google.cloud import pubsub_v1

totals = {}

def callback(message: pubsub_v1.subscriber.message.Message) -> None:
    order = json.loads(message.data)
    totals[order["sku"]] = totals.get(order["sku"], 0) + order["quantity"]
    message.ack()

def main():
    subscriber = pubsub_v1.SubscriberClient()
    path = subscriber.subscription_path("shop", "orders-sub")
    future = subscriber.subscribe(path, callback=callback)
    with subscriber:
        future.result()
"""
SERVICE_BUS = """
import json

from azure.servicebus import ServiceBusClient

totals = {}

def main():
    with ServiceBusClient.from_connection_string("Endpoint=sb://shop/") as client:
        with client.get_queue_receiver(queue_name="orders") as receiver:
            for msg in receiver:
                order = json.loads(str(msg))
                totals[order["sku"]] = totals.get(order["sku"], 0) + order["quantity"]
                receiver.complete_message(msg)
"""

SEPARATE = {"arq": ": it does not go with redis 6 and newer"}

ONCE = """    if {id} in seen:
        return {gives}
    seen.add({id})
"""
ADDS = "    balances[payment.account] ="

REPOSITORIES = {
    "lambda": Repository(
        "aws_lambda_powertools", "lambda_handler", LAMBDA, "record.message_id", 'payment["payment_id"]',
        ("LambdaSqs(report_batch_item_failures=True)", "deliver(handle_all, batch=True)", "return handler(messages)"),
    ),
    "kinesis": Repository(
        "chaoskit", "lambda_handler", KINESIS, "balances.get(payload[\"account\"], 0) + payload[\"amount\"]",
        'max(balances.get(payload["account"], 0), payload["amount"])',
        ('broker=Kinesis(consumer="lambda")', "report_batch_item_failures=False", "batch=True"),
    ),
    "dynamodb": Repository(
        "chaoskit", "lambda_handler", DYNAMODB, 'balances.get(account, 0) + int(image["amount"]["N"])',
        'max(balances.get(account, 0), int(image["amount"]["N"]))',
        (
            "records_per_put=1), without={Resend})", 'keys="account", report_batch_item_failures=False',
            '"account": message.key', "return handler(messages)",
        ),
    ),
    "arq": Repository(
        "arq", "charge", ARQ, "    balances[account] =",
        ONCE.format(id='ctx["job_id"]', gives="None") + "    balances[account] =",
        ("retries=False", 'ctx = {"balances": {}, "seen": set()}', "max_tries=3", "return ctx"),
    ),
    "pika": Repository(
        "pika", "callback", PIKA, 'orders.get(order["order_id"], 0) + order["quantity"]',
        'max(orders.get(order["order_id"], 0), order["quantity"])',
        ("RabbitMQ(prefetch=5)", 'monkeypatch.setattr(repo_pika.pika, "BlockingConnection", made)', "repo_pika.main()"),
    ),
    "aio_pika": Repository(
        "aio_pika", "process_message", AIO_PIKA, "orders.get(order.order_id, 0) + order.quantity",
        "max(orders.get(order.order_id, 0), order.quantity)",
        ("RabbitMQ(prefetch=100)", "await repo_aio_pika.main()", 'events(Order, keys="order_id")'),
    ),
    "aiokafka": Repository(
        "aiokafka", "consume", AIOKAFKA, 'balances.get(payment["account"], 0) + payment["amount"]',
        'max(balances.get(payment["account"], 0), payment["amount"])',
        (
            'broker=Kafka(on_error="stop")',
            'monkeypatch.setattr(repo_aiokafka, "AIOKafkaConsumer", made)',
            'keys="account"',
        ),
    ),
    "boto3": Repository(
        "boto3", "poll", BOTO3, 'totals.get(body["sku"], 0) + body["quantity"]',
        'max(totals.get(body["sku"], 0), body["quantity"])',
        ("broker=SqsStandard()", 'monkeypatch.setattr(repo_boto3, "sqs", own)', "own.client = client"),
    ),
    "nats": Repository(
        "nats", "main", NATS, 'totals.get(order["sku"], 0) + order["quantity"]',
        'max(totals.get(order["sku"], 0), order["quantity"])',
        ("broker=JetStream()", 'monkeypatch.setattr(repo_nats.nats, "connect", made)'),
    ),
    "nats_push": Repository(
        "nats", "on_order", NATS_PUSH, 'totals.get(order["sku"], 0) + order["quantity"]',
        'max(totals.get(order["sku"], 0), order["quantity"])',
        ("await repo_nats_push.main()",),
    ),
    "redis_json": Repository(
        "redis", "work", REDIS_JSON, 'totals.get(order["sku"], 0) + order["quantity"]',
        'max(totals.get(order["sku"], 0), order["quantity"])',
        ('field="payload", serializer=dumps',),
    ),
    "pubsub": Repository(
        "google.cloud.pubsub_v1", "callback", PUBSUB, 'totals.get(order["sku"], 0) + order["quantity"]',
        'max(totals.get(order["sku"], 0), order["quantity"])',
        ("broker=PubSub()", "repo_pubsub.main()"),
    ),
    "servicebus": Repository(
        "azure.servicebus", "main", SERVICE_BUS, 'totals.get(order["sku"], 0) + order["quantity"]',
        'max(totals.get(order["sku"], 0), order["quantity"])',
        ("broker=ServiceBus()", '"from_connection_string", made'),
    ),
    "redis": Repository(
        "redis", "work", REDIS, 'totals.get(fields["sku"], 0) + int(fields["quantity"])',
        'max(totals.get(fields["sku"], 0), int(fields["quantity"]))',
        ("deliver.consumer(Redis, decode_responses=True)", "broker=RedisStreams()"),
    ),
    "github": Repository(
        "flask", "hook", GITHUB, 'totals.get(order["sku"], 0) + order["quantity"]',
        'max(totals.get(order["sku"], 0), order["quantity"])',
        ('sign=webhooks.github(repo_github.SECRET, "release")', 'Webhook(provider="github", redelivers=True)'),
    ),
    "shopify": Repository(
        "flask", "hook", SHOPIFY, 'totals.get(order["sku"], 0) + order["quantity"]',
        'max(totals.get(order["sku"], 0), order["quantity"])',
        ("sign=webhooks.shopify(repo_shopify.SECRET.decode())", 'broker=Webhook(provider="shopify")'),
    ),
    "slack": Repository(
        "flask", "hook", SLACK, 'totals.get(order["sku"], 0) + order["quantity"]',
        'max(totals.get(order["sku"], 0), order["quantity"])',
        ("sign=webhooks.slack(repo_slack.SECRET)", 'broker=Webhook(provider="slack")'),
    ),
    "celery": Repository(
        "celery", "charge", CELERY, "    balances[account] =",
        ONCE.format(id="self.request.id", gives="None") + "    balances[account] =",
        ('acks_late=True, reject_on_worker_lost=True, transport="amqp"', "lambda message: message.value"),
    ),
    "faststream": Repository(
        "faststream.rabbit", "on_payment", FASTSTREAM, ADDS,
        ONCE.format(id="payment.payment_id", gives="None") + ADDS,
        ("broker=RabbitMQ()", 'events(Payment, keys="account")', "async with faststream.sub", "REJECT_ON_ERROR"),
    ),
    "flask": Repository(
        "flask", "paid", FLASK, "    balances[event",
        ONCE.format(id='event["event_id"]', gives='{"received": True}') + "    balances[event",
        ("app.register_blueprint(", '"/hooks/paid"', "broker=Webhook()"),
    ),
    "stripe": Repository(
        "stripe", "webhook", STRIPE, 'emails[customer["id"]] = customer["email"]',
        'emails[customer["id"]] = max(emails.get(customer["id"], ""), customer["email"])',
        ("sign=webhooks.stripe(repo_stripe.endpoint_secret)", "body=webhooks.stripe_event"),
    ),
    "dramatiq": Repository(
        "dramatiq", "charge", DRAMATIQ, "    balances[account] =",
        ONCE.format(id="task.message_id", gives="None") + "    balances[account] =",
        ("broker=Celery(acks_late=True, reject_on_worker_lost=True)", "dramatiq.actor("),
    ),
    "huey": Repository(
        "huey", "count", HUEY, 'totals.get(payment["account"], 0) + payment["amount"]',
        'max(totals.get(payment["account"], 0), payment["amount"])', ("Celery(retries=False)", "huey.task("),
    ),
    "rq": Repository(
        "rq", "count", RQ, "totals.get(account, 0) + amount", "max(totals.get(account, 0), amount)",
        ("retry=Retry(max=3)", "broker=Celery()"),
    ),
    "fastapi": Repository(
        "fastapi", "payments", FASTAPI, ADDS, ONCE.format(id="payment.payment_id", gives="None") + ADDS,
        ("app.include_router(", 'events(Payment, keys="account")', 'Guessed: `account` is the'),
    ),
}  # fmt: skip


def searched(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The verdict of the test as it is written."""
    with monkeypatch.context() as patched:
        patched.syspath_prepend(str(root))
        for module in (f"repo_{name}", f"test_repo_{name}"):
            sys.modules.pop(module, None)
        (file,) = root.glob("tests/test_*_chaos.py")
        source = file.read_text(encoding="utf-8")
        importlib.invalidate_caches()
        names: dict[str, Any] = {"__name__": f"test_repo_{name}"}
        exec(compile(source, str(file), "exec"), names)
        (test,) = (value for key, value in names.items() if key.startswith("test_"))
        broker = eval(re.search(r"broker=(\w+\([^()]*\))", source)[1], names)
        if "monkeypatch" in inspect.signature(test).parameters:
            test = functools.partial(test, monkeypatch=patched)
        return chaoskit.check(test, names["EVENTS"], broker, schedules=30, seed=1)


@pytest.mark.parametrize("name", REPOSITORIES)
def test_the_test_finds_the_bug_and_holds_after_the_repair(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no TODO in it."""
    case = REPOSITORIES[name]
    project = repository(tmp_path / "shop", **{f"repo_{name}.py": case.source})
    init(project, f"repo_{name}:{case.handler}", "--yes")
    (file,) = project.root.glob("tests/test_*_chaos.py")
    source = file.read_text(encoding="utf-8")
    assert "TODO" not in source, source
    assert [part for part in case.has if part not in source] == [], source
    assert_formatted(project, f"tests/{file.name}")
    # What is read off a source needs no library; to run what calls it does.
    pytest.importorskip(case.needs, reason=f"{case.needs} is missing" + SEPARATE.get(case.needs, ""))
    found = searched(project.root, name, monkeypatch)
    assert found.status == "violated", source
    assert case.wrong in case.source
    repaired = case.source.replace(case.wrong, case.right)
    # What it remembers then has to be made anew, too.
    again = repository(tmp_path / "again", **{f"repo_{name}.py": repaired})
    init(again, f"repo_{name}:{case.handler}", "--yes")
    held = searched(again.root, name, monkeypatch)
    assert held.status == "held", f"{source}\n{held.report()}"


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("read()", 'sign=webhooks.github("TODO: the secret of its signature")'),
        ("X-Acme-Signature", '"TODO": "its signature header"'),
    ],
)
def test_a_signature_that_the_source_does_not_explain_is_left_to_do(written: str, shown: str, tmp_path: Path) -> None:
    source = GITHUB.replace("request.data, SECRET", "request.data, read()")
    source = source if written == "read()" else GITHUB.replace("X-Hub-Signature-256", written)
    project = repository(tmp_path / "shop", **{"repo_acme.py": source})
    init(project, "repo_acme:hook", "--yes")
    (file,) = project.root.glob("tests/test_*_chaos.py")
    assert shown in file.read_text(encoding="utf-8"), file.read_text(encoding="utf-8")
    assert_formatted(project, f"tests/{file.name}")


DJANGO = {
    "manage.py": """
        import os
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "shop.settings")
    """,
    "shop/settings.py": """
        SECRET_KEY, STRIPE_WEBHOOK_SECRET = "test", "whsec_test"
        ROOT_URLCONF = "shop.urls"
        INSTALLED_APPS = ["billing"]
        DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
    """,
    "shop/urls.py": """
        from django.urls import include, path
        urlpatterns = [path("billing/", include("billing.urls"))]
    """,
    "billing/urls.py": """
        from django.urls import path
        from . import views
        urlpatterns = [path("stripe/", views.webhook, name="stripe"), path("repaired/", views.repaired_webhook)]
    """,
    "billing/models.py": """
        from django.db import models
        class Customer(models.Model):
            id = models.BigAutoField(primary_key=True)
            stripe_id = models.CharField(max_length=64, unique=True)
            email = models.CharField(max_length=64)
            updated_at = models.DateTimeField(auto_now=True)
    """,
    "billing/views.py": """
        import stripe
        from django.conf import settings
        from django.http import HttpResponse
        from django.views.decorators.csrf import csrf_exempt

        from .models import Customer

        @csrf_exempt
        def webhook(request):
            payload = request.body
            sig_header = request.META["HTTP_STRIPE_SIGNATURE"]
            try:
                event = stripe.Webhook.construct_event(payload, sig_header, settings.STRIPE_WEBHOOK_SECRET)
            except ValueError:
                return HttpResponse(status=400)
            if event["type"] == "customer.updated":
                customer = event["data"]["object"]
                Customer.objects.update_or_create(stripe_id=customer["id"], defaults={"email": customer["email"]})
            return HttpResponse(status=200)

        @csrf_exempt
        def repaired_webhook(request):
            event = stripe.Webhook.construct_event(
                request.body, request.META["HTTP_STRIPE_SIGNATURE"], secret=settings.STRIPE_WEBHOOK_SECRET
            )
            customer = event["data"]["object"]
            row, created = Customer.objects.get_or_create(stripe_id=customer["id"])
            row.email = max(row.email, customer["email"])
            row.save()
            return HttpResponse(status=200)
    """,
}


def test_a_django_view_is_called_by_its_path_over_the_rows_that_it_writes(tmp_path: Path) -> None:
    """One run of pytest for both, since a process has one Django: the bug is found, and the repaired view holds."""
    for package in ("django", "stripe", "pytest_django"):
        pytest.importorskip(package, reason=f"{package} is missing")
    files = {name: textwrap.dedent(text) for name, text in DJANGO.items()}
    project = repository(tmp_path / "shop", **files, **{"shop/__init__.py": "", "billing/__init__.py": ""})
    for view in ("webhook", "repaired_webhook"):
        init(project, f"billing.views:{view}", "--yes")
    assert "DJANGO_SETTINGS_MODULE = shop.settings\n" in (project.root / "pytest.ini").read_text()
    source = (project.root / "tests" / "test_webhook_chaos.py").read_text()
    for part in (
        "@pytest.mark.django_db(transaction=True)",
        "Customer.objects.all().delete()",
        '"/billing/stripe/"',
        "sign=webhooks.stripe(settings.STRIPE_WEBHOOK_SECRET)",
        'return sorted(Customer.objects.values_list("stripe_id", "email"), key=repr)',
    ):
        assert part in source
    assert "TODO" not in source
    assert_formatted(project, "tests/test_webhook_chaos.py", "tests/test_repaired_webhook_chaos.py")
    ran = project.run("pytest", "--chaos-seed=1", "--chaos-schedules=15", "-rA")
    assert "1 failed, 1 passed" in ran.out, ran.text
    assert "test_webhook does not survive" in ran.out
    assert "PASSED tests/test_repaired_webhook_chaos.py::test_repaired_webhook" in ran.out


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        ({"shop.py": DJANGO["billing/views.py"]}, "no settings are named (DJANGO_SETTINGS_MODULE) below"),
        ({**DJANGO, "billing/urls.py": "", "shop.py": DJANGO["billing/views.py"]}, "no urlpatterns lead to it below"),
    ],
)
def test_a_django_view_that_nothing_leads_to_is_refused(files: dict[str, str], shown: str, tmp_path: Path) -> None:
    made = {name: textwrap.dedent(text) for name, text in files.items()}
    project = repository(tmp_path / "shop", **made)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        refused = CliRunner().invoke(main, ["init", "shop.py:webhook", "--yes"])
    assert refused.exit_code == 2
    assert f"webhook is a Django view, and {shown}" in refused.output


READS_ENVIRONMENT = {
    "src/shop/__init__.py": "",
    "src/shop/config.py": 'import os\nDSN, LIMIT = os.environ["SHOP_DSN"], int(os.environ["SHOP_LIMIT"])\n',
    "src/shop/state.py": "totals = {}\n",
    "src/shop/worker.py": """
        import os
        from .config import LIMIT
        from .state import totals

        DEBUG = os.environ.get("DEBUG")

        def handle(event):
            totals[event["sku"]] = min(LIMIT, event["amount"])
    """,
}


def test_what_is_imported_with_the_handler_is_set_and_made_afresh(tmp_path: Path) -> None:
    """Relative imports below src/: variables without which it cannot be imported go into a conftest.py of our own, and
    the state of another module is emptied. A conftest.py that is there is left, with a note."""
    files = {name: textwrap.dedent(text) for name, text in READS_ENVIRONMENT.items()}
    project = repository(tmp_path / "shop", **files)
    init(project, "shop.worker:handle", "--yes")
    conftest = (project.root / "tests" / "conftest.py").read_text()
    assert 'os.environ.setdefault("SHOP_DSN", "test")\nos.environ.setdefault("SHOP_LIMIT", "1")\n' in conftest
    assert "DEBUG" not in conftest
    assert_formatted(project, "tests/conftest.py")
    test = (project.root / "tests" / "test_worker_chaos.py").read_text()
    assert "worker.totals.clear()" in test
    assert "TODO" not in test
    assert "has to set" not in init(project, "shop.worker:handle", "--dry-run")
    project.write("tests/conftest.py", "import pytest\n")
    assert (
        "Note: shop.worker reads SHOP_DSN and SHOP_LIMIT of the environment: tests/conftest.py has to set them"
        in init(project, "shop.worker:handle", "--dry-run")
    )
