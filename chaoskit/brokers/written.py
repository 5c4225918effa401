"""A broker from the text that one would write for it, such as `RabbitMQ(prefetch=1)`. Nothing of it is run."""

from __future__ import annotations

import ast
from types import NoneType
from typing import Any

import attrs

from chaoskit.brokers import BROKERS
from chaoskit.brokers.base import Settings
from chaoskit.values.errors import UsageError, did_you_mean
from chaoskit.values.texts import one_line

LONGEST = 1_000
"""Characters: more than any broker with all its settings."""

EXAMPLE = "write it as in Python, such as Kafka or RabbitMQ(prefetch=1)"


def broker_of(text: str) -> Settings:
    """The broker that is written there: its name, and settings as literals. Raises UsageError that says what is
    wrong."""
    name, keywords = _parsed(text)
    kind = BROKERS.get(name)
    if kind is None:
        raise UsageError(f"no broker is called {name!r}{did_you_mean(name, BROKERS)}")
    known = attrs.fields_dict(kind)
    settings: dict[str, Any] = {}
    for keyword in keywords:
        setting = keyword.arg or "**"
        if setting not in known:
            raise UsageError(f"{name} has no setting {setting!r}{did_you_mean(setting, known)}")
        if setting in settings:
            raise UsageError(f"{name}({setting}=…) is given twice")
        settings[setting] = _literal(name, setting, keyword.value)
    return kind(**settings)


def _parsed(text: str) -> tuple[str, list[ast.keyword]]:
    if len(text) > LONGEST:
        raise UsageError(f"more than {LONGEST:,} characters are no broker: {EXAMPLE}")
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise UsageError(f"{one_line(repr(text))} cannot be read as a broker: {EXAMPLE}") from None
    if isinstance(node, ast.Name):
        return node.id, []
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
        raise UsageError(f"{one_line(repr(text))} is no broker: {EXAMPLE}")
    if node.args:
        raise UsageError(f"{one_line(repr(text))}: settings are given by name; {EXAMPLE}")
    return node.func.id, node.keywords


def _literal(name: str, setting: str, node: ast.expr) -> Any:
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        value = ...
    # Of what no setting is, nothing is made: it need not be hashable, as the settings of a broker are.
    if not isinstance(value, (int, float, str, NoneType)):
        raise UsageError(f"{name}({setting}=…): a number, a text, True, False or None is needed; nothing is run here")
    return value
