"""The user's repository as it lies on disk: how pytest is set up, under which name a file is imported. Nothing of it is
imported or run."""

from __future__ import annotations

import ast
import configparser
import contextlib
import shlex
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from chaoskit.generate.classes import FindClass, class_in
from chaoskit.generate.source import is_name


@attrs.frozen
class PytestSettings:
    """How pytest is configured in a repository. `file`: where; None where nowhere. `paths`: `pythonpath`, from the
    root."""

    file: str | None = None
    import_mode: str = "prepend"
    paths: tuple[str, ...] = ()
    testpaths: tuple[str, ...] = ()


_INI = ("pytest.ini", ".pytest.ini")
_SECTIONS = {"pytest.ini": "pytest", ".pytest.ini": "pytest", "tox.ini": "pytest", "setup.cfg": "tool:pytest"}


def pytest_settings(root: Path) -> PytestSettings:
    """Read as pytest reads it: the first of its files that speaks of it."""
    # pytest's own order, in which an earlier file hides the later ones.
    for name in ("pytest.toml", ".pytest.toml", *_INI, "pyproject.toml", "tox.ini", "setup.cfg"):
        table = _table(root / name)
        if table is not None:
            return _settings(name, table)
    return PytestSettings()


def _table(path: Path) -> Mapping[str, Any] | None:
    """What this file says to pytest; None where it does not speak of it."""
    if path.suffix == ".toml":
        data = toml(path)
        if path.name != "pyproject.toml":
            return data.get("pytest", {}) if path.is_file() else None
        tool = data.get("tool", {}).get("pytest", {})
        ini: Mapping[str, Any] | None = tool.get("ini_options")
        return ini if ini is not None else tool or None
    # To pytest a `%` is itself, and a key that stands twice is no reason to read nothing.
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    with contextlib.suppress(configparser.Error, UnicodeDecodeError):
        parser.read(path, encoding="utf-8")
    section = _SECTIONS[path.name]
    if parser.has_section(section):
        return dict(parser[section])
    # An empty pytest.ini ends pytest's search, too; other files do only with their section.
    return {} if path.name in _INI and path.is_file() else None


def toml(path: Path) -> dict[str, Any]:
    """The file's tables; none where there is no file, or no TOML in it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def _settings(name: str, table: Mapping[str, Any]) -> PytestSettings:
    options = _words(table.get("addopts", ""))
    mode = "prepend"
    for option, following in zip(options, [*options, ""][1:], strict=True):
        if option == "--import-mode":
            mode = following
        elif option.startswith("--import-mode="):
            mode = option.partition("=")[2]
    return PytestSettings(
        name,
        str(table.get("import_mode", mode)),
        tuple(_words(table.get("pythonpath", ""))),
        tuple(_words(table.get("testpaths", ""))),
    )


def _words(given: Any) -> list[str]:
    if isinstance(given, list):
        return [str(word) for word in given]
    try:
        return shlex.split(str(given), comments=True)
    except ValueError:
        return str(given).split()


# Names of modules.


def package_root(file: Path) -> Path:
    """The directory that pytest puts into sys.path for this file: the nearest one that is no package."""
    directory = file.parent
    while (directory / "__init__.py").is_file():
        directory = directory.parent
    return directory


def import_name(file: Path, root: Path, settings: PytestSettings) -> str | None:
    """The name under which a test beside `file` can import it; None where it cannot."""
    roots = [(root / path).resolve() for path in settings.paths]
    if settings.import_mode != "importlib":
        roots.insert(0, package_root(file.resolve()))
    for base in roots:
        if file.resolve().is_relative_to(base):
            return dotted(file.resolve().relative_to(base))
    return None


def dotted(path: Path) -> str | None:
    """`a/b.py` as `a.b`; None where that is no name."""
    parts = path.with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts) if parts and all(map(is_name, parts)) else None


def source_roots(root: Path, settings: PytestSettings) -> list[Path]:
    """Where a repository's own modules are looked for."""
    places = [root, root / "src", *(root / path for path in settings.paths)]
    return list(dict.fromkeys(place.resolve() for place in places if place.is_dir()))


def is_own(root: Path, name: str) -> bool:
    """Whether a top-level module of this name lies where import sorters look for a repository's own."""
    return any((base / f"{name}.py").is_file() or (base / name).is_dir() for base in (root, root / "src"))


def module_file(module: str, roots: list[Path]) -> Path | None:
    """The source of a module of this name below one of these directories."""
    for root in roots:
        place = root.joinpath(*module.split("."))
        for file in (place.with_suffix(".py"), place / "__init__.py"):
            if file.is_file():
                return file
    return None


def parse(file: Path) -> ast.Module | None:
    """The file's syntax; None where it cannot be read as Python."""
    try:
        return ast.parse(file.read_bytes(), filename=file.name)
    # ValueError for null bytes, RecursionError for what is nested too deep.
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None


def class_finder(file: Path, own: Mapping[str, str], roots: list[Path]) -> FindClass:
    """A function that finds the source of a class in `file`, whose module has the names `own`, and in the modules of
    the repository that importing it imports. A class of any other module is not found, so that no import is written
    that the file would not make itself."""
    trees: dict[str, ast.Module] = {}
    tree = parse(file)
    if tree is not None:
        trees = dict.fromkeys(own, tree)
        _follow(tree, next(iter(own), ""), file.name == "__init__.py", roots, trees)

    def find(module: str, qualname: str) -> ast.ClassDef | None:
        return class_in(trees.get(module), qualname)

    return find


def imported_with(file: Path, name: str, roots: list[Path]) -> dict[str, ast.Module]:
    """The module in `file`, and those of the repository that are imported with it, by their names."""
    tree = parse(file)
    trees: dict[str, ast.Module] = {} if tree is None else {name: tree}
    if tree is not None:
        _follow(tree, name, file.name == "__init__.py", roots, trees)
    return trees


def _follow(tree: ast.Module, name: str, is_package: bool, roots: list[Path], trees: dict[str, ast.Module]) -> None:
    """Add the modules that this one imports, and those that they import."""
    waiting = list(_imported(tree, name, is_package))
    while waiting:
        module = waiting.pop()
        # What comes with Python has no classes of the user's.
        if module in trees or module.partition(".")[0] in sys.stdlib_module_names:
            continue
        path = module_file(module, roots)
        found = parse(path) if path is not None else None
        if path is not None and found is not None:
            trees[module] = found
            waiting += _imported(found, module, path.name == "__init__.py")


def _imported(tree: ast.Module, name: str, is_package: bool) -> Iterator[str]:
    """The modules that are imported for sure with a module of this name, and the packages they lie in."""
    for node in _surely(tree.body):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_packages(alias.name)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(part for part in (_above(name, node.level, is_package), node.module or "") if part)
            if base:
                yield from _with_packages(base)
                yield from (f"{base}.{alias.name}" for alias in node.names)


def _surely(body: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run whenever a module is imported: none in functions, none under a condition."""
    for node in body:
        # Of a `try` the body alone: its handlers run only where that failed.
        if isinstance(node, (ast.Try, ast.With)):
            yield from _surely(node.body)
        else:
            yield node


def _above(name: str, level: int, is_package: bool) -> str:
    """The package from which a relative import of this level starts; empty for an absolute one."""
    parts = name.split(".")
    return ".".join(parts[: len(parts) - level + is_package]) if level else ""


def _with_packages(module: str) -> Iterator[str]:
    parts = module.split(".")
    yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))
