"""What `chaoskit init` would write into a repository. Nothing that is there is changed, but for lines at the end of
.gitignore."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import attrs

from chaoskit.generate.databases import databases_of
from chaoskit.generate.environment import CONFTEST, conftest_text, required_at_import
from chaoskit.generate.first_test import first_test, name_of_test
from chaoskit.generate.handlers import FoundHandler, candidates, find_handler
from chaoskit.generate.project import PytestSettings, imported_with, module_file, package_root, pytest_settings
from chaoskit.generate.recipes import adapted
from chaoskit.generate.workflow import WORKFLOW, is_installable, workflow
from chaoskit.values.errors import UsageError

IGNORED = (".hypothesis/",)
"""Hypothesis' database of this machine. What chaoskit saves in .chaoskit/ is to be committed."""
MOST_CANDIDATES = 12

Kind = Literal["create", "append", "keep"]


@attrs.frozen
class Edit:
    """`text`: what the new file holds, or what comes to the end of the one that is there; empty where it stays as it
    is."""

    kind: Kind
    path: str
    text: str = ""


@attrs.frozen
class InitPlan:
    root: Path
    changes: tuple[Edit, ...]
    notes: tuple[str, ...] = ()
    test: str = ""
    """The chaos test's file, from the root; empty where no handler was named."""

    @property
    def is_done(self) -> bool:
        """Nothing is left to do."""
        return all(change.kind == "keep" for change in self.changes)


def repository(here: Path) -> Path:
    """The nearest directory from here upwards that git knows; else this one."""
    return next((directory for directory in (here, *here.parents) if (directory / ".git").exists()), here)


def plan(root: Path, here: Path, asked: str | None, broker: str | None) -> InitPlan:
    """What is missing: the test of the handler `asked` for, the workflow, the ignore rules, and pytest's settings where
    the test needs some and there are none.

    Raises UsageError where the handler is not found.
    """
    settings = pytest_settings(root)
    changes: list[Edit] = []
    notes: list[str] = []
    test = ""
    if asked is not None:
        handler = find_handler(asked, root, here, settings)
        test = f"{_directory(root, settings)}/test_{name_of_test(handler)}_chaos.py"
        changes.append(_created(root, test, first_test(handler, broker, root, test)))
        for more, its_notes in (
            _settings(root, root / test, handler, settings),
            _environment(root, f"{Path(test).parent.as_posix()}/{CONFTEST}", handler),
        ):
            changes += more
            notes += its_notes
    else:
        notes.append(_name_a_handler(root, settings))
    changes.append(_created(root, WORKFLOW, workflow(root)))
    changes.append(_ignored(root))
    notes += _hidden(root)
    return InitPlan(root, tuple(changes), tuple(notes), test)


def _created(root: Path, path: str, text: str) -> Edit:
    return Edit("keep", path) if (root / path).exists() else Edit("create", path, text)


def _directory(root: Path, settings: PytestSettings) -> str:
    """Where the tests are, or are to be."""
    named = [path.rstrip("/") for path in settings.testpaths if (root / path).is_dir()]
    return next((path for path in [*named, "tests", "test"] if (root / path).is_dir()), "tests")


def _name_a_handler(root: Path, settings: PytestSettings) -> str:
    found = candidates(root, settings)
    shown = found[:MOST_CANDIDATES]
    if not shown:
        return "for a first test name your handler: chaoskit init shop.wallet:Wallet.handle"
    rest = f"\n  and {len(found) - len(shown)} more" if len(found) > len(shown) else ""
    return (
        "for a first test name your handler, such as\n" + "\n".join(f"  chaoskit init {each}" for each in shown) + rest
    )


# Imports.


def _settings(root: Path, test: Path, handler: FoundHandler, settings: PytestSettings) -> tuple[list[Edit], list[str]]:
    """What lets the test import the handler's module, and what its framework has pytest say: nothing, pytest's
    settings, or what the user has to do."""
    path = handler.base.relative_to(root).as_posix() if handler.base.is_relative_to(root) else str(handler.base)
    known = adapted(handler)
    wanted = dict(known.pytest_settings) if known else {}
    found = _is_on_the_path(root, test, handler, settings)
    if settings.file is None:
        lines = "".join(
            f"{name} = {value}\n" for name, value in (wanted | ({} if found else {"pythonpath": path})).items()
        )
        return [Edit("create", "pytest.ini", f"[pytest]\n{lines}")] if lines else [], []
    is_toml = settings.file.endswith(".toml")
    notes = []
    text = (root / settings.file).read_text(encoding="utf-8", errors="replace")
    for name, value in wanted.items():
        if name not in text:
            line = f'{name} = "{value}"' if is_toml else f"{name} = {value}"
            notes.append(f"the test needs pytest-django: {settings.file} has to say {line}")
    if not found:
        installed = ", unless it is installed already: python -m pip install -e ." if is_installable(root) else ""
        line = f'pythonpath = ["{path}"]' if is_toml else f"pythonpath = {path}"
        has = f" (it has: {', '.join(settings.paths)})" if settings.paths else ""
        notes.append(f"the test imports {handler.module}: {settings.file} has to say {line}{has}{installed}")
    return [], notes


