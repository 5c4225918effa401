"""Functions that a framework calls in a way of its own, recognised by their source. `chaoskit init` has no recipe for
them: what it would guess of their parameters were wrong."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

import attrs

from chaoskit.generate.classes import Function


@attrs.frozen
class _Kind:
    """`imports`: the packages of which the module imports one. `decorators`: the last names of the decorators that mark
    such a function."""

    what: str
    imports: tuple[str, ...]
    decorators: frozenset[str]


_METHODS = frozenset({"route", "get", "post", "put", "patch", "delete", "api_route", "websocket", "api_view"})
_TASKS = frozenset({"task", "shared_task", "periodic_task"})

_KINDS = (
    _Kind("a FastStream subscriber", ("faststream",), frozenset({"subscriber", "publisher"})),
    _Kind("a Dramatiq actor", ("dramatiq",), frozenset({"actor"})),
    _Kind("a Huey task", ("huey",), _TASKS | {"db_task"}),
    _Kind("a Taskiq task", ("taskiq", "taskiq_aio_pika", "taskiq_redis", "taskiq_nats"), _TASKS),
    _Kind("a Procrastinate task", ("procrastinate",), _TASKS),
    _Kind("an RQ job", ("rq", "django_rq"), frozenset({"job"})),
    _Kind("a Faust agent", ("faust",), frozenset({"agent"})),
    _Kind("a Nameko entry point", ("nameko",), frozenset({"event_handler", "rpc", "consume", "timer"})),
    _Kind("a Chalice function", ("chalice",), _METHODS | {"on_sqs_message", "on_sns_message", "on_kinesis_record"}),
    _Kind("a Google Cloud function", ("functions_framework",), frozenset({"cloud_event", "http"})),
    _Kind("a FastAPI endpoint", ("fastapi",), _METHODS),
    _Kind("a Flask endpoint", ("flask",), _METHODS),
    _Kind("a Quart endpoint", ("quart",), _METHODS),
    _Kind("a Starlette endpoint", ("starlette",), _METHODS),
    _Kind("a Litestar endpoint", ("litestar",), _METHODS),
    _Kind("a Sanic endpoint", ("sanic",), _METHODS),
    _Kind("an aiohttp endpoint", ("aiohttp",), _METHODS),
    _Kind("a Django REST framework endpoint", ("rest_framework",), _METHODS),
    _Kind("a Django Ninja endpoint", ("ninja",), _METHODS),
)
_OF_REQUESTS = (
    ("rest_framework", "a Django REST framework endpoint"),
    ("django", "a Django view"),
    ("aiohttp", "an aiohttp endpoint"),
    ("starlette", "a Starlette endpoint"),
)
_READ_OF_REQUESTS = frozenset({"body", "data", "form", "get_json", "headers", "json", "META", "POST", "stream"})
_EVENTS = frozenset({"event", "_event", "events"})
_CONTEXTS = frozenset({"context", "_context", "lambda_context", "ctx", "_ctx"})
_PIKA = ({"ch", "channel", "_channel", "_ch"}, {"method", "method_frame", "_method", "deliver"})
_POLLS = frozenset(
    {
        "basic_get", "blpop", "brpop", "brpoplpush", "blmove", "consume", "fetch", "get_message", "getmany", "getone",
        "poll", "pull", "receive", "receive_message", "receive_messages", "recv", "xread", "xreadgroup",
    }
)  # fmt: skip
_FEEDS = frozenset({"consume", "iter_messages", "iterator", "listen", "messages", "receive_messages"})
_CONSUMER = re.compile(
    r"\w*(consumer|subscriber|subscription|receiver|pubsub|queue|client|channel|stream|sqs|redis|broker|connection)",
    re.IGNORECASE,
)
_SETTLES = frozenset({"ack", "ack_sync", "acknowledge", "basic_ack", "modify_ack_deadline", "nack", "nak"})
_SETTLES_A_MESSAGE = frozenset({"abandon", "complete", "dead_letter", "process", "reject", "term"})
"""For a message only: an order is completed, too."""
NAMES_OF_MESSAGES = ("message", "msg", "event", "record", "payload", "body", "evt", "envelope", "data", "item")
"""What a parameter is called that is a message or its value, the likeliest first."""


def framework_of(tree: ast.Module, function: Function, needed: Sequence[str]) -> str:
    """What calls this function, such as "a FastStream subscriber"; empty for a function that is handed a message or its
    value. `needed`: its required parameters."""
    imports = imported_by(tree)
    return (
        _decorated(function, imports, needed)
        or ("an arq job" if is_arq_job(tree, function) else "")
        or _of_lambda(function, imports, needed)
        or _of_request(function, imports, needed)
        or _polls(function, needed)
        or _settles(function, needed)
    )


def handed_to(tree: ast.Module, function: Function) -> list[str]:
    """The module's own functions that this one calls with something, or hands on."""
    own = {node.name for node in tree.body if isinstance(node, Function)} - {function.name}
    found: dict[str, None] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Call):
            given = [*node.args, *(word.value for word in node.keywords)]
            for each in [node.func, *given] if given else []:
                if isinstance(each, ast.Name) and each.id in own:
                    found[each.id] = None
    return list(found)


