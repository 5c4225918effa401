"""What the id of a parametrised case stands for, as pytest itself makes ids."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from chaoskit.generate.cases import arguments_of_case

SOURCE = """
import pytest

SEEN = {}

@pytest.mark.parametrize("a, b", [(1, "x"), (2.5, None), (True, "y-z"), ([1], {"k": 1}), ("é", b"\\xffb")])
@pytest.mark.parametrize("c", ["", "only", pytest.param({1, 2}, id="named")])
def test_it(request, a, b, c):
    print("CASE", repr((request.node.callspec.id, {"a": a, "b": b, "c": c})))
"""


def test_every_id_of_pytest_stands_for_its_arguments(pytester: pytest.Pytester) -> None:
    """Texts, numbers, None, objects, ids of their own, and several decorators."""
    pytester.makepyfile(SOURCE)
    ran = pytester.runpytest_subprocess("-q", "-s", "-p", "no:cacheprovider")
    cases: list[tuple[str, dict[str, Any]]] = [
        ast.literal_eval(line.partition("CASE ")[2]) for line in ran.outlines if "CASE " in line
    ]
    assert len(cases) == 15, ran.outlines
    for name, arguments in cases:
        assert arguments_of_case(function_in(SOURCE), name) == arguments


@pytest.mark.parametrize(
    "decorators",
    [
        "",
        "@pytest.mark.parametrize('a', VALUES)",
        "@pytest.mark.parametrize('a', [ONE])",
        "@pytest.mark.parametrize('a', [1], ids=['1'])",
        "@pytest.mark.parametrize('a', [1, 1])",
        "@pytest.mark.parametrize('a', [1])\n@pytest.mark.parametrize('b', VALUES)",
        "@pytest.mark.parametrize('a', [2])",
        "@pytest.mark.parametrize(NAMES, [1])",
    ],
)
def test_what_does_not_show_is_not_guessed(decorators: str) -> None:
    """Names among the values, ids that are given otherwise, two cases of one id."""
    assert arguments_of_case(function_in(f"{decorators}\ndef test_it(a): pass"), "1") is None


def function_in(source: str) -> ast.FunctionDef:
    (found,) = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    return found
