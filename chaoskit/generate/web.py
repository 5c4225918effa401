"""Endpoints of Flask and FastAPI."""

from __future__ import annotations

import ast
import re

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
from chaoskit.generate.frameworks import framework_of
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.requests import is_request_body, signed

_POSTS = frozenset({"route", "post", "api_route", "put"})


def endpoint(handler: FoundHandler) -> Adapted | None:
    what = framework_of(handler.tree, handler.function, [each.arg for each in handler.needed])
    is_flask, is_fastapi = what.startswith("a Flask endpoint"), what.startswith("a FastAPI endpoint")
    decorator = decorator_of(handler, _POSTS)
    if not (is_flask or is_fastapi) or not isinstance(decorator, ast.Call) or not decorator.args:
        return None
    path, owner = decorator.args[0], getattr(decorator.func, "value", None)
    if not isinstance(path, ast.Constant) or not isinstance(owner, ast.Name) or not isinstance(path.value, str):
        return None
    if re.search(r"[<{]", path.value):  # a part of the path is an argument
        return None
    body = None if is_flask else _body_of(handler)
    instead: dict[str, ast.expr] = {} if body is None else {body.arg: ast.Name(VALUE, ast.Load())}
    value = taking_value(handler, handler.function, Substitution(is_request_body, instead))
    app, prefix, before = _app(handler.tree, owner.id, is_flask)
    sign = signed(handler)
    kind = ("flask", "Flask") if is_flask else ("fastapi", "FastAPI")
    return Adapted(
        value,
        "webhooks",
        "wsgi" if is_flask else "asgi",
        (app, f'"{prefix}{path.value}"'),
        "Webhook",
        sign.settings,
        options=sign.options,
        is_async=is_fastapi,
        kind=None if body is None else class_of(handler, body.annotation),
        objects={"app": owner.id, **sign.objects},
        environment=sign.environment,
        names={**sign.names, **({"kind": kind} if before else {})},
        before=before,
    )


def _body_of(handler: FoundHandler) -> ast.arg | None:
    """The parameter that FastAPI makes of the body."""
    kinds = ("Request", "BackgroundTasks", "Response")
    return next(
        (each for each in handler.needed if each.annotation and not last_name(each.annotation).endswith(kinds)), None
    )


def _app(tree: ast.Module, owner: str, is_flask: bool) -> tuple[str, str, tuple[str, ...]]:
    """The application, a prefix of its paths, and the lines that put a blueprint or a router into one."""
    made = made_by(tree, owner)
    name = last_name(made.func) if made is not None else ""
    if made is None or name not in ("Blueprint", "APIRouter"):
        return "{app}", "", ()
    given = keywords_of(made).get("url_prefix" if is_flask else "prefix")
    prefix = given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else ""
    if is_flask:
        return "app", prefix, ("app = {kind}(__name__)", "app.register_blueprint({app})")
    return "app", prefix, ("app = {kind}()", "app.include_router({app})")
