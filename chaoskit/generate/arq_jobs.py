"""Jobs of arq: coroutines that the worker's settings list, or that take `ctx` first."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import attrs

from chaoskit.generate.adapted import Adapted, calls_in, plain_line
from chaoskit.generate.classes import Function, last_name
from chaoskit.generate.frameworks import is_arq_job
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.jobs import task_of
from chaoskit.generate.source import flat, mapping, quoted
from chaoskit.generate.state import is_plain

_OWN = frozenset({"job_id", "job_try", "enqueue_time", "score"})
"""What arq puts into the context of a job."""


def arq_job(handler: FoundHandler) -> Adapted | None:
    if not handler.is_async or not is_arq_job(handler.tree, handler.function):
        return None
    ctx, *needed = handler.needed
    made = task_of(handler, needed, "arq", "job")
    if made is None:
        return None
    settings = {"acks_late": "True", "reject_on_worker_lost": "True"}
    if not any(name in ast.unparse(handler.tree) for name in ("Retry(", "RetryJob")):
        settings["retries"] = "False"
    options: dict[str, str] = {}
    if tries := _max_tries(handler):
        options["max_tries"] = tries
    read = [name for name in dict.fromkeys(_read_of(handler.function, ctx.arg)) if name not in _OWN]
    if not read:
        return attrs.evolve(made, settings=settings, options=options, is_async=True)
    begun = _put_by_startup(handler)
    filled = ", ".join(f"{quoted(name)}: {begun.get(name, name)}" for name in read)
    held = {name: f"ctx[{quoted(name)}]" for name in read if name in begun}
    whole = next(iter(held.values())) if len(held) == 1 else flat(mapping((quoted(k), v) for k, v in held.items()))
    state = "ctx" if len(held) == len(read) > 1 else whole
    return attrs.evolve(
        made,
        settings=settings,
        options={"ctx": "ctx", **options},
        is_async=True,
        before=(plain_line(f"ctx = {{{filled}}}"),),
        needs=tuple(name for name in read if name not in begun),
        returns=(lambda _: state) if held else None,
    )


def _max_tries(handler: FoundHandler) -> str:
    """As the worker's settings or `func(…)` say; empty where neither does."""
    name = handler.function.name
    for call in calls_in(handler.tree, "func"):
        for word in call.keywords:
            if call.args and last_name(call.args[0]) == name and word.arg == "max_tries":
                return ast.unparse(word.value)
    for node in ast.walk(handler.tree):
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "max_tries":
            return ast.unparse(node.value) if isinstance(node.value, ast.Constant) else ""
    return ""


def _read_of(function: Function, ctx: str) -> Iterator[str]:
    """The names of what it takes of its context."""
    for node in ast.walk(function):
        place: ast.AST | None = None
        of: ast.AST | None = None
        if isinstance(node, ast.Subscript):
            of, place = node.value, node.slice
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get":
            of, place = node.func.value, next(iter(node.args), None)
        is_name = isinstance(place, ast.Constant) and isinstance(place.value, str)
        if isinstance(of, ast.Name) and of.id == ctx and is_name and isinstance(place, ast.Constant):
            yield str(place.value)


def _put_by_startup(handler: FoundHandler) -> dict[str, str]:
    """What `ctx["rows"] = {}` of the module's `on_startup` puts there, where it is plain."""
    found: dict[str, str] = {}
    for function in handler.tree.body:
        if isinstance(function, Function) and "startup" in function.name and function.args.args:
            ctx = function.args.args[0].arg
            for target, value in _assigned(function):
                name = target.slice.value if isinstance(target.slice, ast.Constant) else None
                if isinstance(name, str) and ast.unparse(target.value) == ctx and is_plain(value):
                    found[name] = ast.unparse(value).replace("'", '"')
    return found


def _assigned(function: Function) -> Iterator[tuple[ast.Subscript, ast.expr]]:
    """The items that it sets, and to what."""
    for node in ast.walk(function):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            pairs = [(target, node.value)]  # type: ignore[attr-defined]
            if isinstance(target, ast.Tuple) and isinstance(pairs[0][1], ast.Tuple):
                pairs = list(zip(target.elts, pairs[0][1].elts, strict=False))
            yield from ((to, value) for to, value in pairs if isinstance(to, ast.Subscript))
