"""Loops over a client's consumer, and callbacks that it calls: each process is one run of the loop, with our consumer
in the place of the client's."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import attrs

from chaoskit.generate.adapted import Adapted, Substitution, calls_in, taking_value, validated_class
from chaoskit.generate.classes import Function, last_name
from chaoskit.generate.frameworks import framework_of, imported_by
from chaoskit.generate.handlers import FoundHandler, required
from chaoskit.generate.redis_entries import names_of as _names
from chaoskit.generate.redis_entries import one_entry, written_options


@attrs.frozen
class _Client:
    """`made`: what the client's own is made by, in the source; `taken`: what a parameter that is one is called, each
    with the class of the adapter that stands for it. `cls` stands for what is made; `by_async` with Async before its
    name in an async loop. `calls`: what the module has to call, for a library of other uses, too."""

    adapter: str
    broker: str
    made: tuple[str, ...]
    cls: str
    taken: tuple[tuple[str, str], ...]
    is_awaited: bool = False
    by_async: bool = False
    calls: str = ""


_CLIENTS = {
    "confluent_kafka": _Client(
        "confluent_kafka", "Kafka", ("Consumer", "DeserializingConsumer"), "Consumer", (("consumer", "Consumer"),)
    ),
    "aiokafka": _Client(
        "aiokafka", "Kafka", ("AIOKafkaConsumer",), "AIOKafkaConsumer", (("consumer", "AIOKafkaConsumer"),)
    ),
    "kafka": _Client("kafka_python", "Kafka", ("KafkaConsumer",), "KafkaConsumer", (("consumer", "KafkaConsumer"),)),
    "aio_pika": _Client(
        "aio_pika", "RabbitMQ", ("connect_robust", "connect"), "Connection",
        (("connection", "Connection"), ("queue", "Queue")), is_awaited=True,
    ),
    "pika": _Client(
        "pika", "RabbitMQ", ("BlockingConnection",), "BlockingConnection",
        (("connection", "BlockingConnection"), ("channel", "BlockingChannel")),
    ),
    "boto3": _Client("boto3_sqs", "SqsStandard", ("client",), "Client", (("sqs", "Client"), ("client", "Client"))),
    "nats": _Client(
        "nats", "JetStream", ("connect",), "Client",
        (("js", "JetStreamContext"), ("jetstream", "JetStreamContext"), ("nc", "Client")), is_awaited=True,
    ),
    "pubsub_v1": _Client(
        "google_pubsub", "PubSub", ("SubscriberClient",), "SubscriberClient", (("subscriber", "SubscriberClient"),)
    ),
    "servicebus": _Client(
        "azure_servicebus", "ServiceBus", ("from_connection_string", "ServiceBusClient"), "ServiceBusClient",
        (("receiver", "ServiceBusReceiver"),), by_async=True,
    ),
    "redis": _Client(
        "redis", "RedisStreams", ("Redis", "StrictRedis", "from_url"), "Redis",
        (("r", "Redis"), ("redis", "Redis"), ("client", "Redis"), ("redis_client", "Redis")), by_async=True,
        calls="xreadgroup",
    ),
}  # fmt: skip
"""By the package that a module imports."""

_VALUE = re.compile(r"\b(value|body|data|Body)\b|['\"]Body['\"]|^str\(\w+\)$")
_READS_JSON = frozenset({"loads", "model_validate_json", "parse_raw"})


def client_loop(handler: FoundHandler) -> Adapted | None:
    imports = imported_by(handler.tree) | _names_of_google(handler.tree)
    client = next((client for package, client in _CLIENTS.items() if package in imports), None)
    if client is None or (client.calls and not any(calls_in(handler.tree, client.calls))):
        return None
    loop = _loop_of(handler, client)
    entry = one_entry(handler.tree) if client.adapter == "redis" else None
    value = None if loop is None else _value(handler, loop) if entry is None else entry.value(handler)
    if loop is None or value is None:
        return None
    is_async = isinstance(loop, ast.AsyncFunctionDef)
    lines = tuple(_process(handler, loop, client))
    function = value.function
    return Adapted(
        value,
        client.adapter,
        "",
        (),
        client.broker,
        {**_settings(handler, client), **(_stops(handler, loop) if client.broker == "Kafka" else {})},
        is_async=is_async,
        kind=validated_class(handler),
        objects={"loop": loop.name},
        names={"client": (f"chaoskit.adapters.{client.adapter}", _class_for(loop, client)), **_names(entry)},
        loop=lines,
        uses_key=any(isinstance(node, ast.Attribute) and node.attr == "key" for node in ast.walk(function)),
        fixtures=("monkeypatch",) if any("monkeypatch" in line for line in lines) else (),
        state_of=tuple(node for node in handler.tree.body if isinstance(node, Function)),
    )


def _names_of_google(tree: ast.Module) -> set[str]:
    """`from google.cloud import pubsub_v1`."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "google.cloud")
    return {alias.name for node in found for alias in node.names}


