"""A process dies inside of what a framework calls, at the same place of the user's code as in a plain handler."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chaoskit import Celery, Crash, Event, LambdaSqs, RabbitMQ, Webhook, check
from chaoskit.adapters import aws_lambda, celery, faststream, webhooks

BOOKS = """
import json

seen, rows = set(), {}

def book(order):
    if order["order"] in seen:
        return
    seen.add(order["order"])
    rows[order["order"]] = order["amount"]
"""
LAMBDA = """
def lambda_handler(event, context):
    for record in event["Records"]:
        book(json.loads(record["body"]))
"""
CELERY = """
import celery

app = celery.Celery("shop", broker="redis://nowhere", set_as_current=False)

@app.task(acks_late=True)
def charge(order):
    book(order)
"""
FLASK = """
import flask

app = flask.Flask("shop")

@app.post("/webhook")
def hook():
    book(flask.request.get_json())
    return {}
"""
FASTAPI = """
import fastapi

app = fastapi.FastAPI()

@app.post("/webhook")
async def hook(order: dict):
    book(order)
"""
FASTSTREAM = """
import logging
from faststream.rabbit import RabbitBroker

broker = RabbitBroker(log_level=logging.DEBUG, logger=None)

@broker.subscriber("orders")
async def on_order(order: dict):
    book(order)
"""

SHOPS: dict[str, tuple[str, str, Callable[[Any], Any], Any]] = {
    "chaoskit": ("lambda", LAMBDA, lambda shop: lambda: aws_lambda.sqs(shop.lambda_handler), LambdaSqs()),
    "celery": ("celery", CELERY, lambda shop: (lambda task: lambda: task)(celery.task(shop.charge)),
               Celery(acks_late=True, reject_on_worker_lost=True)),
    "flask": ("flask", FLASK, lambda shop: lambda: webhooks.wsgi(shop.app), Webhook()),
    "fastapi": ("fastapi", FASTAPI, lambda shop: lambda: webhooks.asgi(shop.app), Webhook()),
    "faststream": ("faststream", FASTSTREAM, lambda shop: lambda: faststream.subscriber(shop.broker), RabbitMQ()),
}  # fmt: skip
"""By the library that each needs: its name, its source, what makes the handler of a process, and the broker."""


@pytest.fixture
def shop_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], Any]]:
    """A module of the user's own, as code of tests is not stepped into."""
    monkeypatch.syspath_prepend(tmp_path)
    made: list[str] = []

    def make(name: str, source: str) -> Any:
        made.append(f"shop_of_{name}")
        (tmp_path / f"shop_of_{name}.py").write_text(BOOKS + source, encoding="utf-8")
        importlib.invalidate_caches()
        return importlib.import_module(f"shop_of_{name}")

    yield make
    for module in made:
        sys.modules.pop(module, None)


@pytest.mark.parametrize("needs", SHOPS)
def test_a_death_between_two_effects_is_found(needs: str, shop_of: Callable[[str, str], Any]) -> None:
    """What was remembered before it was done is never done."""
    pytest.importorskip(needs, reason=f"{needs} is missing")
    name, source, spawn_of, broker = SHOPS[needs]
    shop = shop_of(name, source)
    spawn = spawn_of(shop)

    def test(deliver: Any) -> dict[str, int]:
        shop.seen.clear()
        shop.rows.clear()
        deliver(spawn=spawn)
        return dict(shop.rows)

    async def test_async(deliver: Any) -> dict[str, int]:
        shop.seen.clear()
        shop.rows.clear()
        await deliver(spawn=spawn)
        return dict(shop.rows)

    stream = [Event("ann", {"order": f"o{n}", "amount": n}) for n in (1, 2)]
    is_async = needs in ("fastapi", "faststream")
    found = check(test_async if is_async else test, stream, broker, faults={Crash}, schedules=20, seed=1)
    assert found.status == "violated"
    assert 'the last of them `seen.add(order["order"])`' in " ".join(found.report().split())
    if needs == "faststream":
        assert not shop.broker.config.broker_config.broker_middlewares