def imported_by(tree: ast.Module) -> set[str]:
    """The parts of the names of the modules that it imports from: `from shop.celery import app` shows Celery, too."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {part for alias in node.names for part in alias.name.split(".")}
        elif isinstance(node, ast.ImportFrom):
            found |= {*(node.module or "").split(".")}
    return found


def _last(node: ast.AST) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


# Decorators.


def _decorated(function: Function, imports: set[str], needed: Sequence[str]) -> str:
    for decorator in function.decorator_list:
        called = decorator if isinstance(decorator, ast.Call) else None
        name = _last(called.func if called else decorator)
        shown = f" (@{ast.unparse(decorator)})"
        for kind in _KINDS:
            if name in kind.decorators and imports & {*kind.imports}:
                return kind.what + shown
        if name in _TASKS and (why := _of_celery(called, imports, needed)):
            return f"a Celery task{why}{shown}"
        if name.endswith("_trigger"):
            return "an Azure function" + shown
        # Also where the module imports no framework by name: its app may be made elsewhere.
        if name == "subscriber" and called is not None:
            return "a subscriber of a framework, such as FastStream" + shown
        if name in _METHODS and called is not None and _is_path(called):
            return "an endpoint of a web framework" + shown
    return ""


def _of_celery(decorator: ast.Call | None, imports: set[str], needed: Sequence[str]) -> str:
    """Why this task is none that a test can call with a value. One that takes the value alone is."""
    given = {word.arg: word.value for word in decorator.keywords} if decorator else {}
    bind = given.get("bind")
    if isinstance(bind, ast.Constant) and bind.value is True:
        return " that is bound to itself"
    return " that takes more than one argument" if "celery" in imports and len(needed) > 1 else ""


def _is_path(decorator: ast.Call) -> bool:
    first = decorator.args[0] if decorator.args else None
    return isinstance(first, ast.Constant) and isinstance(first.value, str) and first.value.startswith("/")


# Parameters.


def is_arq_job(tree: ast.Module, function: Function) -> bool:
    """Whether a worker of arq runs it: its settings list it, or it takes their `ctx`, in a module that imports arq."""
    positional = [each.arg for each in function.args.args]
    if not positional:
        return False
    if positional[0] in ("ctx", "_ctx") and "arq" in imported_by(tree):
        return True
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and "WorkerSettings" in node.name:
            for each in node.body:
                if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "functions":
                    return any(isinstance(name, ast.Name) and name.id == function.name for name in ast.walk(each.value))
    return False


def _of_lambda(function: Function, imports: set[str], needed: Sequence[str]) -> str:
    typed = any(each.annotation and "LambdaContext" in ast.unparse(each.annotation) for each in function.args.args)
    is_pair = len(needed) == 2 and needed[0] in _EVENTS and needed[1] in _CONTEXTS
    if typed or is_pair or function.name == "lambda_handler" or _reads_records(function, needed):
        return f"an AWS Lambda function ({', '.join(needed)})"
    return ""


def _reads_records(function: Function, needed: Sequence[str]) -> bool:
    """`event["Records"]`: a whole batch."""
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript):
            place: ast.AST | None = node.slice
            of = node.value
        elif isinstance(node, ast.Call) and _last(node.func) == "get" and node.args:
            place, of = node.args[0], getattr(node.func, "value", node.func)
        else:
            continue
        is_parameter = isinstance(of, ast.Name) and of.id in needed
        if is_parameter and isinstance(place, ast.Constant) and place.value == "Records":
            return True
    return False


def _of_request(function: Function, imports: set[str], needed: Sequence[str]) -> str:
    """A view or an endpoint, which takes a request."""
    name = next((each for each in needed if each in ("request", "req", "http_request")), None)
    if name is None:
        return ""
    read = {node.attr for node in ast.walk(function) if isinstance(node, ast.Attribute) and _last(node.value) == name}
    known = next((what for module, what in _OF_REQUESTS if module in imports), "")
    if known or read & _READ_OF_REQUESTS:
        return f"{known or 'an endpoint of a web framework'} (it takes {name})"
    return ""


# What it does.


def _polls(function: Function, needed: Sequence[str]) -> str:
    """A loop that fetches its messages from something that is called like a consumer, or that takes nothing at all."""
    # Whoever is handed a message does not fetch it.
    if {*needed} & {*NAMES_OF_MESSAGES}:
        return ""
    for node in ast.walk(function):
        if isinstance(node, ast.While):
            for call in _calls(node):
                name = _last(call.func)
                # `get` with an argument is a dict's.
                fetches = name in _POLLS or (name in ("get", "get_nowait") and not call.args)
                if fetches and (not needed or _is_consumer(call.func)):
                    return _as_loop(call)
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            called = node.iter.func if isinstance(node.iter, ast.Call) else None
            if called is None and _CONSUMER.fullmatch(_last(node.iter)):
                return _as_loop(node.iter)
            if called is not None and _last(called) in _FEEDS and (not needed or _is_consumer(called)):
                return _as_loop(node.iter)
    return ""


def _is_consumer(method: ast.expr) -> bool:
    """Whether what this is a method of is called like a consumer."""
    return isinstance(method, ast.Attribute) and _CONSUMER.fullmatch(_last(method.value)) is not None


def _as_loop(node: ast.expr) -> str:
    return f"a loop that fetches its messages itself ({ast.unparse(node)}, line {node.lineno})"


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (each for each in ast.walk(node) if isinstance(each, ast.Call))


def _settles(function: Function, needed: Sequence[str]) -> str:
    """A handler that acknowledges by itself, or is called as a client of RabbitMQ calls it."""
    if len(needed) == 4 and needed[0] in _PIKA[0] and needed[1] in _PIKA[1]:
        return f"a callback of pika ({', '.join(needed)})"
    for call in _calls(function):
        of, name = call.func.value if isinstance(call.func, ast.Attribute) else None, _last(call.func)
        if not isinstance(of, ast.Name) or of.id not in needed:
            continue
        if name in _SETTLES or (name in _SETTLES_A_MESSAGE and of.id in ("message", "msg")):
            return f"a handler that settles its messages itself ({ast.unparse(call)}, line {call.lineno})"
    return ""
