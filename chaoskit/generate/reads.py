"""What a handler reads of its message, guessed from its source: whether it takes the message or its value, which fields
the value has and what they are like."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator, Sequence
from datetime import datetime

from chaoskit.generate.classes import Function, last_name
from chaoskit.generate.frameworks import NAMES_OF_MESSAGES
from chaoskit.generate.handlers import FoundHandler, functions_in
from chaoskit.generate.places import ITEM, MESSAGE, FieldUse, Places, Reads, ValuePath
from chaoskit.generate.tables import constant_texts

_OF_A_MESSAGE = frozenset(
    {"value", "headers", "key", "seq", "offset", "partition", "topic", "message_id", "attempt", "redelivered"}
)
_OF_PLAIN_VALUES = frozenset(
    name for kind in (str, bytes, int, float, dict, list, set, tuple, datetime) for name in dir(kind)
)
_NUMBERS = frozenset({"int", "float", "Decimal", "abs", "round", "sum"})


_OF_OTHERS = frozenset({"Body", "body", "data", "dynamodb", "json_body", "kinesis", "receipt_handle"})
"""Where the messages of other clients have the value: such a message is made as the value that it is."""


def reads_of(handler: FoundHandler) -> Reads:
    """Read the handler, and the functions beside it that it hands its message to."""
    parameters = handler.needed
    message = _message_among(parameters)
    if message is None:
        return Reads("", [], True)
    needs = [each.arg for each in parameters if each is not message]
    annotation = ast.unparse(message.annotation) if message.annotation else ""
    attributes = {
        node.attr
        for node in ast.walk(handler.function)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == message.arg
    }
    whole = annotation.split(".")[-1].strip("'\"") == "Message" or bool(attributes & _OF_A_MESSAGE)
    whole &= not attributes & _OF_OTHERS
    if not annotation and not attributes and not _taken_apart(handler.function, message.arg):
        whole = message.arg in ("message", "msg")
    reads = Reads(message.arg, needs, whole, annotation)
    known: dict[str, ValuePath] = {message.arg: ()}
    if whole:
        known[message.arg] = MESSAGE
    _HandlerVisitor(handler, reads).read(handler.function, known)
    raises = any(isinstance(node, ast.Raise) for function in reads.functions for node in ast.walk(function))
    for seen in reads.places.values():
        # Something has to fail the comparison, too, unless the handler may refuse it.
        if len(seen.strings) == 1 and not raises:
            seen.strings.append("something else")
        if len(seen.numbers) == 1 and not raises:
            seen.numbers.append(seen.numbers[0] + 1)
    return reads


def _message_among(parameters: Sequence[ast.arg]) -> ast.arg | None:
    for name in NAMES_OF_MESSAGES:
        found = next((each for each in parameters if each.arg == name), None)
        if found is not None:
            return found
    typed = [each for each in parameters if each.annotation and "Message" in ast.unparse(each.annotation)]
    return next(iter([*typed, *parameters[-1:]]), None)


def _taken_apart(function: Function, name: str) -> bool:
    """Whether it is unpacked as a value is: `event["amount"]`, `event.get("amount")`, `json.loads(event)`."""
    for node in ast.walk(function):
        if isinstance(node, ast.Subscript) and ast.unparse(node.value) == name:
            return True
        if isinstance(node, ast.Call) and last_name(node) == "loads" and any(ast.unparse(a) == name for a in node.args):
            return True
    return False


class _HandlerVisitor(ast.NodeVisitor):
    """Follows the message and what it is unpacked into through one function after the other."""

    def __init__(self, handler: FoundHandler, reads: Reads) -> None:
        self._functions = functions_in(handler.tree)
        self._methods = {
            node.name: node for node in (handler.kind.body if handler.kind else ()) if isinstance(node, Function)
        }
        self._tables = functools.cache(functools.partial(constant_texts, handler))
        self._reads = reads
        self._places = Places(reads)

    def read(self, function: Function, known: dict[str, ValuePath]) -> None:
        # Functions may call each other in a circle.
        if function in self._reads.functions:
            return
        self._reads.functions.append(function)
        # Names are the function's own: those of its caller come back behind it.
        before, self._places.known = self._places.known, known
        for statement in function.body:
            self.visit(statement)
        self._places.known = before

    def visit(self, node: ast.AST) -> None:
        # For what it notes on the way; most nodes are asked for no more.
        self._places.place_of(node)
        super().visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                for each, value in zip(target.elts, node.value.elts, strict=False):
                    self._name(each, value)
            else:
                self._name(target, node.value)
        self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._name(node.target, node.value)
        self.generic_visit(node)

    def _name(self, target: ast.expr, value: ast.expr) -> None:
        place = self._places.place_of(value)
        if isinstance(target, ast.Name) and place is not None:
            self._places.known[target.id] = place

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        place = self._places.place_of(node.value)
        if place is not None:
            self._places.known[node.target.id] = place
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        place = self._places.place_of(node.iter)
        if isinstance(place, tuple) and isinstance(node.target, ast.Name):
            self._places.known[node.target.id] = (*place, ITEM)
            self._places.seen((*place, ITEM))
        self.generic_visit(node)

    def visit_If(self, node: ast.If) -> None:
        test = node.test.operand if isinstance(node.test, ast.UnaryOp) else node.test
        if seen := self._places.use_of(test):
            seen.truth = True
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        sides = [node.left, *node.comparators]
        for left, operator, right in zip(sides, node.ops, sides[1:], strict=False):
            for one, other in ((left, right), (right, left)):
                seen = self._places.use_of(one)
                if seen is None:
                    continue
                seen.strings += [text for text in _strings(other) if text not in seen.strings]
                is_order = isinstance(operator, (ast.Lt, ast.LtE, ast.Gt, ast.GtE))
                seen.number |= is_order
                seen.ordered |= is_order and not _is_number(other)
                if isinstance(operator, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
                    seen.numbers += [number for number in _numbers(other) if number not in seen.numbers]
                seen.truth |= isinstance(other, ast.Constant) and isinstance(other.value, bool)
                is_member = isinstance(operator, (ast.In, ast.NotIn)) and one is left and not _literals(other)
                if is_member and not self._among(seen, other):
                    seen.member = True
        self.generic_visit(node)

    def visit_Match(self, node: ast.Match) -> None:
        if seen := self._places.use_of(node.subject):
            for case in node.cases:
                values = [each.value for each in ast.walk(case.pattern) if isinstance(each, ast.MatchValue)]
                seen.strings += [text for value in values for text in _strings(value) if text not in seen.strings]
        self.generic_visit(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        for one, other in ((node.left, node.right), (node.right, node.left)):
            if (
                (seen := self._places.use_of(one))
                and not list(_strings(other))
                and not isinstance(other, ast.JoinedStr)
            ):
                seen.number = True
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if seen := self._places.use_of(node.value):
            seen.number = True
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if (seen := self._places.use_of(node.operand)) and isinstance(node.op, ast.USub):
            seen.number = True
        self.generic_visit(node)

    def visit_Subscript(self, node: ast.Subscript) -> None:
        for part in node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]:
            if (seen := self._places.use_of(part)) and not (part is node.slice and self._among(seen, node.value)):
                seen.index = True
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = last_name(node.func)
        for argument in node.args:
            if seen := self._places.use_of(argument):
                seen.number |= name in _NUMBERS
                seen.moment |= name == "fromisoformat"
                is_index = name in ("get", "setdefault", "pop") and argument is node.args[0]
                if is_index and not self._among(seen, getattr(node.func, "value", node)):
                    seen.index = True
                seen.member |= name in ("add", "discard")
        self._follow(node)
        self._note_method(node)
        method = node.func.value if isinstance(node.func, ast.Attribute) else node.func
        for part in (method, *node.args, *node.keywords):  # a method is no field
            self.visit(part)

    def _among(self, seen: FieldUse, table: ast.expr) -> bool:
        """Whether it is one of the texts of a table that the module has and does not change, which are noted."""
        texts = self._tables(table.id) if isinstance(table, ast.Name) else ()
        seen.strings += [text for text in texts if text not in seen.strings]
        return bool(texts)

    def _note_method(self, node: ast.Call) -> None:
        place = self._places.place_of(node.func.value) if isinstance(node.func, ast.Attribute) else None
        if isinstance(place, tuple) and last_name(node.func) not in _OF_PLAIN_VALUES:
            called = ".".join([*place, last_name(node.func)])
            self._reads.methods += [called] if called not in self._reads.methods else []

    def _follow(self, node: ast.Call) -> None:
        """Into a function of the same module, or a method of the same object, that is handed part of the message."""
        function: Function | None = None
        is_method = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) in ("self", "cls")
        if is_method:
            function = self._methods.get(last_name(node.func))
        elif isinstance(node.func, ast.Name):
            function = self._functions.get(node.func.id, (None, None))[0]
        if function is None:
            return
        names = [each.arg for each in [*function.args.posonlyargs, *function.args.args]][1 if is_method else 0 :]
        given = [*zip(names, node.args, strict=False), *((word.arg or "", word.value) for word in node.keywords)]
        known = {name: place for name, value in given if (place := self._places.place_of(value)) is not None}
        self.read(function, known)


def _literals(node: ast.AST) -> list[object]:
    return [*_strings(node), *_numbers(node)]


def _strings(node: ast.AST) -> Iterator[str]:
    """The texts that something is compared with."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        for item in node.elts:
            yield from _strings(item)


def _numbers(node: ast.AST) -> Iterator[int | float]:
    """The numbers that something is compared with."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        yield node.value  # type: ignore[misc]
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        for item in node.elts:
            yield from _numbers(item)


def _is_number(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) in (int, float)
