"""What is known of a function that a framework calls: the adapter that stands in for that, its broker and settings, and
where in its source the value of the event is. What is looked for in sources in one module for each kind of framework:
`jobs`, `arq_jobs`, `subscribers`, `web`, `django_views`, `lambdas`, `dynamodb_streams`, `loops`; `recipes` asks all."""

from __future__ import annotations

import ast
import copy
import re
from collections.abc import Callable, Iterator, Mapping

import attrs

from chaoskit.generate.classes import Function, last_name
from chaoskit.generate.handlers import FoundHandler, functions_in
from chaoskit.generate.lookup import find_class, source_of
from chaoskit.generate.places import FieldUse, Reads
from chaoskit.generate.roles import is_id_of_one_event
from chaoskit.generate.source import Code

VALUE = "payload"
"""What the value is called in the function that is read in place of the user's."""


@attrs.frozen(eq=False)
class Adapted:
    """`value`: a function like the user's, that takes the event's value and nothing else. `kind`: the class that the
    framework makes of the value, where the module has it; `typed` the annotations of single fields.

    `function`, of the module `adapter`, gives the handler for `items` and `options`: their source, with `{adapter}`,
    `{handler}` and the keys of `objects` in it, which are names of the module. `before`: lines that come first,
    likewise, with the keys of `names`, each a module and a name in it. `needs`: what the source does not say how to
    make. `returns` gives the source of the final state, where it is not that of the module. `key`: the field that the
    events' key is for sure; `{key}` in `options` is this one or the one that was guessed.
    `pytest_settings` is what pytest's own file has to say, `environment` what is set before the module is imported.
    `loop`: the lines of a process, in the place of a handler, for which the test takes `fixtures`. `uses_key`: the
    function reads the key of its messages. `state_of`: functions whose state is the module's, besides what was read.
    `assumed`: what is said of the broker where the source does not say it. `alone`: the parameter that takes the whole
    value. `in_batches`: it takes all messages of a call. `without`: faults of the broker's that cannot happen to it.
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
    needs: tuple[str, ...] = ()
    returns: Callable[[Mapping[str, str]], Code] | None = None
    key: str = ""
    decorators: tuple[str, ...] = ()
    pytest_settings: Mapping[str, str] = attrs.field(factory=dict)
    environment: Mapping[str, str] = attrs.field(factory=dict)
    loop: tuple[str, ...] = ()
    fixtures: tuple[str, ...] = ()
    uses_key: bool = False
    state_of: tuple[Function, ...] = ()
    assumed: str = ""
    alone: ast.arg | None = None
    in_batches: bool = False
    without: tuple[str, ...] = ()

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
        is_id = self.alone is not None and is_id_of_one_event(self.alone.arg) and not {*reads.places} - {()}
        if self.alone is not None and is_id:
            _note_type(whole := reads.places.setdefault((), FieldUse()), _written(self.alone), ast.Constant(None))
            whole.unique = True
        for seen in reads.places.values():
            seen.attribute = False
        reads.methods.clear()


def _written(parameter: ast.arg) -> str:
    return ast.unparse(parameter.annotation) if parameter.annotation else ""


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


def plain_line(source: str) -> str:
    """A line of `before` in which no names are filled in."""
    return source.replace("{", "{{").replace("}", "}}")


# The value in the source.


class Substitution(ast.NodeTransformer):
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


def taking_value(handler: FoundHandler, function: Function, put: Substitution) -> FoundHandler:
    """The same function with the value as its only parameter."""
    made = copy.deepcopy(function)
    made.args = ast.arguments([], [ast.arg(VALUE)], None, [], [], None, [])
    made.decorator_list = []
    ast.NodeTransformer.generic_visit(put, made)
    return attrs.evolve(handler, function=made)


def first_with_value(handler: FoundHandler, is_value: Callable[[ast.AST], bool]) -> FoundHandler | None:
    """The handler, or the function of its module in which the value first shows; None where it does not show."""
    others = [function for function, kind in functions_in(handler.tree).values() if kind is None]
    for function in [handler.function, *others]:
        put = Substitution(is_value)
        made = taking_value(handler, function, put)
        if put.count:
            return made
    return None


def class_of(handler: FoundHandler, annotation: ast.expr | None) -> ast.ClassDef | None:
    """The class of this name, of the module or of one that it has it from."""
    found = find_class(source_of(handler), annotation.id) if isinstance(annotation, ast.Name) else None
    return None if found is None else found[1]


def validated_class(handler: FoundHandler) -> ast.ClassDef | None:
    """The class by which the module reads its JSON: `Order.model_validate_json(body)`."""
    for name in ("model_validate_json", "parse_raw"):
        for call in calls_in(handler.tree, name):
            if isinstance(call.func, ast.Attribute) and (kind := class_of(handler, call.func.value)) is not None:
                return kind
    return None


# Reading the source.


def decorator_of(handler: FoundHandler, names: frozenset[str]) -> ast.Call | ast.expr | None:
    for each in handler.function.decorator_list:
        if last_name(each.func if isinstance(each, ast.Call) else each) in names:
            return each
    return None


def keywords_of(decorator: ast.expr) -> dict[str, ast.expr]:
    return {word.arg: word.value for word in decorator.keywords if word.arg} if isinstance(decorator, ast.Call) else {}


def is_true(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and node.value is True


def made_by(tree: ast.Module, name: str) -> ast.Call | None:
    """The call that this name of the module is the result of."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets):
            return node.value if isinstance(node.value, ast.Call) else None
    return None


def calls_in(tree: ast.AST, name: str) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call) and last_name(node.func) == name)
