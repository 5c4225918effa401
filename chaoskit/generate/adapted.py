"""Functions that a framework calls, for which `chaoskit.adapters` has an adapter: which one, its broker and settings,
and where in their source the value of the event is."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator, Mapping

import attrs

from chaoskit.generate.classes import Function, class_in, last_name
from chaoskit.generate.frameworks import framework_of, imported_by
from chaoskit.generate.handlers import FoundHandler, functions_in
from chaoskit.generate.reads import FieldUse, Reads

VALUE = "payload"
"""What the value is called in the function that is read in place of the user's."""


@attrs.frozen(eq=False)
class Adapted:
    """`value`: a function like the user's, that takes the event's value and nothing else. `kind`: the class that the
    framework makes of the value, where the module has it; `typed` the annotations of single fields.

    `function`, of the module `adapter`, gives the handler for `items` and `options`: their source, with `{adapter}`,
    `{handler}` and the keys of `objects` in it, which are names of the module. `before`: lines that come first,
    likewise, with the keys of `names`, each a module and a name in it.
    """

    value: FoundHandler
    adapter: str
    function: str
    items: tuple[str, ...]
    broker: str
    settings: Mapping[str, str] = attrs.field(factory=dict)
    options: Mapping[str, str] = attrs.field(factory=dict)
    is_async: bool = False
    is_context: bool = False
    kind: ast.ClassDef | None = None
    typed: Mapping[str, ast.expr] = attrs.field(factory=dict)
    objects: Mapping[str, str] = attrs.field(factory=dict)
    names: Mapping[str, tuple[str, str]] = attrs.field(factory=dict)
    before: tuple[str, ...] = ()

    def complete(self, reads: Reads) -> None:
        """Add the fields that the framework asks for, whether the function reads them or not, and make all of them
        items: what is sent is JSON."""
        fields = dict(self.typed)
        for node in self.kind.body if self.kind else ():
            name = node.target.id if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) else None
            if name and isinstance(node, ast.AnnAssign) and (node.value is None or (name,) in reads.places):
                fields[name] = node.annotation
        for name, annotation in fields.items():
            _note_type(reads.places.setdefault((name,), FieldUse()), ast.unparse(annotation), annotation)
        for seen in reads.places.values():
            seen.attribute = False
        reads.methods.clear()


def _note_type(seen: FieldUse, written: str, annotation: ast.expr) -> None:
    if re.search(r"\b(int|float|Decimal|\w+Int|\w+Float)\b", written):
        seen.number = True
    elif re.search(r"\bbool\b", written):
        seen.truth = True
    elif re.search(r"\bdatetime\b", written):
        seen.moment = True
    elif "Literal" in written and not seen.strings:
        seen.strings += [
            each.value
            for each in ast.walk(annotation)
            if isinstance(each, ast.Constant) and isinstance(each.value, str)
        ]


def adapted(handler: FoundHandler) -> Adapted | None:
    """The adapter of a function that a framework calls; None where there is none for it."""
    if handler.kind is not None:
        return None
    for recipe in (_task, _faststream, _web, _lambda):
        if (found := recipe(handler)) is not None:
            return found
    return None


# The value in the source.


class _Put(ast.NodeTransformer):
    """Puts the value in the place of each expression that `is_value` knows, or what `instead` gives for a name."""

    def __init__(self, is_value: Callable[[ast.AST], bool], instead: Mapping[str, ast.expr] | None = None) -> None:
        self._is_value = is_value
        self._instead = instead or {}
        self.count = 0

    def visit(self, node: ast.AST) -> ast.AST:
        if self._is_value(node):
            self.count += 1
            return ast.copy_location(ast.Name(VALUE, ast.Load()), node)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in self._instead:
            self.count += 1
            return ast.copy_location(copy.deepcopy(self._instead[node.id]), node)
        return self.generic_visit(node)


def _taking_value(handler: FoundHandler, function: Function, put: _Put) -> FoundHandler:
    """The same function with the value as its only parameter."""
    made = copy.deepcopy(function)
    made.args = ast.arguments([], [ast.arg(VALUE)], None, [], [], None, [])
    made.decorator_list = []
    ast.NodeTransformer.generic_visit(put, made)
    return attrs.evolve(handler, function=made)


