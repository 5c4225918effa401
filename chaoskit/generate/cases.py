"""One case of a parametrised test: which arguments its id stands for, where its decorators are literal."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from typing import Any

from chaoskit.generate.classes import keyword_of, last_name

ParametrizedCase = tuple[str, dict[str, Any]]
"""An id, and the arguments that it stands for."""


def arguments_of_case(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> dict[str, Any] | None:
    """The arguments of the case with this id, as pytest makes ids of literals; None where that does not show: a name
    among the values, ids that are given otherwise, parameters of a fixture or a class."""
    decorators = [each for each in reversed(function.decorator_list) if last_name(each) == "parametrize"]
    several = [_cases(each) for each in decorators]
    if not several or None in several:
        return None
    found = []
    for chosen in itertools.product(*(cases or () for cases in several)):
        if "-".join(name for name, _ in chosen) == name:
            found.append({key: value for _, arguments in chosen for key, value in arguments.items()})
    return found[0] if len(found) == 1 else None


def _cases(decorator: ast.expr) -> list[ParametrizedCase] | None:
    """The cases of one `parametrize`; None where they are not literal."""
    if not isinstance(decorator, ast.Call) or len(decorator.args) != 2 or decorator.keywords:
        return None
    try:
        given = ast.literal_eval(decorator.args[0])
        values = list(_values(decorator.args[1]))
    except (ValueError, TypeError, SyntaxError):
        return None
    names = [each.strip() for each in given.split(",") if each.strip()] if isinstance(given, str) else list(given)
    cases: list[ParametrizedCase] = []
    for number, (name, value) in enumerate(values):
        arguments = dict(zip(names, value if len(names) > 1 else [value], strict=True))
        shown = [_shown(key, argument, number) for key, argument in arguments.items()]
        cases.append((name or "-".join(shown), arguments))
    distinct = {name for name, _ in cases}
    return cases if len(distinct) == len(cases) else None


def _values(node: ast.expr) -> Iterator[tuple[str, Any]]:
    """Each with the id that pytest.param gives it. Raises ValueError where one is not literal."""
    if not isinstance(node, (ast.List, ast.Tuple)):
        raise ValueError("the cases are made elsewhere")
    for item in node.elts:
        if isinstance(item, ast.Call) and last_name(item) == "param":
            values = tuple(ast.literal_eval(argument) for argument in item.args)
            yield str(keyword_of(item, "id") or ""), values[0] if len(values) == 1 else values
        else:
            yield "", ast.literal_eval(item)


def _shown(name: str, value: Any, number: int) -> str:
    """As pytest shows a value in an id."""
    if isinstance(value, str):
        return value.encode("unicode_escape").decode("ascii")
    if isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace")
    return str(value) if value is None or isinstance(value, (int, float, complex)) else f"{name}{number}"
