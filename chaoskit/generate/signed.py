"""The signatures of GitHub, Shopify and Slack that an endpoint checks by itself: whose, and by which secret."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import attrs

from chaoskit.generate.adapted import calls_in
from chaoskit.generate.classes import Function, last_name
from chaoskit.generate.handlers import FoundHandler

UNKNOWN = """lambda message, body: {{"TODO": "its signature header"}}"""
NO_SECRET = '''"TODO: the secret of its signature"'''


@attrs.frozen
class _Provider:
    """`signs` is the header of its signature, `names` the one that says which event it is."""

    function: str
    signs: str
    names: str = ""
    usual: str = ""


_PROVIDERS = (
    _Provider("github", "x-hub-signature-256", "x-github-event", "push"),
    _Provider("shopify", "x-shopify-hmac-sha256", "x-shopify-topic", "orders/create"),
    _Provider("slack", "x-slack-signature"),
)
_VERIFIERS = {"SignatureVerifier": "slack"}
"""What a provider's library checks with."""


@attrs.frozen
class Checked:
    """`function` of the adapter signs; empty where nobody knows whose signature it is. `secret` is None where the
    source does not show it. `event`: another one than the usual, by its name."""

    function: str
    secret: ast.expr | None
    event: str = ""


def checked_by(handler: FoundHandler) -> Checked | None:
    """The signature that the endpoint checks, in itself or in what it calls; None where it checks none."""
    functions = _reached(handler)
    written = "\n".join(_as_header(ast.unparse(function)) for function in functions)
    verifier = next((call for name in _VERIFIERS for call in calls_in(handler.tree, name)), None)
    known = _VERIFIERS[last_name(verifier)] if verifier is not None else ""
    for provider in _PROVIDERS:
        if provider.signs in written or provider.function == known:
            secret = _secret(functions) if verifier is None else _given(verifier, 0, "signing_secret")
            event = _compared(functions, provider.names) if provider.names else ""
            return Checked(provider.function, secret, "" if event == provider.usual else event)
    if "signature" in written and any(any(calls_in(function, "compare_digest")) for function in functions):
        return Checked("", None)
    return None


def _reached(handler: FoundHandler) -> list[Function]:
    """The endpoint, and the functions of its module that it names, in their turn."""
    own = {node.name: node for node in handler.tree.body if isinstance(node, Function)}
    found: list[Function] = [handler.function]
    for function in found:
        for node in ast.walk(function):
            if isinstance(node, ast.Name) and (named := own.get(node.id)) is not None and named not in found:
                found.append(named)
    return found


def _secret(functions: list[Function]) -> ast.expr | None:
    """By what `hmac.new` is given; of a parameter, by what a caller gives."""
    for function in functions:
        for call in calls_in(function, "new"):
            if ast.unparse(call.func) != "hmac.new":
                continue
            key = _as_given(_given(call, 0, "key"))
            names = [each.arg for each in function.args.args]
            if isinstance(key, ast.Name) and key.id in names:
                place, called = names.index(key.id), function.name
                callers = (call for each in functions for call in calls_in(each, called))
                key = next((_as_given(_given(call, place, key.id)) for call in callers), None)
            return key
    return None


def _given(call: ast.Call, place: int, name: str) -> ast.expr | None:
    words = {word.arg: word.value for word in call.keywords}
    return words.get(name, call.args[place] if len(call.args) > place else None)


def _as_given(node: ast.expr | None) -> ast.expr | None:
    """Without what makes bytes of it: `secret.encode()`, `bytes(secret, "utf-8")`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "encode":
        return node.func.value
    if isinstance(node, ast.Call) and last_name(node) == "bytes" and node.args:
        return node.args[0]
    return node


def _compared(functions: list[Function], header: str) -> str:
    """What the header is compared with, by itself or under a name."""
    for function in functions:
        names = {
            ast.unparse(node.targets[0])
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and header in _as_header(ast.unparse(node.value))
        }
        for node in ast.walk(function):
            if isinstance(node, ast.Compare) and isinstance(node.ops[0], (ast.Eq, ast.NotEq)):
                left, right = ast.unparse(node.left), node.comparators[0]
                if header in _as_header(left) or left in names:
                    return next(_texts(right), "")
    return ""


def _texts(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value


def _as_header(source: str) -> str:
    """As a header is written, also where it is a parameter or a key of `request.META`."""
    return source.lower().replace("_", "-")