def _environment(root: Path, path: str, handler: FoundHandler) -> tuple[list[Edit], list[str]]:
    """What sets the variables without which the handler's module cannot be imported, or works in no test."""
    known = adapted(handler)
    file = module_file(handler.module, [handler.base])
    trees = {handler.module: handler.tree}
    trees |= imported_with(file, handler.module, [handler.base]) if file is not None else {}
    databases = databases_of(trees)
    wanted = {name: value for tree in trees.values() for name, value in required_at_import(tree).items()}
    wanted |= dict(known.environment) if known else {}
    for each in databases:
        if each.path:
            wanted.pop(each.what, None)
    if not wanted and not databases:
        return [], []
    if not (root / path).exists():
        return [Edit("create", path, conftest_text(wanted, [each.line for each in databases]))], []
    text = (root / path).read_text(encoding="utf-8", errors="replace")
    names = [*wanted, *(each.what for each in databases if each.is_variable and each.what not in wanted)]
    lacking = [name for name in names if name not in text]
    them = "them" if len(lacking) > 1 else "it"
    notes = [f"{handler.module} reads {' and '.join(lacking)} of the environment: {path} has to set {them}"]
    files = [each.what for each in databases if not each.is_variable and each.what not in text]
    shared = f"{handler.module} writes to {' and '.join(files)}: {path} has to let the tests have another one"
    return [], [*(notes if lacking else []), *([shared] if files else [])]


def _is_on_the_path(root: Path, test: Path, handler: FoundHandler, settings: PytestSettings) -> bool:
    if handler.base in [(root / path).resolve() for path in settings.paths]:
        return True
    if settings.import_mode == "importlib":
        return False
    return handler.base == package_root(test) or (handler.base == root and (root / "conftest.py").is_file())


# Ignore rules.


def _ignored(root: Path) -> Edit:
    file = root / ".gitignore"
    rules = _rules(root)
    missing = [line for line in IGNORED if not {line, line.rstrip("/")} & {rule.lstrip("/*") for rule in rules}]
    if not missing:
        return Edit("keep", ".gitignore")
    text = "".join(f"{line}\n" for line in missing)
    return Edit("append" if file.exists() else "create", ".gitignore", text)


def _rules(root: Path) -> list[str]:
    try:
        text = (root / ".gitignore").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _hidden(root: Path) -> list[str]:
    """A rule that keeps the repro files out of the repository."""
    for rule in _rules(root):
        if rule.lstrip("/*").rstrip("/") == ".chaoskit" or rule in (".*", ".*/"):
            return [f".gitignore has the rule {rule}, which hides .chaoskit/: commit that directory, with its tests"]
    return []


# Writing.


def carry_out(found: InitPlan) -> None:
    """Write what is to be written. Raises UsageError where that cannot be; a file that came in between stays as it
    is."""
    for change in found.changes:
        path = found.root / change.path
        try:
            if change.kind == "create":
                path.parent.mkdir(parents=True, exist_ok=True)
                # "x" fails where a file has come in between, and leaves that one as it is.
                with path.open("x", encoding="utf-8", newline="\n") as file:
                    file.write(change.text)
            elif change.kind == "append":
                _append(path, change.text)
        except OSError as error:
            raise UsageError(f"{change.path} cannot be written: {error.strerror or error}") from error


def _append(path: Path, text: str) -> None:
    before = path.read_bytes()
    # As bytes, so that the lines that are there keep their ends, and the new ones get the same.
    end = b"\r\n" if b"\r\n" in before else b"\n"
    gap = b"" if not before or before.endswith(b"\n") else end
    with path.open("ab") as file:
        file.write(gap + text.encode().replace(b"\n", end))
