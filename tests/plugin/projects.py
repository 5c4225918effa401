"""Small projects in temporary directories, and what pytest and the command line say about them."""

from __future__ import annotations

import atexit
import itertools
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from xml.etree import ElementTree

import attrs

import chaoskit
import chaoskit.invariants
import chaoskit.strategies
from plugin.warm import Server, can_fork

INI = """
[pytest]
addopts = -p no:cacheprovider
"""

HEAD = """
import pytest
from hypothesis import strategies as st

from chaoskit import *
from chaoskit.strategies import events

PAYMENTS = events(st.integers(1, 100), keys=st.sampled_from(["alice", "bob"]))

"""

BUGGY = """
def handler(balances):
    def handle(message):
        balances[message.key] = balances.get(message.key, 0) + message.value
    return handle

"""

FIXED = """
def handler(balances):
    seen = set()
    def handle(message):
        if message.id not in seen:
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value
    return handle

"""

CHANGED = BUGGY.replace("+ message.value", "+ message.value + 1")

WALLET = """
from handlers import handler

@chaos(PAYMENTS, broker=Kafka(partitions=6))
def test_wallet(deliver):
    balances = {}
    deliver(handler(balances))
    return balances
"""

LONELY = (
    "-p",
    "no:asyncio",
    "-p",
    "no:anyio",
    "-p",
    "no:faker",
    "-p",
    "no:valkey",
    "-p",
    "no:django",
    "-p",
    "no:pytest_cov",
)
"""What a project without other plugins asks for. Runs start sooner, too."""

WHEN_RUN = ("PYTEST_ADDOPTS", "COLUMNS", "GITHUB_STEP_SUMMARY", "READING")
"""What nobody reads before a run begins."""
AT_IMPORT = ("CI", "GITHUB_ACTIONS", "HYPOTHESIS_NO_PLUGINS")
"""What Hypothesis reads when it is imported."""

PARALLEL = ("-n", "2")

MODES = [(), PARALLEL]
"""Each claim holds in one process and over xdist's workers."""

ESCAPE = "\x1b"


def mode_name(mode: Sequence[str]) -> str:
    return "xdist" if mode else "alone"


@attrs.frozen
class Ran:
    """What a process said before it ended with `code`."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        return self.out + self.err

    def assert_in_order(self, *parts: str) -> None:
        """Each of these is in the output, in this order."""
        place = 0
        for part in parts:
            found = self.out.find(part, place)
            assert found >= 0, f"{part!r} is missing, or out of order, in:\n{self.text}"
            place = found + len(part)

    def assert_quiet_about_us(self) -> None:
        """No traceback leads through chaoskit."""
        assert "Traceback" not in self.text, self.text
        assert not re.search(r"chaoskit[/\\][\w/\\]+\.py:\d+", self.text), self.text

    def said_of(self) -> dict[str, str]:
        """What the section "chaoskit" of pytest's summary says, by node id: each id with its lines below it."""
        section = re.split(r"^=+ chaoskit =+$", self.out, flags=re.MULTILINE)[-1]
        lines = itertools.takewhile(lambda line: not line.startswith("="), section.strip("\n").splitlines())
        shown: dict[str, str] = {}
        for line in lines:
            if line.startswith("  ") and shown:
                shown[next(reversed(shown))] += f" {line.strip()}"
            elif ".py::" in line.partition(" (")[0]:  # else it is of several tests, named in brackets behind it
                shown[line] = ""
        return {name: text.strip() for name, text in shown.items()}

    def replay_command(self) -> list[str]:
        """The arguments of the one command that is printed under "Replay"."""
        commands = re.findall(r"^ *(chaoskit replay .*)$", self.out, re.MULTILINE)
        assert len(commands) == 1, self.text
        return shlex.split(commands[0])[1:]


@attrs.frozen
class Result:
    """What a JUnit file says about one test."""

    outcome: str
    text: str
    line: str


