"""Databases that modules open by themselves, so that no test writes into one that somebody uses."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

import attrs

from chaoskit.generate.classes import Function, last_name
from chaoskit.generate.environment import MADE, variable_read
from chaoskit.generate.findings import comment
from chaoskit.generate.source import quoted

_SQLITE = re.compile(r"(sqlite(?:\+\w+)?):///([^?]+)(\?.*)?")
_FILE = re.compile(r"(?!:memory:)[^\s:?*]+\.(db3?|sqlite3?|duckdb)")
_SERVER = re.compile(r"(?!sqlite|https?|file)\w+(\+\w+)?://.+")
_NAMES_A_URL = re.compile(r"(\w+_)?(DATABASE|DB|SQLALCHEMY_DATABASE|SQLITE)_?(URL|URI)", re.IGNORECASE)
_NAMES_A_FILE = re.compile(r"(\w+_)?((DATABASE|DB|SQLITE)_?(PATH|FILE)|SQLITE_DB)", re.IGNORECASE)
ENGINES = {"create_engine": "", "create_async_engine": ".sync_engine"}
"""What makes an engine of SQLAlchemy's, and where that is which can be listened to: another one of an async engine."""
_OPENS = frozenset({"connect", "create_engine", "create_async_engine", "SqliteDatabase", "Database"})
_OF_SERVERS = re.compile(r"psycopg|asyncpg|mysql|MySQLdb|mongo|oracledb|pyodbc", re.IGNORECASE)


@attrs.frozen
class OwnDatabase:
    """`what` names it: a variable, or a constant as `shop.store.DB`. `path`: the source of what stands below a
    temporary directory, of which `DIRECTORY` is the name; empty where somebody else has to name it. `told`: how the
    module reads it, for that case."""

    what: str
    path: str
    told: str = ""
    is_variable: bool = True
    engine: str = ""
    """The source of an engine of SQLAlchemy's whose URL nothing can tell, but each of whose connections."""

    @property
    def line(self) -> str:
        """For a conftest.py; a comment may be several."""
        if not self.path:
            return "\n".join(comment(f"TODO: {self.told}. Let the tests have one of their own."))
        if self.engine:
            name = re.sub(r"\W", "_", self.what)
            return (
                f'\n\n@sqlalchemy.event.listens_for({self.engine}, "do_connect")\n'
                f"def elsewhere_{name}(dialect, record, arguments, parameters):\n"
                f"    arguments[0] = f{quoted(self.path)}"
            )
        if self.is_variable:
            return f"os.environ[{quoted(self.what)}] = f{quoted(self.path)}"
        return f"pytest.MonkeyPatch().setattr({quoted(self.what)}, f{quoted(self.path)})"

    def is_told_by(self, conftest: str) -> bool:
        """Whether a conftest.py has the tests' own one, as `line` says it: one that names it may open it."""
        return MADE in conftest and self.line.strip().partition(' f"')[0] in conftest


def databases_of(trees: Mapping[str, ast.Module]) -> list[OwnDatabase]:
    """Those of modules, by their names: once each, in the order of the sources."""
    found: dict[str, OwnDatabase] = {}
    # What a module of settings reads is opened by others.
    source = "\n".join(map(ast.unparse, trees.values()))
    for module, tree in trees.items():
        for each in (*_of_environment(module, tree, source), *_of_constants(module, tree), *_opened(module, tree)):
            found.setdefault(each.what, each)
    return list(found.values())


def _elsewhere(written: str) -> str:
    """The same file in the temporary directory; empty for what is no file of a database."""
    if url := _SQLITE.fullmatch(written):
        name = url[2].rpartition("/")[2]
        return "" if ":memory:" in url[2] else f"{url[1]}:///{{DIRECTORY}}/{name}{url[3] or ''}"
    return f"{{DIRECTORY}}/{written.rpartition('/')[2]}" if _FILE.fullmatch(written) else ""


def _of_environment(module: str, tree: ast.Module, source: str) -> Iterator[OwnDatabase]:
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Call, ast.Subscript)) or not (name := variable_read(node)):
            continue
        default = _default(node)
        if path := _elsewhere(default):
            yield OwnDatabase(name, path)
        elif _SERVER.fullmatch(default) and _NAMES_A_URL.fullmatch(name):
            yield OwnDatabase(name, "", f"{module} reads {name} of the environment, by default {default}")
        elif not default and _NAMES_A_URL.fullmatch(name):
            scheme = "sqlite+aiosqlite" if "create_async_engine" in source else "sqlite"
            path = "" if _OF_SERVERS.search(source) else f"{scheme}:///{{DIRECTORY}}/test.db"
            yield OwnDatabase(name, path, f"{module} reads {name} of the environment")
        elif not default and _NAMES_A_FILE.fullmatch(name):
            yield OwnDatabase(name, "{DIRECTORY}/test.db")


def _default(node: ast.Call | ast.Subscript) -> str:
    """What a variable is where it is not set."""
    given = [*node.args[1:], *(word.value for word in node.keywords)] if isinstance(node, ast.Call) else []
    value = given[0].value if given and isinstance(given[0], ast.Constant) else ""
    return value if isinstance(value, str) else ""


def _of_constants(module: str, tree: ast.Module) -> Iterator[OwnDatabase]:
    """`DB = "payments.db"`: set to another one, where only functions read it."""
    for node in tree.body:
        value = node.value if isinstance(node, (ast.Assign, ast.AnnAssign)) else None
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if not isinstance(value, ast.Constant) or not isinstance(value.value, str) or not isinstance(target, ast.Name):
            continue
        if path := _elsewhere(value.value):
            what = f"{module}.{target.id}"
            is_read = any(_reads(each, target.id) for each in tree.body if not isinstance(each, Function))
            told = f"{module} opens {value.value} when it is imported"
            yield OwnDatabase(what, "" if is_read else path, told, is_variable=False)


def _reads(statement: ast.stmt, name: str) -> bool:
    """When it is run: the bodies of methods run later, the defaults of parameters now."""
    later = {each for node in ast.walk(statement) if isinstance(node, Function) for each in _inside(node)}
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load) and node not in later
        for node in ast.walk(statement)
    )


def _inside(function: Function) -> Iterator[ast.AST]:
    return (each for statement in function.body for each in ast.walk(statement))


def _opened(module: str, tree: ast.Module) -> Iterator[OwnDatabase]:
    """`sqlite3.connect("payments.db")`, which nothing can tell another file; an engine of the module can be."""
    engines: dict[ast.AST, str] = {
        node.value: node.targets[0].id
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node in engines and (made := last_name(node)) in ENGINES and node.args:
            first = node.args[0]
            url = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
            if path := _elsewhere(url).partition("///")[2].partition("?")[0]:
                source = f"importlib.import_module({quoted(module)}).{engines[node]}{ENGINES[made]}"
                yield OwnDatabase(f"{module}.{engines[node]}", path, is_variable=False, engine=source)
                continue
        if isinstance(node, ast.Call) and last_name(node) in _OPENS and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and _elsewhere(first.value):
                yield OwnDatabase(first.value, "", f"{module} opens {first.value}", is_variable=False)
