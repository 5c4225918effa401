"""Subscribers of FastStream."""

from __future__ import annotations

import ast

from chaoskit.generate.adapted import (
    VALUE,
    Adapted,
    Substitution,
    class_of,
    decorator_of,
    keywords_of,
    made_by,
    taking_value,
)
from chaoskit.generate.classes import last_name
from chaoskit.generate.frameworks import imported_by
from chaoskit.generate.handlers import FoundHandler

_FASTSTREAM = {"kafka": "Kafka", "rabbit": "RabbitMQ", "nats": "JetStream", "redis": "RedisStreams"}


_NONE = "Guessed: no ack_policy is named, so that FastStream has"
_DEFAULTS = {
    "kafka": f"{_NONE} ACK_FIRST for Kafka: it goes on behind what fails. NACK_ON_ERROR seeks back to it.",
    "rabbit": f"{_NONE} REJECT_ON_ERROR: what fails is rejected, and gone without a dead-letter exchange "
    "(dead_letter_exchange=True). NACK_ON_ERROR queues it again.",
    "nats": f"{_NONE} REJECT_ON_ERROR: what fails is terminated (+TERM), and never shown again. NACK_ON_ERROR "
    "brings it back.",
    "redis": f"{_NONE} REJECT_ON_ERROR, which says nothing to Redis: what fails stays pending until it is claimed.",
    "": "",
}
"""What becomes of a failure where the source names no policy, by FastStream's module of the broker."""


def _says_policy(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.keyword) and node.arg in ("ack_policy", "no_ack") for node in ast.walk(tree))


def subscriber(handler: FoundHandler) -> Adapted | None:
    decorator = decorator_of(handler, frozenset({"subscriber"}))
    imports = imported_by(handler.tree)
    kind = next((each for each in _FASTSTREAM if each in imports), None)
    if not isinstance(decorator, ast.Call) or kind is None or "faststream" not in imports or not handler.needed:
        return None
    owner = decorator.func.value if isinstance(decorator.func, ast.Attribute) else None
    if not isinstance(owner, ast.Name):
        return None
    first = handler.needed[0]
    value = taking_value(
        handler, handler.function, Substitution(lambda node: False, {first.arg: ast.Name(VALUE, ast.Load())})
    )
    name = {"rabbit": "RabbitBroker"}.get(kind, f"{kind.capitalize()}Broker")
    made = made_by(handler.tree, owner.id)
    is_router = made is not None and last_name(made.func).endswith("Router")
    broker = "RedisList" if kind == "redis" and "list" in keywords_of(decorator) else _FASTSTREAM[kind]
    return Adapted(
        value,
        "faststream",
        "subscriber",
        ("broker" if is_router else "{broker}", "{handler}"),
        broker,
        _of_rabbit(handler.tree) if broker == "RabbitMQ" else {},
        assumed="" if _says_policy(handler.tree) else _DEFAULTS[kind if broker != "RedisList" else ""],
        is_async=True,
        is_context=True,
        kind=class_of(handler, first.annotation),
        objects={"broker": owner.id},
        names={"kind": (f"faststream.{kind}", name)} if is_router else {},
        before=("broker = {kind}()", "broker.include_router({broker})") if is_router else (),
    )


def _of_rabbit(tree: ast.Module) -> dict[str, str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "prefetch_count" and isinstance(node.value, ast.Constant):
            return {"prefetch": repr(node.value.value)}
    return {}