# The loop.


def _loop_of(handler: FoundHandler, client: _Client) -> Function | None:
    """The handler itself, where it fetches its messages; else the function of the module that hands it to a client."""
    needed = [each.arg for each in handler.needed]
    what = framework_of(handler.tree, handler.function, needed)
    if _uses(handler.function, client) and (what.startswith("a loop") or _hands_on(handler.function, "")):
        return handler.function if len(needed) <= 1 else None
    for function in handler.tree.body:
        if isinstance(function, Function) and _hands_on(function, handler.function.name) and _uses(function, client):
            return function if len(required(function, is_method=False)) <= 1 else None
    return None


def _uses(function: Function, client: _Client) -> bool:
    """Whether it makes a client, or takes one."""
    names = [each.arg for each in required(function, is_method=False)]
    taken = any(name in given for given, _ in client.taken for name in names)
    return taken or any(any(calls_in(function, name)) for name in client.made) or not names


def _hands_on(function: Function, name: str) -> bool:
    """Whether it registers a callback of this name, or any."""
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and last_name(call) in ("basic_consume", "consume", "subscribe"):
            given = [*call.args, *(word.value for word in call.keywords)]
            names = [each.id for each in given if isinstance(each, ast.Name)]
            if name in names or (not name and names):
                return True
    return False


def _class_for(function: Function, client: _Client) -> str:
    names = [each.arg for each in required(function, is_method=False)]
    found = next((cls for name, cls in client.taken if name in names), client.cls)
    return f"Async{found}" if client.by_async and isinstance(function, ast.AsyncFunctionDef) else found


def _process(handler: FoundHandler, loop: Function, client: _Client) -> Iterator[str]:
    """What one process does."""
    is_async = isinstance(loop, ast.AsyncFunctionDef)
    define, wait, block = ("async def", "await ", "async with") if is_async else ("def", "", "with")
    name = None if required(loop, is_method=False) else _of_module(handler.tree, client)
    if name is not None:
        yield "class Own({local}):  # each process has a client, and the module only one"
        yield "    def __getattr__(self, name):"
        yield "        return getattr(self.client, name)"
        yield ""
        yield "own = Own()"
        yield f'monkeypatch.setattr({{module}}, "{name}", own)'
        yield ""
    yield f"{define} process():"
    if required(loop, is_method=False):
        yield f"    {block} deliver.consumer({', '.join(['{client}', *_config(handler, client)])}) as client:"
        yield f"        {wait}{{loop}}(client)"
    elif name is not None:
        yield f"    {block} deliver.consumer({', '.join(['{client}', *_config(handler, client)])}) as client:"
        yield "        own.client = client"
        yield f"        {wait}{{loop}}()"
    else:
        factory = "async def" if client.is_awaited else "def"
        given = "{client}, *args, **config"
        if client.broker != "Kafka":
            given = ", ".join(["{client}", *_config(handler, client)])
        yield "    with {stack}() as stack:"
        yield ""
        yield f"        {factory} made(*args, **config):"
        yield f"            client = deliver.consumer({given})"
        yield "            return stack.enter_context(client)"
        yield ""
        yield f"        monkeypatch.setattr({_where(loop, client)}, made)"
        yield f"        {wait}{{loop}}()"
    yield ""
    yield f"{wait}deliver(spawn=process)  # the schedule happens here"