def _first_with_value(handler: FoundHandler, is_value: Callable[[ast.AST], bool]) -> FoundHandler | None:
    """The handler, or the function of its module in which the value first shows; None where it does not show."""
    others = [function for function, kind in functions_in(handler.tree).values() if kind is None]
    for function in [handler.function, *others]:
        put = _Put(is_value)
        made = _taking_value(handler, function, put)
        if put.count:
            return made
    return None


def _class_of(handler: FoundHandler, annotation: ast.expr | None) -> ast.ClassDef | None:
    return class_in(handler.tree, last_name(annotation)) if isinstance(annotation, ast.Name) else None


# Reading the source.


def _decorator(handler: FoundHandler, names: frozenset[str]) -> ast.Call | ast.expr | None:
    for each in handler.function.decorator_list:
        if last_name(each.func if isinstance(each, ast.Call) else each) in names:
            return each
    return None


def _keywords(decorator: ast.expr) -> dict[str, ast.expr]:
    return {word.arg: word.value for word in decorator.keywords if word.arg} if isinstance(decorator, ast.Call) else {}


def _is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def _made_by(tree: ast.Module, name: str) -> ast.Call | None:
    """The call that this name of the module is the result of."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return node.value if isinstance(node.value, ast.Call) else None
    return None


def _calls(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call) and last_name(node.func) == name)


# Tasks.


def _task(handler: FoundHandler) -> Adapted | None:
    imports = imported_by(handler.tree)
    for package, (function, names, settings_of) in _TASKS.items():
        decorator = _decorator(handler, names) if package in imports else None
        if decorator is not None:
            given = _keywords(decorator)
            made = _task_of(handler, handler.needed[1 if _is_true(given.get("bind")) else 0 :], package, function)
            retry = ast.unparse(given["retry"]) if package == "rq" and "retry" in given else ""
            options = {"retry": f"{{retry}}{retry.removeprefix('Retry')}"} if retry.startswith("Retry(") else {}
            settings = settings_of(handler, given)
            return made and attrs.evolve(
                made, settings=settings, options=options, names={"retry": ("rq", "Retry")} if options else {}
            )
    return None


def _task_of(handler: FoundHandler, needed: list[ast.arg], adapter: str, function: str) -> Adapted | None:
    if not needed:
        return None
    if len(needed) == 1:
        instead: dict[str, ast.expr] = {needed[0].arg: ast.Name(VALUE, ast.Load())}
        items: tuple[str, ...] = ("{handler}",)
        typed: dict[str, ast.expr] = {}
    else:
        load = ast.Load()
        instead = {each.arg: ast.Subscript(ast.Name(VALUE, load), ast.Constant(each.arg), load) for each in needed}
        items = ("{handler}", "lambda message: message.value")
        typed = {each.arg: each.annotation or ast.Constant(None) for each in needed}
    value = _taking_value(handler, handler.function, _Put(lambda node: False, instead))
    kind = _class_of(handler, needed[0].annotation) if len(needed) == 1 else None
    return Adapted(value, adapter, function, items, "Celery", kind=kind, typed=typed)


def _of_dramatiq(handler: FoundHandler, given: Mapping[str, ast.expr]) -> dict[str, str]:
    return {"acks_late": "True", "reject_on_worker_lost": "True"}


def _of_huey(handler: FoundHandler, given: Mapping[str, ast.expr]) -> dict[str, str]:
    return {} if "retries" in given or "RetryTask" in ast.unparse(handler.tree) else {"retries": "False"}


def _of_rq(handler: FoundHandler, given: Mapping[str, ast.expr]) -> dict[str, str]:
    return {} if "retry" in given else {"retries": "False"}


def _of_celery(handler: FoundHandler, given: Mapping[str, ast.expr]) -> dict[str, str]:
    settings: dict[str, str] = {}
    source = ast.unparse(handler.tree)
    for name in ("acks_late", "reject_on_worker_lost"):
        everywhere = re.search(rf"\btask_{name}\s*=\s*True|\bCELERY_TASK_{name.upper()}\s*=\s*True", source)
        if _is_true(given.get(name)) or (name not in given and everywhere):
            settings[name] = "True"
    if "acks_late" not in settings:
        settings.pop("reject_on_worker_lost", None)
    transport = re.search(r"\b(?:py)?(amqp|sqs)://", source)
    if transport:
        settings["transport"] = f'"{transport[1]}"'
    if "autoretry_for" not in given and not any(_calls(handler.function, "retry")):
        settings["retries"] = "False"
    return settings


_Settings = Callable[[FoundHandler, Mapping[str, ast.expr]], dict[str, str]]
_TASKS: dict[str, tuple[str, frozenset[str], _Settings]] = {
    "celery": ("task", frozenset({"task", "shared_task"}), _of_celery),
    "dramatiq": ("actor", frozenset({"actor"}), _of_dramatiq),
    "huey": ("task", frozenset({"task", "db_task"}), _of_huey),
    "rq": ("job", frozenset({"job"}), _of_rq),
}
"""By the package: the function of its adapter, its decorators, and what they say of the broker."""


# FastStream.

_FASTSTREAM = {"kafka": "Kafka", "rabbit": "RabbitMQ", "nats": "JetStream", "redis": "RedisStreams"}


def _faststream(handler: FoundHandler) -> Adapted | None:
    decorator = _decorator(handler, frozenset({"subscriber"}))
    imports = imported_by(handler.tree)
    kind = next((each for each in _FASTSTREAM if each in imports), None)
    if not isinstance(decorator, ast.Call) or kind is None or "faststream" not in imports or not handler.needed:
        return None
    owner = decorator.func.value if isinstance(decorator.func, ast.Attribute) else None
    if not isinstance(owner, ast.Name):
        return None
    first = handler.needed[0]
    value = _taking_value(handler, handler.function, _Put(lambda node: False, {first.arg: ast.Name(VALUE, ast.Load())}))
    name = {"rabbit": "RabbitBroker"}.get(kind, f"{kind.capitalize()}Broker")
    made = _made_by(handler.tree, owner.id)
    is_router = made is not None and last_name(made.func).endswith("Router")
    broker = "RedisList" if kind == "redis" and "list" in _keywords(decorator) else _FASTSTREAM[kind]
    return Adapted(
        value,
        "faststream",
        "subscriber",
        ("broker" if is_router else "{broker}", "{handler}"),
        broker,
        _of_rabbit(handler.tree) if broker == "RabbitMQ" else {},
        is_async=True,
        is_context=True,
        kind=_class_of(handler, first.annotation),
        objects={"broker": owner.id},
        names={"kind": (f"faststream.{kind}", name)} if is_router else {},
        before=("broker = {kind}()", "broker.include_router({broker})") if is_router else (),
    )


def _of_rabbit(tree: ast.Module) -> dict[str, str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "prefetch_count" and isinstance(node.value, ast.Constant):
            return {"prefetch": repr(node.value.value)}
    return {}


# Flask and FastAPI.

_POSTS = frozenset({"route", "post", "api_route", "put"})


def _web(handler: FoundHandler) -> Adapted | None:
    what = framework_of(handler.tree, handler.function, [each.arg for each in handler.needed])
    is_flask, is_fastapi = what.startswith("a Flask endpoint"), what.startswith("a FastAPI endpoint")
    decorator = _decorator(handler, _POSTS)
    if not (is_flask or is_fastapi) or not isinstance(decorator, ast.Call) or not decorator.args:
        return None
    path, owner = decorator.args[0], getattr(decorator.func, "value", None)
    if not isinstance(path, ast.Constant) or not isinstance(owner, ast.Name) or not isinstance(path.value, str):
        return None
    if re.search(r"[<{]", path.value):  # a part of the path is an argument
        return None
    body = None if is_flask else _body_of(handler)
    instead: dict[str, ast.expr] = {} if body is None else {body.arg: ast.Name(VALUE, ast.Load())}
    value = _taking_value(handler, handler.function, _Put(_is_request_body, instead))
    app, prefix, before = _app(handler.tree, owner.id, is_flask)
    signed, objects = _signed(handler)
    return Adapted(
        value,
        "webhooks",
        "wsgi" if is_flask else "asgi",
        (app, f'"{prefix}{path.value}"'),
        "Webhook",
        options=signed,
        is_async=is_fastapi,
        kind=None if body is None else _class_of(handler, body.annotation),
        objects={"app": owner.id, **objects},
        names={"kind": ("flask", "Flask") if is_flask else ("fastapi", "FastAPI")} if before else {},
        before=before,
    )


def _body_of(handler: FoundHandler) -> ast.arg | None:
    """The parameter that FastAPI makes of the body."""
    kinds = ("Request", "BackgroundTasks", "Response")
    return next(
        (each for each in handler.needed if each.annotation and not last_name(each.annotation).endswith(kinds)), None
    )


def _is_request_body(node: ast.AST) -> bool:
    source = ast.unparse(node) if isinstance(node, (ast.Call, ast.Attribute, ast.Await)) else ""
    if isinstance(node, ast.Call) and last_name(node.func) in ("construct_event", "get_json"):
        return True
    if isinstance(node, ast.Call) and last_name(node.func) == "loads":
        return "request" in source or ".body()" in source
    return source in ("request.json", "await request.json()")


def _app(tree: ast.Module, owner: str, is_flask: bool) -> tuple[str, str, tuple[str, ...]]:
    """The application, a prefix of its paths, and the lines that put a blueprint or a router into one."""
    made = _made_by(tree, owner)
    name = last_name(made.func) if made is not None else ""
    if made is None or name not in ("Blueprint", "APIRouter"):
        return "{app}", "", ()
    given = _keywords(made).get("url_prefix" if is_flask else "prefix")
    prefix = given.value if isinstance(given, ast.Constant) and isinstance(given.value, str) else ""
    if is_flask:
        return "app", prefix, ("app = {kind}(__name__)", "app.register_blueprint({app})")
    return "app", prefix, ("app = {kind}()", "app.include_router({app})")


def _signed(handler: FoundHandler) -> tuple[dict[str, str], dict[str, str]]:
    """What makes the requests Stripe's, where its library checks them, and the name of the secret."""
    call = next(_calls(handler.function, "construct_event"), None)
    secret = call.args[2] if call is not None and len(call.args) > 2 else None
    if call is None or not isinstance(secret, ast.Name):
        return {}, {}
    options = {"sign": "{adapter}.stripe({secret})", "body": "{adapter}.stripe_event"}
    return options, {"secret": secret.id}


