"""What a webhook's endpoint makes of its request: where the value is, and how the request has to be signed."""

from __future__ import annotations

import ast

import attrs

from chaoskit.generate.adapted import calls_in
from chaoskit.generate.classes import last_name
from chaoskit.generate.environment import variable_of
from chaoskit.generate.handlers import FoundHandler
from chaoskit.generate.signed import NO_SECRET, UNKNOWN, checked_by
from chaoskit.generate.source import quoted

_BODIES = frozenset(
    {
        "request.json", "await request.json()", "request.data", "request.body", "await request.body()",
        "request.get_data()", "request.get_data(as_text=True)",
    }
)  # fmt: skip


@attrs.frozen
class Signed:
    """`options` of the adapter, with names of the module in `objects`, and others in `names`. `environment`: what is
    set before the module is imported. `settings` of the broker: whose requests they are."""

    options: dict[str, str] = attrs.field(factory=dict)
    objects: dict[str, str] = attrs.field(factory=dict)
    names: dict[str, tuple[str, str]] = attrs.field(factory=dict)
    environment: dict[str, str] = attrs.field(factory=dict)
    settings: dict[str, str] = attrs.field(factory=dict)


def is_request_body(node: ast.AST) -> bool:
    """Whether this expression is the value that the provider sends, or the text of it."""
    source = ast.unparse(node) if isinstance(node, (ast.Call, ast.Attribute, ast.Await)) else ""
    if isinstance(node, ast.Call) and last_name(node.func) in ("construct_event", "construct_from", "get_json"):
        return True
    if isinstance(node, ast.Call) and last_name(node.func) == "loads":
        return "request" in source or ".body()" in source
    return source in _BODIES


def signed(handler: FoundHandler) -> Signed:
    """What makes the requests those of a provider, with the secret by its name: Stripe's, where its library checks or
    reads them, else as the endpoint checks them by itself."""
    call = next(calls_in(handler.function, "construct_event"), None)
    if call is not None:
        given = {word.arg: word.value for word in call.keywords}
        secret = given.get("secret", call.args[2] if len(call.args) > 2 else None)
        return _signed(handler, "stripe", secret, {"body": "{adapter}.stripe_event"}) or Signed()
    if any(calls_in(handler.function, "construct_from")):
        return Signed({"body": "{adapter}.stripe_event"})
    checked = checked_by(handler)
    if checked is None:
        return Signed()
    if not checked.function:
        return Signed({"sign": UNKNOWN})
    found = _signed(handler, checked.function, checked.secret, {}, checked.event)
    found = found or Signed({"sign": f"{{adapter}}.{checked.function}({NO_SECRET})"})
    # What GitHub sends once comes a second time where a person or a script asks for it, as its page advises.
    asked = {"redelivers": "True"} if checked.function == "github" else {}
    return attrs.evolve(found, settings={"provider": quoted(checked.function), **asked})


def _signed(
    handler: FoundHandler, function: str, secret: ast.expr | None, body: dict[str, str], event: str = ""
) -> Signed | None:
    """None where the secret is nothing that a test could name."""
    variable = variable_of(handler.tree, secret)
    environment = {variable: "whsec_test"} if variable else {}
    written = ast.unparse(secret) if secret is not None else ""

    def options(by: str) -> dict[str, str]:
        more = f", {quoted(event)}" if event else ""
        return {"sign": f"{{adapter}}.{function}({by}{more})", **body}

    if written.startswith("settings.") and _is_of_django(handler.tree):
        django = {"settings": ("django.conf", "settings")}
        return Signed(options(f"{{settings}}.{written.partition('.')[2]}"), names=django, environment=environment)
    if isinstance(secret, (ast.Name, ast.Attribute)) and _is_of_module(handler.tree, secret):
        decoded = ".decode()" if _is_bytes(handler.tree, written) else ""
        return Signed(options(f"{{secret}}{decoded}"), {"secret": written}, environment=environment)
    if variable:
        names = {"environ": ("os", "environ")}
        return Signed(options(f'{{environ}}["{variable}"]'), names=names, environment=environment)
    return None


def _is_of_module(tree: ast.Module, secret: ast.expr) -> bool:
    """Whether its first name is one of the module, and no variable of a function."""
    name = ast.unparse(secret).partition(".")[0]
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            if name in {(alias.asname or alias.name).partition(".")[0] for alias in node.names}:
                return True
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if name in {ast.unparse(target) for target in targets}:
                return True
    return False


def _is_bytes(tree: ast.Module, name: str) -> bool:
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            value = node.value
            return (isinstance(value, ast.Constant) and isinstance(value.value, bytes)) or last_name(value) == "encode"
    return False


def _is_of_django(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.module == "django.conf" for node in ast.walk(tree))