def _of_module(tree: ast.Module, client: _Client) -> str | None:
    """The name of the module that is a client."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and last_name(node.value) in client.made:
            return node.targets[0].id if isinstance(node.targets[0], ast.Name) else None
    return None


def _where(loop: Function, client: _Client) -> str:
    """Whose attribute what makes a client is: the module's, or its library's."""
    for name in client.made:
        for call in calls_in(loop, name):
            if isinstance(call.func, ast.Attribute):
                return f'{{module}}.{ast.unparse(call.func.value)}, "{name}"'
            return f'{{module}}, "{name}"'
    return f'{{module}}, "{client.made[0]}"'


def _config(handler: FoundHandler, client: _Client) -> list[str]:
    """What the source configures of settling, where the client is not made in the loop."""
    if client.adapter == "redis":
        return written_options(handler.tree)
    if client.broker != "Kafka" or _auto_commits(handler):
        return []
    return ['{{"enable.auto.commit": False}}'] if client.adapter == "confluent_kafka" else ["enable_auto_commit=False"]


def _auto_commits(handler: FoundHandler) -> bool:
    source = ast.unparse(handler.tree)
    off = r"enable_auto_commit=False|'enable\.auto\.(commit|offset\.store)': (False|'false')"
    return re.search(off, source) is None


def _settings(handler: FoundHandler, client: _Client) -> dict[str, str]:
    if client.broker == "Kafka":
        # kafka-python commits in the thread that polls, behind what was handled.
        return {"auto_commit": "True"} if client.adapter != "kafka_python" and _auto_commits(handler) else {}
    settings: dict[str, str] = {}
    for node in ast.walk(handler.tree):
        if isinstance(node, ast.keyword) and node.arg == "prefetch_count":
            if (number := constant(handler.tree, node.value)) is not None:
                settings["prefetch"] = number
        elif isinstance(node, ast.keyword) and node.arg in ("auto_ack", "no_ack") and ast.unparse(node.value) == "True":
            settings["auto_ack"] = "True"
    if client.broker == "RabbitMQ":
        return settings
    return {}


def _stops(handler: FoundHandler, loop: Function) -> dict[str, str]:
    """Where an error leaves the loop, and so ends its process: nothing catches it around the handling, seeks back to
    the record or puts it into a dead-letter topic."""
    source = ast.unparse(handler.tree)
    if re.search(r"\.seek\w*\(|dead_?letter|dlq|\bdlt\b", source, re.IGNORECASE):
        return {}
    functions = {node.name: node for node in handler.tree.body if isinstance(node, Function)}
    handling: list[ast.AST] = [node for node in ast.walk(loop) if isinstance(node, (ast.For, ast.AsyncFor, ast.While))]
    for node in handling:  # and behind it what it calls, in its turn
        called = {last_name(each.func) for each in ast.walk(node) if isinstance(each, ast.Call)} & {*functions}
        handling += [functions[name] for name in sorted(called) if functions[name] not in handling]
    inside = [each for node in handling for each in ast.walk(node)]
    caught = any(
        isinstance(each, ast.ExceptHandler) or (isinstance(each, ast.expr) and last_name(each) == "suppress")
        for each in inside
    )
    return {} if caught or not handling else {"on_error": '"stop"'}


def constant(tree: ast.Module, node: ast.expr) -> str | None:
    """A number, also one that the module has under a name, or reads of the environment with a default."""
    if isinstance(node, ast.Name):
        for each in tree.body:
            if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == node.id:
                return constant(tree, each.value)
    numbers = [each.value for each in ast.walk(node) if isinstance(each, ast.Constant)]
    last = numbers[-1] if numbers else None
    return str(last) if str(last).isdecimal() and int(str(last)) > 0 else None


# The value.


def _value(handler: FoundHandler, loop: Function) -> FoundHandler | None:
    """The first function in which the value shows: the named one, the loop, any other of the module."""
    others = [node for node in handler.tree.body if isinstance(node, Function)]
    deserialized = re.search(r"value_deserializer=", ast.unparse(handler.tree)) is not None
    for function in [handler.function, loop, *others]:
        put = Substitution(lambda node: _is_value(node, deserialized))
        made = taking_value(handler, function, put)
        if put.count:
            return made
    return None


def _is_value(node: ast.AST, deserialized: bool) -> bool:
    if isinstance(node, ast.Call) and last_name(node) in _READS_JSON and node.args:
        return _VALUE.search(ast.unparse(node.args[0])) is not None
    return deserialized and isinstance(node, ast.Attribute) and node.attr == "value"
