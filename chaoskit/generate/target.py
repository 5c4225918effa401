"""The chaos test that a repro file names, as its source tells it: its fixtures, and how to call it by hand."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from chaoskit.generate.cases import arguments_of_case
from chaoskit.generate.classes import Function, keyword_of, last_name
from chaoskit.generate.project import parse
from chaoskit.values.errors import ReproError, did_you_mean

_MODULE_SETUP = ("setup_module", "teardown_module", "setup_function", "teardown_function", "setUpModule")
_CLASS_SETUP = ("setup_class", "teardown_class", "setup_method", "teardown_method", "setUp", "tearDown", "setUpClass")
BY_HAND = "Keep the repro file itself: pytest replays it first in every run of the test"


@attrs.frozen
class Target:
    """`call`: the test from its module, such as `TestWallet().test_it`. `fixtures`: what it takes beside `deliver`
    and the `arguments` of its case.
    `brought`: the names of that module which the new one has to have, too, so that pytest finds them. `used`: fixtures
    that it asks for without taking them. `marks`: its other marks, as source. `decorated`: by @chaos."""

    call: str
    fixtures: tuple[str, ...]
    arguments: dict[str, Any]
    brought: tuple[str, ...]
    used: tuple[str, ...]
    marks: tuple[str, ...]
    decorated: bool
    imports_relatively: bool


def target_of(test: str, root: Path) -> Target:
    """Find the test in its file. Raises ReproError where it cannot be called by hand, and says what to do then."""
    file, _, names = test.partition("::")
    names, bracket, case = names.partition("[")
    tree = parse(root / file)
    if tree is None:
        raise ReproError(f"{file} cannot be read as Python")
    *classes, name = names.split("::")
    path = _path(tree, classes, name, file)
    function = path[-1]
    assert isinstance(function, Function)
    # Without `self`.
    parameters = _parameters(function)[1 if classes else 0 :]
    decorated = any(last_name(decorator) == "chaos" for decorator in function.decorator_list)
    if not decorated and "deliver" not in parameters:
        raise ReproError(f"{name} in {file} is no chaos test: @chaos does not decorate it, and it takes no `deliver`")
    arguments = _arguments(function, case.removesuffix("]")) if bracket else {}
    fixtures = tuple(parameter for parameter in parameters if parameter not in {"deliver", *arguments})
    used = tuple(dict.fromkeys(name for node in (tree, *path) for name in _used(node)))
    known = _fixtures_around(tree, root, Path(file))
    # pytest gives the case's value to all who take that fixture, which a plain call could not.
    for argument in [each for each in arguments if each in known]:
        raise ReproError(f"{argument} is a fixture, too, which the case [{case} takes the place of. {BY_HAND}")
    needed = _closure([*fixtures, *used, *_autouse(known, tree)], known)
    _check_setup(tree, path, needed, file)
    _check_fixtures(needed, known)
    return Target(
        "".join(f"{each}()." if each == classes[-1] else f"{each}." for each in classes) + name,
        fixtures,
        arguments,
        _brought(needed, known, tree),
        used,
        tuple(dict.fromkeys(mark for node in (tree, *path) for mark in _other_marks(node))),
        decorated,
        any(isinstance(node, ast.ImportFrom) and node.level for node in ast.walk(tree)),
    )


def _arguments(function: Function, case: str) -> dict[str, Any]:
    """What the decorators of a parametrised test give it in this case."""
    arguments = arguments_of_case(function, case)
    if arguments is None:
        raise ReproError(
            f"{function.name} is parametrised, and what the case [{case}] stands for does not show in its decorators: "
            f"only literal values do. {BY_HAND}"
        )
    return arguments


def _check_fixtures(needed: Sequence[str], known: dict[str, list[Function]]) -> None:
    for fixture in needed:
        if any(isinstance(node, ast.AsyncFunctionDef) for node in known.get(fixture, ())):
            raise ReproError(
                f"its fixture {fixture} is async and lives in the event loop of a plugin, which a plain test is not "
                f"run in. {BY_HAND}"
            )


def _path(tree: ast.Module, classes: Sequence[str], name: str, file: str) -> list[ast.ClassDef | Function]:
    """The classes that the test lies in, and the test."""
    path: list[ast.ClassDef | Function] = []
    body: Sequence[ast.stmt] = tree.body
    for part in [*classes, name]:
        kinds = (ast.ClassDef,) if len(path) < len(classes) else (ast.FunctionDef, ast.AsyncFunctionDef)
        known = {node.name: node for node in body if isinstance(node, kinds)}
        if part not in known:
            what = "class" if len(path) < len(classes) else "def"
            raise ReproError(f"{file} has no `{what} {part}`{did_you_mean(part, known) if known else ''}")
        path.append(known[part])
        body = known[part].body
    return path


def _parameters(function: Function) -> list[str]:
    """Those without a default: pytest has a fixture for each."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    required = positional[: len(positional) - len(arguments.defaults)]
    named = [word for word, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None]
    return [each.arg for each in [*required, *named]]


# Fixtures.


def _is_fixture(node: ast.AST) -> ast.expr | None:
    """The decorator that makes it one."""
    if not isinstance(node, Function):
        return None
    return next((each for each in node.decorator_list if last_name(each) in ("fixture", "yield_fixture")), None)


