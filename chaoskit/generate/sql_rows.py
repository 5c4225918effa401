"""The rows that a handler writes, as the final state: tables of SQLAlchemy's models, and those that a module makes with
sqlite3. Only where the tests have a database of their own: a test empties its tables."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Set

from chaoskit.generate.classes import Function, keyword_of, last_name
from chaoskit.generate.databases import ENGINES, OwnDatabase
from chaoskit.generate.environment import variable_read
from chaoskit.generate.handlers import required
from chaoskit.generate.source import Code, Names, call, laid_out, mapping, quoted
from chaoskit.generate.state import KeptRows

Trees = Mapping[str, ast.Module]
"""Modules of the repository by their names."""

FRESH = "fresh state for every schedule"
_WHERE = quoted("pragma database_list")
# Only what conftest.py has made is emptied, whatever was imported before it could say so.
_GUARD = 'assert "chaos-" in file, f"{file} is not a database of the tests"'
_CREATES = re.compile(r"create\s+table\s+(?:if\s+not\s+exists\s+)?[\"`\[]?(\w+)[\"`\]]?\s*\((.*)\)", re.I | re.S)
_INSERTS = r"insert\s+(?:or\s+\w+\s+)?into\s+[\"`\[]?{table}[\"`\]]?\s*\(([^)]*)\)"
_CONSTRAINTS = re.compile(r"\s*(primary\s+key|unique|foreign\s+key|check|constraint)\b", re.I)
_GIVEN = re.compile(r"integer\s+primary\s+key|current_timestamp|\bdatetime\(|\bserial\b|autoincrement", re.I)


def kept_rows(trees: Trees, databases: list[OwnDatabase], names: Names, *, is_async: bool) -> KeptRows | None:
    """None where the source does not say which rows there are. `databases`: those that the modules open, of which the
    tests have others."""
    if not databases or not all(each.path for each in databases):
        return None
    own = {each.what for each in databases}
    return _of_models(trees, own, names, is_async=is_async) or _of_sqlite(trees, own, names)


def _is_own(trees: Trees, own: Set[str], module: str, argument: ast.expr) -> bool:
    """Whether what a module opens is one of `own`, by a variable or a constant, there or in another module."""
    if any(isinstance(node, ast.expr) and variable_read(node) in own for node in ast.walk(argument)):
        return True
    name = last_name(argument)
    for place in (module, *(each for each in trees if each != module)):
        values = [
            node.value
            for node in ast.walk(trees[place])
            if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value and name in map(last_name, _targets(node))
        ]
        if values:
            return f"{place}.{name}" in own or all(
                any(isinstance(node, ast.expr) and variable_read(node) in own for node in ast.walk(value))
                for value in values
            )
    return False


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


def _sorted(rows: Code) -> Code:
    return call("sorted", [call("map", ["tuple", rows])], {"key": "repr"})


def _returning(rows: Mapping[str, Code]) -> str:
    """Below a `with`."""
    several = mapping((quoted(name), each) for name, each in rows.items())
    return laid_out(several if len(rows) > 1 else next(iter(rows.values())), before="return ", width=80)


# Models of SQLAlchemy.


def _of_models(trees: Trees, own: Set[str], names: Names, *, is_async: bool) -> KeptRows | None:
    engine = next(_engines(trees, own), None)
    base = next(_bases(trees), None)
    if engine is None or base is None or (engine[2] and not is_async):
        return None
    models = {kind.name: (module, columns) for module, kind, columns in _models(trees, base[1])}
    if not models:
        return None
    connect, metadata = names.name(*engine[:2]), f"{names.name(*base)}.metadata"
    select = names.name("sqlalchemy", "select")
    rows: dict[str, Code] = {}
    wait = "await " if engine[2] else ""
    for name, (module, columns) in models.items():
        model = names.name(module, name)
        chosen = call(select, [f"{model}.{each}" for each in columns])
        rows[name] = _sorted(call(f"{wait}connection.execute", [chosen]))
    selected = f"connection.exec_driver_sql({_WHERE})"
    where, made = selected, f"{metadata}.create_all(connection)"
    if wait:
        where, made = f"(await {selected})", f"await connection.run_sync({metadata}.create_all)"
    enter = "async with" if wait else "with"
    before = (
        f"{enter} {connect}.begin() as connection:  # {FRESH}",
        f"    file = {where}.first()[2]",
        f"    {_GUARD}",
        f"    {made}",
        f"    for table in reversed({metadata}.sorted_tables):",
        f"        {wait}connection.execute(table.delete())",
    )
    returned = (f"    {line}" for line in _returning(rows).splitlines())
    return KeptRows(before, (f"{enter} {connect}.connect() as connection:", *returned))


def _engines(trees: Trees, own: Set[str]) -> Iterator[tuple[str, str, bool]]:
    """Those that a module has, of the tests' own databases: its name, that of the engine, and whether it is an async
    one."""
    for module, tree in trees.items():
        for name, value in _set_in(tree):
            if not isinstance(value, ast.Call) or (made := last_name(value.func)) not in ENGINES or not value.args:
                continue
            if f"{module}.{name}" in own or _is_own(trees, own, module, value.args[0]):
                yield module, name, bool(ENGINES[made])


def _set_in(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        if isinstance(target, ast.Name) and isinstance(value, ast.expr):
            yield target.id, value


def _bases(trees: Trees) -> Iterator[tuple[str, str]]:
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and "DeclarativeBase" in map(last_name, node.bases):
                yield module, node.name
        for name, value in _set_in(tree):
            if isinstance(value, ast.Call) and last_name(value.func) == "declarative_base":
                yield module, name


def _models(trees: Trees, base: str) -> Iterator[tuple[str, ast.ClassDef, list[str]]]:
    """Each with its module, and the columns that are the same in every run."""
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.ClassDef) and base in map(last_name, node.bases):
                columns = [each for each in _columns(node) if each]
                if columns:
                    yield module, node, columns


def _columns(kind: ast.ClassDef) -> Iterator[str]:
    for node in kind.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        value = getattr(node, "value", None)
        made = last_name(value.func) if isinstance(value, ast.Call) else ""
        annotation = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
        if not isinstance(target, ast.Name) or target.id.startswith("__") or made == "relationship":
            continue
        if made in ("mapped_column", "Column") or (value is None and "Mapped[" in annotation):
            yield "" if isinstance(value, ast.Call) and _is_given(value, annotation) else target.id


def _is_given(column: ast.Call, annotation: str) -> bool:
    """Whether the database or Python makes up what stands there: a number of its own, a time."""
    given = {word.arg: word.value for word in column.keywords}
    if {"server_default", "onupdate", "server_onupdate", "default_factory", "insert_default"} & {*given}:
        return True
    if not isinstance(given.get("default", ast.Constant(None)), ast.Constant):
        return True
    kinds = [last_name(each) for each in column.args] or [annotation]
    is_number = any("Integer" in kind or "[int]" in kind for kind in kinds)
    return bool(keyword_of(column, "primary_key")) and is_number


# Tables of sqlite3.


def _of_sqlite(trees: Trees, own: Set[str], names: Names) -> KeptRows | None:
    tables = dict(_tables(trees))
    opened = next((each for each in _opens(trees) if _is_own(trees, own, each[0], each[2])), None)
    if not tables or opened is None:
        return None
    module, function, argument = opened
    if function is not None:
        connect = f"{names.name(module, function.name)}()"
    else:
        connect = f"{names.name('sqlite3', 'connect')}({_path(names, module, argument)})"
    commits = " as connection:"
    if function is None or not function.decorator_list:
        connect, commits = f"{names.name('contextlib', 'closing')}({connect})", " as connection, connection:"
    opens = f"with {connect}{commits}  # {FRESH}"
    where = [f"    file = connection.execute({_WHERE}).fetchone()[2]", f"    {_GUARD}"]
    empties = [f"    connection.execute({quoted(f'delete from {table}')})" for table in tables]
    first, inside = _creating(trees, names, function)
    rows = {
        table: _sorted(call("connection.execute", [quoted(f"select {columns} from {table}")]))
        for table, columns in tables.items()
    }
    returned = [f"    {line}" for line in _returning(rows).splitlines()]
    return KeptRows((*first, opens, *where, *inside, *empties), (f"with {connect} as connection:", *returned))


def _path(names: Names, module: str, argument: ast.expr) -> str:
    if isinstance(argument, ast.Name):
        return names.name(module, argument.id)
    return f"{names.module('os')}.environ[{quoted(variable_read(argument))}]"


def _texts(tree: ast.AST) -> Iterator[str]:
    return (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _tables(trees: Trees) -> Iterator[tuple[str, str]]:
    """Each with the columns that are the same in every run."""
    written = [text for tree in trees.values() for text in _texts(tree)]
    for statement in (each for text in written for each in text.split(";")):
        if (found := _CREATES.search(statement)) is None:
            continue
        table, told = found[1], ""
        for text in written:
            if (inserted := re.search(_INSERTS.format(table=table), text, re.I)) is not None:
                told += f" {inserted[1]}"
        columns = [each.split()[0].strip('"`[]') for each in _parts(found[2]) if each.strip()]
        parts = dict(zip(columns, _parts(found[2]), strict=False))
        kept = [
            name
            for name, part in parts.items()
            if not _CONSTRAINTS.match(part) and (not _GIVEN.search(part) or re.search(rf"\b{name}\b", told))
        ]
        defined = [name for name, part in parts.items() if not _CONSTRAINTS.match(part)]
        if kept:
            yield table, "*" if kept == defined else ", ".join(kept)


def _parts(columns: str) -> list[str]:
    """What stands between the commas that are in no brackets."""
    found, depth = [""], 0
    for sign in columns:
        depth += (sign == "(") - (sign == ")")
        if sign == "," and not depth:
            found.append("")
        else:
            found[-1] += sign
    return [part for part in found if part.strip()]


def _opens(trees: Trees) -> Iterator[tuple[str, Function | None, ast.expr]]:
    """Functions that take nothing and give a connection; else where one is opened by a name or a variable."""
    plain: list[tuple[str, Function | None, ast.expr]] = []
    for module, tree in trees.items():
        for node in tree.body:
            for made in ast.walk(node):
                if not isinstance(made, ast.Call) or ast.unparse(made.func) != "sqlite3.connect" or not made.args:
                    continue
                argument = made.args[0]
                if isinstance(node, ast.FunctionDef) and _gives_it(node):
                    yield module, node, argument
                elif isinstance(node, Function) and (_is_constant(tree, argument) or variable_read(argument)):
                    plain.append((module, None, argument))
    yield from plain


def _gives_it(function: ast.FunctionDef) -> bool:
    gives = any(isinstance(node, (ast.Return, ast.Yield)) and node.value is not None for node in ast.walk(function))
    managed = [last_name(each) for each in function.decorator_list]
    return gives and not required(function, is_method=False) and managed in ([], ["contextmanager"])


def _is_constant(tree: ast.Module, argument: ast.expr) -> bool:
    return isinstance(argument, ast.Name) and any(name == argument.id for name, _ in _set_in(tree))


def _creating(trees: Trees, names: Names, opens: Function | None) -> tuple[list[str], list[str]]:
    """The lines that make the tables, before a connection is there and with it, where opening one does not."""
    for module, tree in trees.items():
        for node in tree.body:
            if isinstance(node, ast.FunctionDef) and node is not opens and any(map(_CREATES.search, _texts(node))):
                needs = required(node, is_method=False)
                if len(needs) < 2:
                    made = names.name(module, node.name)
                    return ([], [f"    {made}(connection)"]) if needs else ([f"{made}()"], [])
    return [], []
