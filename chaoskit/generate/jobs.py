"""Tasks of a queue of jobs: Celery, Dramatiq, Huey, RQ."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping

import attrs

from chaoskit.generate.adapted import (
    VALUE,
    Adapted,
    Substitution,
    calls_in,
    class_of,
    decorator_of,
    is_true,
    keywords_of,
    taking_value,
)
from chaoskit.generate.celery_apps import told_of_celery, transport_of
from chaoskit.generate.django_views import rows_of, settings_module
from chaoskit.generate.frameworks import imported_by
from chaoskit.generate.handlers import FoundHandler


def task(handler: FoundHandler) -> Adapted | None:
    imports = imported_by(handler.tree)
    for package, (function, names, settings_of) in _TASKS.items():
        decorator = decorator_of(handler, names) if package in imports else None
        if decorator is not None:
            given = keywords_of(decorator)
            made = task_of(handler, handler.needed[1 if is_true(given.get("bind")) else 0 :], package, function)
            retry = ast.unparse(given["retry"]) if package == "rq" and "retry" in given else ""
            options = {"retry": f"{{retry}}{retry.removeprefix('Retry')}"} if retry.startswith("Retry(") else {}
            settings = settings_of(handler, given)
            named = {"retry": ("rq", "Retry")} if options else {}
            if made is not None:
                made = attrs.evolve(made, settings=settings, options=options, names=named)
            return _of_celery_project(made, handler) if made and package == "celery" else made
    return None


def task_of(handler: FoundHandler, needed: list[ast.arg], adapter: str, function: str) -> Adapted | None:
    if not needed:
        return None
    read = {node.id for node in ast.walk(handler.function) if isinstance(node, ast.Name)}
    needed = [*needed, *(each for each in handler.optional if each.arg in read)]
    if len(needed) == 1:
        instead: dict[str, ast.expr] = {needed[0].arg: ast.Name(VALUE, ast.Load())}
        items: tuple[str, ...] = ("{handler}",)
        typed: dict[str, ast.expr] = {}
    else:
        load = ast.Load()
        instead = {each.arg: ast.Subscript(ast.Name(VALUE, load), ast.Constant(each.arg), load) for each in needed}
        items = ("{handler}", "lambda message: message.value")
        typed = {each.arg: each.annotation or ast.Constant(None) for each in needed}
    value = taking_value(handler, handler.function, Substitution(lambda node: False, instead))
    kind = class_of(handler, needed[0].annotation) if len(needed) == 1 else None
    alone = needed[0] if len(needed) == 1 else None
    return Adapted(value, adapter, function, items, "Celery", kind=kind, typed=typed, alone=alone)


def _of_dramatiq(handler: FoundHandler, given: Mapping[str, ast.expr]) -> dict[str, str]:
    return {"acks_late": "True", "reject_on_worker_lost": "True"}


def _of_huey(handler: FoundHandler, given: Mapping[str, ast.expr]) -> dict[str, str]:
    return {} if "retries" in given or "RetryTask" in ast.unparse(handler.tree) else {"retries": "False"}


def _of_rq(handler: FoundHandler, given: Mapping[str, ast.expr]) -> dict[str, str]:
    return {} if "retry" in given else {"retries": "False"}


def _of_celery(handler: FoundHandler, given: Mapping[str, ast.expr]) -> dict[str, str]:
    settings: dict[str, str] = {}
    trees = told_of_celery(handler)
    source = "\n".join(map(ast.unparse, trees))
    for name in ("acks_late", "reject_on_worker_lost"):
        everywhere = re.search(rf"\btask_{name}\s*=\s*True|\bCELERY_TASK_{name.upper()}\s*=\s*True", source)
        if is_true(given.get(name)) or (name not in given and everywhere):
            settings[name] = "True"
    if "acks_late" not in settings:
        settings.pop("reject_on_worker_lost", None)
    if (transport := transport_of(trees)) != "redis":
        settings |= {"transport": f'"{transport}"'} if transport else {}
    if "autoretry_for" not in given and not any(calls_in(handler.function, "retry")):
        settings["retries"] = "False"
    return settings


def _of_celery_project(made: Adapted, handler: FoundHandler) -> Adapted:
    """With the rows of Django's models that the task uses, and what is assumed where no broker shows."""
    if not transport_of(told_of_celery(handler)):
        made = attrs.evolve(made, assumed='The broker\'s URL does not show: transport="redis" is assumed.')
    settings, rows = settings_module(handler.base), rows_of(handler)
    if settings is None or not rows.objects:
        return made
    return attrs.evolve(
        made,
        objects={**made.objects, **rows.objects},
        before=(*made.before, *rows.before),
        returns=rows.returns,
        decorators=rows.decorators,
        pytest_settings={"DJANGO_SETTINGS_MODULE": settings},
    )


_Settings = Callable[[FoundHandler, Mapping[str, ast.expr]], dict[str, str]]
_TASKS: dict[str, tuple[str, frozenset[str], _Settings]] = {
    "celery": ("task", frozenset({"task", "shared_task"}), _of_celery),
    "dramatiq": ("actor", frozenset({"actor"}), _of_dramatiq),
    "huey": ("task", frozenset({"task", "db_task"}), _of_huey),
    "rq": ("job", frozenset({"job"}), _of_rq),
}
"""By the package: the function of its adapter, its decorators, and what they say of the broker."""