def _fixtures_in(body: Sequence[ast.stmt]) -> dict[str, Function]:
    found = {}
    for node in body:
        decorator = _is_fixture(node)
        if decorator is not None and isinstance(node, Function):
            found[str(keyword_of(decorator, "name") or node.name)] = node
    return found


def _fixtures_around(tree: ast.Module, root: Path, file: Path) -> dict[str, list[Function]]:
    """By name: those of the module, and of each conftest.py on the way to it. One may extend another of its name."""
    trees = [tree]
    for directory in (file.parent, *file.parent.parents):
        conftest = parse(root / directory / "conftest.py")
        trees += [conftest] if conftest is not None else []
    found: dict[str, list[Function]] = {}
    for each in trees:
        for name, node in _fixtures_in(each.body).items():
            found.setdefault(name, []).append(node)
    return found


def _autouse(known: dict[str, list[Function]], tree: ast.Module) -> Iterator[str]:
    for name, nodes in known.items():
        if any(node in tree.body and keyword_of(_is_fixture(node), "autouse") for node in nodes):
            yield name


def _closure(names: Sequence[str], known: dict[str, list[Function]]) -> list[str]:
    """These fixtures and all that they take themselves."""
    found: dict[str, None] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop(0)
        if name not in found:
            found[name] = None
            waiting += [parameter for node in known.get(name, ()) for parameter in _parameters(node)]
    return list(found)


def _marks(node: ast.AST) -> Iterator[ast.expr]:
    """The marks on a test, a class or, as `pytestmark`, a module."""
    marks: list[ast.expr] = list(getattr(node, "decorator_list", ()))
    for statement in node.body if isinstance(node, (ast.Module, ast.ClassDef)) else ():
        if isinstance(statement, ast.Assign) and any(last_name(target) == "pytestmark" for target in statement.targets):
            several = isinstance(statement.value, (ast.List, ast.Tuple))
            marks += statement.value.elts if several else [statement.value]  # type: ignore[attr-defined]
    yield from marks


def _used(node: ast.AST) -> Iterator[str]:
    """The fixtures of `usefixtures`."""
    for mark in _marks(node):
        if isinstance(mark, ast.Call) and last_name(mark) == "usefixtures":
            yield from (a.value for a in mark.args if isinstance(a, ast.Constant) and isinstance(a.value, str))


# How a test is run and reported, which is another matter for a plain one; `usefixtures` is written anew.
_NOT_KEPT = frozenset({"anyio", "asyncio", "flaky", "parametrize", "skip", "trio", "usefixtures", "xfail"})


def _other_marks(node: ast.AST) -> Iterator[str]:
    """Marks that say what the test needs, such as a database, where they name nothing of the module."""
    for mark in _marks(node):
        names = {each.id for each in ast.walk(mark) if isinstance(each, ast.Name)}
        source = ast.unparse(mark)
        if names == {"pytest"} and source.startswith("pytest.mark.") and last_name(mark) not in _NOT_KEPT:
            yield source


def _brought(needed: Sequence[str], known: dict[str, list[Function]], tree: ast.Module) -> tuple[str, ...]:
    """The fixtures among these that are defined in the module, by the names of their functions, or imported by it."""
    bound = _bound_in(tree)
    here = {fixture: node for fixture in needed for node in known.get(fixture, ()) if node in tree.body}
    found = (name for name in needed if name in {*bound, *here})
    return tuple(here[fixture].name if fixture in here else fixture for fixture in found)


def _bound_in(tree: ast.Module) -> set[str]:
    """Names that the module imports: a fixture may be among them."""
    return {
        alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }


# Setup.


def _check_setup(tree: ast.Module, path: Sequence[ast.ClassDef | Function], needed: Sequence[str], file: str) -> None:
    """Raise ReproError where something has to be called before the test that only pytest calls."""
    for node in tree.body:
        if isinstance(node, Function) and node.name in _MODULE_SETUP:
            raise ReproError(f"{file} has {node.name}, which only pytest calls: make it a fixture. {BY_HAND}")
    for kind in path[:-1]:
        assert isinstance(kind, ast.ClassDef)
        for each in _with_bases(kind, tree, file):
            for node in each.body:
                _check_member(each, node, needed)


def _check_member(kind: ast.ClassDef, node: ast.stmt, needed: Sequence[str]) -> None:
    if not isinstance(node, Function):
        return
    if node.name in _CLASS_SETUP:
        raise ReproError(
            f"{kind.name} has {node.name}, which only pytest calls: make it a fixture outside of the class, or let the "
            f"test call it. {BY_HAND}"
        )
    decorator = _is_fixture(node)
    name = str(keyword_of(decorator, "name") or node.name)
    if decorator is not None and (name in needed or keyword_of(decorator, "autouse")):
        raise ReproError(f"{name} is a fixture of {kind.name} itself: move it out of the class. {BY_HAND}")


def _with_bases(kind: ast.ClassDef, tree: ast.Module, file: str) -> Iterator[ast.ClassDef]:
    yield kind
    for base in kind.bases:
        found = next((n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == last_name(base)), None)
        if found is not None and found is not kind:
            yield from _with_bases(found, tree, file)
        elif last_name(base) != "object":
            raise ReproError(
                f"{kind.name} extends {ast.unparse(base)}, which is not in {file}: whether it sets anything up cannot "
                f"be seen. {BY_HAND}"
            )
