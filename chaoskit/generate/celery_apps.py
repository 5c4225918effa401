"""What a repository says of its Celery, beside a task or elsewhere: the URL of the broker, defaults for tasks."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from chaoskit.generate.classes import last_name
from chaoskit.generate.django_views import settings_module
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.project import imported_with, module_file, parse

_NAMES = re.compile(r"(\w+_)?broker_url|broker|broker_read_url|broker_write_url", re.IGNORECASE)
_URL = re.compile(r"(?:py)?(amqp|sqs|rediss?|sentinel)s?://", re.IGNORECASE)
_MODULES = ("celery.py", "celery_app.py", "celeryapp.py", "celeryconfig.py", "celery_config.py")


def told_of_celery(handler: FoundHandler) -> list[ast.Module]:
    """The modules that may configure it: the task's, those imported with it, an app's or a configuration's by their
    usual names, Django's settings."""
    base = handler.base
    file = module_file(handler.module, [base])
    found = [handler.tree] if file is None else list(imported_with(file, handler.module, [base]).values())
    files = [place for name in _MODULES for place in (base / name, *sorted(base.glob(f"*/{name}")))]
    if (settings := settings_module(base)) and (of_django := module_file(settings, [base])):
        files.append(of_django)
    return [*found, *(tree for each in files if each.is_file() and (tree := parse(each)) is not None)]


def transport_of(trees: list[ast.Module]) -> str:
    """By the first URL of a broker: "redis", "amqp" or "sqs"; empty where none shows."""
    for tree in trees:
        for value in _urls(tree):
            if found := _URL.match(value):
                return {"amqp": "amqp", "sqs": "sqs"}.get(found[1].lower(), "redis")
    return ""


def _urls(tree: ast.Module) -> Iterator[str]:
    """The texts that something called like a broker's URL is set to, by itself or as a default."""
    named: list[tuple[str, ast.expr]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            named += [(last_name(target), node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            named.append((last_name(node.target), node.value))
        elif isinstance(node, ast.keyword):
            named.append((node.arg or "", node.value))
        elif isinstance(node, ast.Dict):
            keys = [each.value if isinstance(each, ast.Constant) else "" for each in node.keys]
            named += [(str(key), value) for key, value in zip(keys, node.values, strict=True)]
    constants = {name: value for name, value in named if name}
    for name, value in named:
        if not _NAMES.fullmatch(name):
            continue
        value = constants.get(value.id, value) if isinstance(value, ast.Name) else value
        yield from (
            each.value for each in ast.walk(value) if isinstance(each, ast.Constant) and isinstance(each.value, str)
        )