@attrs.frozen
class Project:
    """A directory with a pytest.ini and tests."""

    root: Path

    @classmethod
    def at(cls, root: Path, **files: str) -> Project:
        """A new project; `test_wallet="…"` becomes test_wallet.py, without the imports that every file has."""
        root.mkdir(parents=True, exist_ok=True)
        (root / "pytest.ini").write_text(INI)
        project = cls(root)
        for name, source in files.items():
            project.write(f"{name}.py", source)
        return project

    @classmethod
    def wallet(cls, root: Path) -> Project:
        """The wallet of the README, whose handler counts a second delivery again."""
        return cls.at(root, handlers=BUGGY, test_wallet=HEAD + WALLET)

    def write(self, name: str, text: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        shutil.rmtree(path.parent / "__pycache__", ignore_errors=True)  # it goes by the second and the length alone
        return path

    def copy(self, root: Path) -> Project:
        shutil.copytree(self.root, root, dirs_exist_ok=True)
        return Project(root)

    def pytest(self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        """Without the plugins for async tests, whose projects call `run`."""
        return self.run("pytest", *LONELY, *arguments, cwd=cwd, env=env)

    def chaoskit(self, *arguments: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Ran:
        """The pytest that it runs is without those plugins, too."""
        return self.run("chaoskit", *arguments, cwd=cwd, env={"PYTEST_ADDOPTS": " ".join(LONELY), **(env or {})})

    def run(
        self,
        module: str,
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        fresh: bool = False,
    ) -> Ran:
        """`python -m module …` in this directory, as a user would. It is forked from a process that has imported what
        it needs, but with what else may matter to an import in its environment, or where it has to be `fresh`."""
        given = dict(env or {})
        if can_fork() and not fresh and module in ("pytest", "chaoskit") and given.keys() <= {*WHEN_RUN, *AT_IMPORT}:
            at_import = [(name, given[name]) for name in AT_IMPORT if name in given]
            return Ran(*warm(*at_import).run(module, arguments, cwd or self.root, environment() | given))
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=cwd or self.root,
            env=environment() | given,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=240,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    @property
    def repros(self) -> list[Path]:
        return sorted((self.root / ".chaoskit").glob("*"))

    def only_repro(self) -> Path:
        (path,) = self.repros
        return path


@cache
def warm(*at_import: tuple[str, str]) -> Server:
    """The process that has imported everything, with these in its environment."""
    return Server(environment() | dict(at_import))


@cache
def site_packages() -> Path:
    """A directory of this name that has chaoskit as an installer lays it out, in links. Of a package that it finds
    anywhere else Hypothesis reads all the sources for constants: a third of the time of a run in a new project."""
    place = Path(mkdtemp(prefix="chaoskit-")) / "site-packages"
    atexit.register(shutil.rmtree, place.parent, ignore_errors=True)
    (place / "chaoskit").mkdir(parents=True)
    folders = [Path(package.__file__).parent for package in (chaoskit.invariants, chaoskit.strategies)]
    for path in {path.name: path for path in [*Path(chaoskit.__file__).parent.iterdir(), *folders]}.values():
        (place / "chaoskit" / path.name).symlink_to(path)
    return place


def environment() -> dict[str, str]:
    """Ours, without what the outer pytest and a colourful terminal left there. Bytecode is kept: to compile chaoskit
    and Hypothesis again would be half of each run. Hypothesis loads no plugins: the one there is imports Trio."""
    dropped = (
        "PYTHONDONTWRITEBYTECODE",
        "PYTEST_",
        "FORCE_COLOR",
        "NO_COLOR",
        "PY_COLORS",
        "COLUMNS",
        "CI",
        "BUILD_NUMBER",
        "HYPOTHESIS",
        "GITHUB_",
    )
    stored = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return stored | {"PYTHONIOENCODING": "utf-8", "HYPOTHESIS_NO_PLUGINS": "1", "PYTHONPATH": str(site_packages())}


def results(path: Path, ran: Ran) -> dict[str, Result]:
    """The tests of a JUnit file by module and name, with the line of each in the summary; a file that could not be
    collected by module alone."""
    lines = {name.partition(".py::")[0]: shown for name, shown in ran.said_of().items()}
    found = {}
    for case in ElementTree.parse(path).iter("testcase"):
        module = str(case.get("classname") or case.get("name")).split(".")[0]
        outcome, text = "passed", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                outcome, text = child.tag, f"{child.get('message')}\n{child.text}"
        output = "".join(child.text or "" for child in case if child.tag in ("system-out", "system-err"))
        found[module] = Result(outcome, text + output, lines.get(module, ""))
    return found
