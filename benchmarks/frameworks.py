"""Question 9: what does an adapter cost per delivery, over the same function called with the value?"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any

from benchmarks.measure import CPU, Figure, Row, Section, say
from chaoskit import Message
from chaoskit.adapters import arq, aws_lambda, celery, dramatiq, faststream, huey, rq, webhooks

DELIVERIES = {True: 200, False: 1000}
"""In each repetition, by whether it is the quick report."""
MESSAGE = Message("ann", {"order": "o1", "amount": 5}, "e1", 1, {"retries": 0}, 1_700_000_000.0, "orders", attempt=1,
                  message_id="m1")  # fmt: skip

ROWS: dict[str, int] = {}


def book(order: dict[str, Any]) -> None:
    ROWS[order["order"]] = order["amount"]


async def book_later(order: dict[str, Any]) -> None:
    book(order)


def lambda_handler(event: Any, context: Any) -> None:
    for record in event["Records"]:
        book(json.loads(record["body"]))


def behind_sns(event: Any, context: Any) -> None:
    for record in event["Records"]:
        book(json.loads(json.loads(record["body"])["Message"]))


def of_kinesis(event: Any, context: Any) -> None:
    for record in event["Records"]:
        book(json.loads(base64.b64decode(record["kinesis"]["data"])))


def of_dynamodb(event: Any, context: Any) -> None:
    for record in event["Records"]:
        image = record["dynamodb"]["NewImage"]
        book({"order": image["order"]["S"], "amount": int(image["amount"]["N"])})


def of_eventbridge(event: Any, context: Any) -> None:
    book(event["detail"])


async def job(ctx: Any, order: dict[str, Any]) -> None:
    book(order)


def _flask() -> Any:
    import flask

    app = flask.Flask("shop")
    app.post("/orders")(lambda: (book(flask.request.get_json()), {})[1])
    return webhooks.wsgi(app, "/orders")


def _django() -> Any:
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler
    from django.http import HttpResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    @csrf_exempt
    def view(request: Any) -> HttpResponse:
        book(json.loads(request.body))
        return HttpResponse()

    settings.configure(ALLOWED_HOSTS=["localhost"], ROOT_URLCONF=(path("orders", view),))
    return webhooks.wsgi(WSGIHandler(), "/orders")


def _fastapi() -> Any:
    import fastapi

    app = fastapi.FastAPI()
    app.post("/orders")(book_later)
    return webhooks.asgi(app, "/orders")


def _celery() -> Any:
    from celery import Celery

    return celery.task(Celery("shop", broker="redis://nowhere", set_as_current=False).task(book))


def _dramatiq() -> Any:
    from dramatiq import actor
    from dramatiq.brokers.stub import StubBroker

    return dramatiq.actor(actor(book, broker=StubBroker()))


def _huey() -> Any:
    from huey import MemoryHuey

    return huey.task(MemoryHuey("shop").task()(book))


def _faststream(kind: str) -> Any:
    name = {"rabbit": "RabbitBroker", "kafka": "KafkaBroker", "nats": "NatsBroker", "redis": "RedisBroker"}[kind]
    broker = getattr(importlib.import_module(f"faststream.{kind}"), name)(logger=None)
    broker.subscriber("orders")(book_later)
    return faststream.subscriber(broker)


ADAPTERS: dict[str, tuple[str, Callable[[], Any]]] = {
    "aws_lambda.sqs": ("json", lambda: aws_lambda.sqs(lambda_handler)),
    "aws_lambda.sns_sqs": ("json", lambda: aws_lambda.sns_sqs(behind_sns)),
    "aws_lambda.kinesis": ("json", lambda: aws_lambda.kinesis(of_kinesis)),
    "aws_lambda.dynamodb": ("json", lambda: aws_lambda.dynamodb(of_dynamodb, keys="order")),
    "aws_lambda.eventbridge": ("json", lambda: aws_lambda.eventbridge(of_eventbridge)),
    "webhooks.wsgi (Flask)": ("flask", _flask),
    "webhooks.wsgi (Django)": ("django", _django),
    "webhooks.asgi (FastAPI)": ("fastapi", _fastapi),
    "celery.task": ("celery", _celery),
    "faststream.subscriber (RabbitMQ)": ("aio_pika", partial(_faststream, "rabbit")),
    "faststream.subscriber (Kafka)": ("aiokafka", partial(_faststream, "kafka")),
    "faststream.subscriber (NATS)": ("nats", partial(_faststream, "nats")),
    "faststream.subscriber (Redis)": ("redis", partial(_faststream, "redis")),
    "dramatiq.actor": ("dramatiq", _dramatiq),
    "huey.task": ("huey", _huey),
    "rq.job": ("rq", lambda: rq.job(book)),
    "arq.job": ("arq", lambda: arq.job(job)),
}
"""Each with the library that it needs."""


def measure(quick: bool) -> Section:
    logging.disable(logging.CRITICAL)
    try:
        times = asyncio.run(_times(DELIVERIES[quick]))
    finally:
        logging.disable(logging.NOTSET)
    plain = times.pop("plain")
    rows = tuple(
        Row(name, time / plain, Figure(time, "µs"), Figure(plain, "µs"), "median of 5") for name, time in times.items()
    )
    note = (
        "CPU time of one delivery through the adapter, for a function that writes one entry of a dict, over that of "
        "the function called with the value. What is not installed is left out."
    )
    return Section("Time of an adapter for each delivery", "adapter", "plain function", note, rows)


async def _times(deliveries: int) -> dict[str, float]:
    """Microseconds of one call."""
    times = {"plain": await _per_call(lambda message: book(message.value), deliveries)}
    for name, (needs, make) in ADAPTERS.items():
        if find_spec(needs) is None or (name.startswith("faststream") and find_spec("faststream") is None):
            say(f"adapters: {needs} is missing")
            continue
        say(f"adapters: {name}")
        async with AsyncExitStack() as stack:
            made = make()
            handler = await stack.enter_async_context(made) if hasattr(made, "__aenter__") else made
            times[name] = await _per_call(handler, deliveries)
    return times


async def _per_call(handler: Callable[[Message], Awaitable[None] | Any], deliveries: int) -> float:
    took = []
    for _ in range(5):
        started = CPU()
        for _ in range(deliveries):
            done = handler(MESSAGE)
            if isinstance(done, Awaitable):
                await done
        took.append((CPU() - started) / deliveries * 1e6)
    return median(took)
