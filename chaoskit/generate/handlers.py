"""The handler that a user names, found in the repository's sources. Nothing of them is imported."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

import attrs

from chaoskit.generate.classes import Function
from chaoskit.generate.frameworks import framework_of
from chaoskit.generate.project import PytestSettings, dotted, module_file, package_root, parse, source_roots
from chaoskit.values.errors import UsageError, did_you_mean

LIKE_A_HANDLER = re.compile(r"(handle|consume|process)(_?\w*)|on_\w+|__call__")
MOST_FILES = 2000
"""Sources that are read to list candidates or near names."""
_NOT_SOURCES = frozenset(
    {
        "__pycache__",
        "build",
        "dist",
        "docs",
        "env",
        "examples",
        "node_modules",
        "site-packages",
        "test",
        "tests",
        "venv",
    }
)


@attrs.frozen(eq=False)
class FoundHandler:
    """A function, or a method of `kind`, in a module below `base`, which has to be on the import path."""

    base: Path
    module: str
    tree: ast.Module
    function: Function
    kind: ast.ClassDef | None = None

    @property
    def qualname(self) -> str:
        return f"{self.kind.name}.{self.function.name}" if self.kind else self.function.name

    @property
    def is_static(self) -> bool:
        """A method that needs no instance."""
        names = [ast.unparse(decorator) for decorator in self.function.decorator_list]
        return "staticmethod" in names or "classmethod" in names

    @property
    def is_async(self) -> bool:
        return isinstance(self.function, ast.AsyncFunctionDef)

    @property
    def needed(self) -> list[ast.arg]:
        """The parameters that a caller has to give."""
        return needed_by(self.function, self.kind)

    @property
    def optional(self) -> list[ast.arg]:
        """The parameters that have a default."""
        arguments = self.function.args
        given = [*arguments.posonlyargs, *arguments.args]
        named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        return [
            *given[len(given) - len(arguments.defaults) :],
            *(word for word, default in named if default is not None),
        ]


def find_handler(asked: str, root: Path, here: Path, settings: PytestSettings) -> FoundHandler:
    """The handler called `shop.wallet:Wallet.handle` or `src/shop/wallet.py:handle`.

    Raises UsageError where there is none, with where it was looked for and what it may be called.
    """
    place, colon, name = asked.rpartition(":")
    if not colon or not place or not name:
        meant = _meant(asked, root, here, source_roots(root, settings))
        if meant:
            raise UsageError(f"HANDLER={asked!r}: did you mean {' or '.join(meant)}?")
        raise UsageError(
            f"HANDLER={asked!r}: a module and a function in it are needed, such as shop.wallet:handle, "
            f"shop.wallet:Wallet.handle or src/shop/wallet.py:Wallet.handle{_offered(root, settings)}"
        )
    roots = source_roots(root, settings)
    is_path = place.endswith(".py") or "/" in place or os.sep in place
    file = _path(place, root, here) if is_path else module_file(place, roots)
    if file is None:
        where = "below " + ", ".join(_shown(base, root) for base in roots)
        raise UsageError(f"no {'file' if is_path else 'module'} {place} {where}{_near(place, root, roots, is_path)}")
    tree = parse(file)
    if tree is None:
        raise UsageError(f"{_shown(file, root)} cannot be read as Python")
    base = _base(file, roots, root)
    module = dotted(file.relative_to(base))
    if module is None:
        raise UsageError(f"{_shown(file, root)} cannot be imported under this name: its parts are no names of Python")
    function, kind = _named(tree, name, _shown(file, root))
    return FoundHandler(base, module, tree, function, kind)


def _meant(asked: str, root: Path, here: Path, roots: list[Path]) -> list[str]:
    """What it may be that was named without a colon: a module of dots and its function, a file and what is behind it,
    or a module or file alone, by the functions in it that are called like a handler."""
    place, _, name = asked.strip(":").replace("/.", "/").rpartition(".py")
    if place:
        whole, name = f"{place}.py", name.lstrip(".:")
        return _in_file(whole, _path(whole, root, here), name)
    parts = asked.strip(":").split(".")
    for cut in range(len(parts), 0, -1):
        module = ".".join(parts[:cut])
        file = module_file(module, roots) if all(part.isidentifier() for part in parts) else None
        if file is not None and (found := _in_file(module, file, ".".join(parts[cut:]))):
            return found
    return []


def _in_file(place: str, file: Path | None, name: str) -> list[str]:
    tree = parse(file) if file is not None else None
    functions = functions_in(tree) if tree is not None else {}
    classes = {known.partition(".")[0] for known in functions if "." in known}
    if name:
        return [f"{place}:{name}"] if name in {*functions, *classes} else []
    return [f"{place}:{known}" for known in functions if LIKE_A_HANDLER.fullmatch(known.rpartition(".")[2])][:3]


def _path(place: str, root: Path, here: Path) -> Path | None:
    for base in (here, root):
        file = (base / place).resolve()
        if file.is_file() and file.is_relative_to(root):
            return file
    return None


def _base(file: Path, roots: list[Path], root: Path) -> Path:
    """The directory from which the module is named: the nearest of `roots`, or the one that holds its package."""
    around = [base for base in roots if file.is_relative_to(base)]
    if (file.parent / "__init__.py").is_file():
        around.append(package_root(file))
    return max(around, key=lambda base: len(base.parts), default=root)


def _shown(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else str(path)


def _near(place: str, root: Path, roots: list[Path], is_path: bool) -> str:
    files = list(sources(root))
    names = [_shown(file, root) if is_path else dotted(file.relative_to(_base(file, roots, root))) for file in files]
    known = sorted({name for name in names if name})
    return did_you_mean(place, known) if get_close_matches(place, known, n=1) or len(known) <= 12 else ""


def _named(tree: ast.Module, name: str, shown: str) -> tuple[Function, ast.ClassDef | None]:
    functions = functions_in(tree)
    if name in functions:
        return functions[name]
    of_class = [known for known in functions if known.startswith(f"{name}.")]
    likely = [known for known in of_class if LIKE_A_HANDLER.fullmatch(known.partition(".")[2])]
    # A class stands for its only method that is called like a handler.
    if len(likely) == 1:
        return functions[likely[0]]
    if of_class:
        raise UsageError(f"{name} of {shown} is a class; name the method that takes a message: {', '.join(of_class)}")
    if not functions:
        raise UsageError(f"{shown} has no function {name!r}, nor any other")
    raise UsageError(f"{shown} has no function {name!r}{did_you_mean(name, functions)}")


def functions_in(tree: ast.Module) -> dict[str, tuple[Function, ast.ClassDef | None]]:
    """The functions of a module and the methods of its classes by name, in their order there."""
    found: dict[str, tuple[Function, ast.ClassDef | None]] = {}
    for node in tree.body:
        if isinstance(node, Function):
            found[node.name] = (node, None)
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, Function) and (not inner.name.startswith("_") or inner.name == "__call__"):
                    found[f"{node.name}.{inner.name}"] = (inner, node)
    return found


def needed_by(function: Function, kind: ast.ClassDef | None) -> list[ast.arg]:
    """The required parameters of a function, or of a method of `kind`."""
    is_static = "staticmethod" in map(ast.unparse, function.decorator_list)
    return required(function, is_method=kind is not None and not is_static)


def required(function: Function, *, is_method: bool) -> list[ast.arg]:
    """The parameters without a default, but for `self`."""
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    needed = positional[: len(positional) - len(arguments.defaults)]
    named = [word for word, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if default is None]
    return [*needed[1 if is_method else 0 :], *named]


# What else there is.


def sources(root: Path) -> Iterator[Path]:
    """The repository's own modules, without tests and what is installed, at most MOST_FILES of them."""
    count = 0
    for directory, folders, files in os.walk(root):
        # In place, which is how `os.walk` stays out of a folder; sorted, as a disk has no order.
        folders[:] = sorted(
            name
            for name in folders
            if name not in _NOT_SOURCES
            and not name.startswith(".")
            and not Path(directory, name, "pyvenv.cfg").exists()
        )
        for name in sorted(files):
            if name.endswith(".py") and name not in ("conftest.py", "setup.py") and not name.startswith("test_"):
                count += 1
                if count > MOST_FILES:
                    return
                yield Path(directory, name)


def candidates(root: Path, settings: PytestSettings) -> list[str]:
    """Functions with the name of a handler, as they are named to `chaoskit init`."""
    roots = source_roots(root, settings)
    found = []
    for file in sources(root):
        module = dotted(file.resolve().relative_to(_base(file.resolve(), roots, root)))
        tree = parse(file) if module else None
        for name, (function, kind) in functions_in(tree).items() if tree else ():
            needed = [each.arg for each in needed_by(function, kind)]
            if LIKE_A_HANDLER.fullmatch(function.name) and needed and tree is not None:
                found += [] if framework_of(tree, function, needed) else [f"{module}:{name}"]
    return found


def _offered(root: Path, settings: PytestSettings) -> str:
    found = candidates(root, settings)
    return f". In this repository: {', '.join(found[:8])}" if found else ""