# AWS Lambda.


def _lambda(handler: FoundHandler) -> Adapted | None:
    what = framework_of(handler.tree, handler.function, [each.arg for each in handler.needed])
    source = ast.unparse(handler.tree)
    if not what.startswith("an AWS Lambda function") or re.search(r"['\"]dynamodb['\"]|DynamoDB|aws:kafka", source):
        return None
    partial = re.search(r"batchItemFailures|process_partial_response|BatchProcessor|FifoPartialProcessor", source)
    settings = {"report_batch_item_failures": "True"} if partial else {}
    options = {} if partial else {"report_batch_item_failures": "False"}
    broker, function, is_value = "LambdaSqs", "sqs", _is_body
    if re.search(r"['\"]kinesis['\"]|Kinesis|\.kinesis\b", source):
        broker, function, is_value = "Kinesis", "kinesis", _is_data
        settings = {"consumer": '"lambda"', **settings}
    elif "['detail']" in source:
        function, is_value, settings, options = "eventbridge", _is_detail, {"batch_size": "1"}, {}
    else:
        if "['Message']" in source:
            function, is_value = "sns_sqs", _is_notified
        if re.search(r"FifoPartialProcessor|MessageGroupId|\.fifo\b", source):
            settings = {"fifo": "True", **settings}
    value = _first_with_value(handler, is_value)
    if value is None:
        return None
    return Adapted(value, "aws_lambda", function, ("{handler}",), broker, settings, options=options)


def _is_detail(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == "detail"


def _loads(node: ast.AST) -> str:
    """What JSON is read of."""
    is_loads = isinstance(node, ast.Call) and last_name(node.func) in ("loads", "model_validate_json")
    return ast.unparse(node.args[0]) if is_loads and isinstance(node, ast.Call) and node.args else ""


def _is_body(node: ast.AST) -> bool:
    return "body" in _loads(node) or (isinstance(node, ast.Attribute) and node.attr == "json_body")


def _is_notified(node: ast.AST) -> bool:
    return "Message" in _loads(node)


def _is_data(node: ast.AST) -> bool:
    is_method = isinstance(node, ast.Call) and last_name(node.func) == "data_as_json"
    return is_method or bool(re.search(r"\bdata\b|payload|decode", _loads(node)))
