"""What a webhook's endpoint makes of its request: where the value is, and how the request has to be signed."""

from __future__ import annotations

import ast

import attrs

from chaoskit.generate.adapted import calls_in
from chaoskit.generate.classes import last_name
from chaoskit.generate.environment import variable_of
from chaoskit.generate.handlers import FoundHandler

_BODIES = frozenset(
    {
        "request.json", "await request.json()", "request.data", "request.body", "await request.body()",
        "request.get_data()", "request.get_data(as_text=True)",
    }
)  # fmt: skip


@attrs.frozen
class Signed:
    """`options` of the adapter, with names of the module in `objects`, and others in `names`. `environment`: what is
    set before the module is imported."""

    options: dict[str, str] = attrs.field(factory=dict)
    objects: dict[str, str] = attrs.field(factory=dict)
    names: dict[str, tuple[str, str]] = attrs.field(factory=dict)
    environment: dict[str, str] = attrs.field(factory=dict)


def is_request_body(node: ast.AST) -> bool:
    """Whether this expression is the value that the provider sends, or the text of it."""
    source = ast.unparse(node) if isinstance(node, (ast.Call, ast.Attribute, ast.Await)) else ""
    if isinstance(node, ast.Call) and last_name(node.func) in ("construct_event", "construct_from", "get_json"):
        return True
    if isinstance(node, ast.Call) and last_name(node.func) == "loads":
        return "request" in source or ".body()" in source
    return source in _BODIES


def signed(handler: FoundHandler) -> Signed:
    """What makes the requests Stripe's, where its library checks or reads them, with the secret by its name."""
    call = next(calls_in(handler.function, "construct_event"), None)
    if call is None:
        is_stripe = any(calls_in(handler.function, "construct_from"))
        return Signed({"body": "{adapter}.stripe_event"} if is_stripe else {})
    given = {word.arg: word.value for word in call.keywords}
    secret = given.get("secret", call.args[2] if len(call.args) > 2 else None)
    variable = variable_of(handler.tree, secret)
    options = {"sign": "{adapter}.stripe({secret})", "body": "{adapter}.stripe_event"}
    environment = {variable: "whsec_test"} if variable else {}
    written = ast.unparse(secret) if secret is not None else ""
    if written.startswith("settings.") and _is_of_django(handler.tree):
        options["sign"] = f"{{adapter}}.stripe({{settings}}.{written.partition('.')[2]})"
        return Signed(options, names={"settings": ("django.conf", "settings")}, environment=environment)
    if isinstance(secret, (ast.Name, ast.Attribute)):
        return Signed(options, {"secret": written}, environment=environment)
    if variable:
        options["sign"] = f'{{adapter}}.stripe({{environ}}["{variable}"])'
        return Signed(options, names={"environ": ("os", "environ")}, environment=environment)
    return Signed()


def _is_of_django(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.module == "django.conf" for node in ast.walk(tree))
