"""Thousands of hostile repro files, given to whatever reads, shows, plays or rewrites one.

Nothing in them runs or is imported, and each costs a line at most. CHAOSKIT_TIMES=1000 tries a hundred thousand,
CHAOSKIT_STRANGERS_SEED others: `CHAOSKIT_TIMES=1000 pytest tests/strangers/test_mutants.py`.
"""

from __future__ import annotations

import ast
import faulthandler
import json
import os
import random
import re
import signal
import warnings
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from click.testing import CliRunner, Result

import chaoskit
from cases import cases
from chaoskit.cli import main
from chaoskit.repro.replay import Answer
from chaoskit.values.errors import ReproError
from strangers.canaries import watched
from strangers.mutants import mutant, seeds
from strangers.project import shop

MANY = cases(100)
SEED = int(os.environ.get("CHAOSKIT_STRANGERS_SEED", "1"))
LONGEST = 15
"""Seconds of this process for one file: a thousand times what any takes."""
STUCK = 600
"""Seconds after which a file that Python itself is stuck in ends the run, and tells where."""

FORMATS = ([], ["--states"], ["--html", "-"], ["--svg", "-"], ["--jsonl", "-"], ["--github"])
SHOWN = (*FORMATS, *FORMATS[2:5] * 3)
"""Most of them in formats that are made quickly."""
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
CALLED = {
    "Scenario", "Event", "run", "partial", "decode", "float", "frozenset", "set", "Decimal", "UUID", "timedelta",
    "datetime.fromisoformat", "date.fromisoformat", "time.fromisoformat", "verdict.report", "chaos_tests.Kind",
    "chaos_tests.Point", "chaos_tests.Money", "chaos_tests.Order", "chaos_tests.Watched", "Parcel",
}  # fmt: skip
IMPORTED = {"chaoskit", "chaoskit.codec", "functools", "decimal", "uuid", "datetime", "test_shop", "shop_events"}


@pytest.fixture(scope="module")
def sprung(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The traps of the repository that the files are read in."""
    with shop(tmp_path_factory.mktemp("shop")) as sprung:
        yield sprung


class Late(BaseException):
    """No `except Exception` of ours takes it for what is wrong with a file."""


@contextmanager
def in_time() -> Iterator[None]:
    def late(number: int, frame: FrameType | None) -> None:
        raise Late(f"more than {LONGEST} s")

    before = signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, LONGEST)
    faulthandler.dump_traceback_later(STUCK, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def assert_harmless(text: str, *, command: bool = False) -> None:
    """Nothing in it does anything in a terminal or in a log of GitHub. `command`: but for the first line."""
    assert not UNSEEN.search(text), UNSEEN.search(text)
    assert "##[" not in text
    for line in text.split("\n")[1 if command else 0 :]:
        assert not line.lstrip().startswith("::"), line


def assert_answered(result: Result, *, command: bool = False) -> None:
    """A report, or one line that says why there is none, and that is not how our own code went wrong."""
    assert result.exit_code in (0, 2), (result.exception, result.output)
    text = result.stdout_bytes.decode() + result.stderr_bytes.decode()
    assert "Traceback" not in text
    if result.exit_code == 2:
        assert len(result.output.splitlines()) == 1, result.output
        assert len(result.output) < 400, result.output
    assert_harmless(text, command=command and result.exit_code == 0)


def invoked(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments)


def is_shown(path: Path, how: list[str]) -> Result:
    result = invoked("show", str(path), *how)
    assert_answered(result, command="--github" in how)
    assert not re.search(r"broken \(\w+: ", result.output) or _unreadable(path), result.output
    return result


def _unreadable(path: Path) -> bool:
    """What reading refuses may be refused as whatever Python says of it; what was read is shown."""
    try:
        chaoskit.repro.read.read(path)  # type: ignore[attr-defined]
    except ReproError:
        return True
    return False


def is_played(path: Path) -> str:
    try:
        return chaoskit.replay(path).status
    except ReproError as error:
        reported = str(error)
    assert len(reported) <= 300
    assert_harmless(reported)
    assert "\n" not in reported
    return "refused"


def is_rewritten(path: Path) -> str | None:
    """The plain test that is written from it; None where there is none."""
    result = invoked("replay", "--as-test", str(path))
    assert_answered(result)
    return result.stdout_bytes.decode() if result.exit_code == 0 else None


def assert_calls_nothing_else(source: str) -> None:
    """Whoever runs it runs what it says: calls of what is known, imports of what the chaos test imports itself."""
    tree = ast.parse(source)
    known = CALLED | set(chaoskit.__all__)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) in known, ast.unparse(node)
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        names += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        assert set(names) <= IMPORTED, names


def is_run(source: str) -> list[str]:
    """Run the plain test. What it raises is its own; gives what it does besides."""
    code = compile(source, "written", "exec", optimize=1)  # without the assert, and its report
    names: dict[str, Any] = {"__name__": "written"}
    with watched() as seen:
        exec(code, names)
        (test,) = [made for name, made in names.items() if name.startswith("test_")]
        with suppress(Exception):  # the value is refused, or the class that it is of refuses it
            test()
    return [did for did in seen if not did.startswith("exec (<code object <module> at")]


@pytest.fixture
def no_pytest(monkeypatch: pytest.MonkeyPatch) -> None:
    """What another file is named is pytest's, which has tests of its own."""

    def none(repros: Any, directory: Path, rootdir: Path | None = None) -> list[Answer]:
        return [Answer("CANNOT REPLAY", repro.path, repro.test, "another test") for repro in repros]

    monkeypatch.setattr("chaoskit.pytest.replay.replay_with_pytest", none)


def warmed_up(path: Path, data: dict[str, Any]) -> None:
    """What is imported and generated at the first use is not the files' doing."""
    path.write_text(json.dumps(data))
    for how in FORMATS:
        assert is_shown(path, how).exit_code == 0
    assert is_played(path) in ("held", "violated")
    source = is_rewritten(path)
    assert source is not None
    is_run(source)


@pytest.mark.many
@pytest.mark.usefixtures("no_pytest")
def test_no_hostile_file_runs_or_imports_anything_and_each_is_one_line(sprung: list[str], tmp_path: Path) -> None:
    """Shown in every format, played, turned into a plain test, and that one run."""
    chance, good, counted = random.Random(SEED), seeds(), Counter[str]()
    path = Path("stranger.json")
    for data in good[:: max(1, len(good) // 12)]:
        warmed_up(path, data)
    sprung.clear()
    for number in range(MANY):
        content = mutant(chance.choice(good), chance)
        path.write_bytes(content)
        written = None
        try:
            with in_time(), watched() as seen, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                shown = is_shown(path, list(SHOWN[number % len(SHOWN)]))
                counted["refused" if shown.exit_code else "shown"] += 1
                if shown.exit_code == 0:
                    counted[f"played: {is_played(path)}"] += 1
                    written = is_rewritten(path)
            assert seen == []
            if written is not None:
                counted["rewritten"] += 1
                assert_calls_nothing_else(written)
                with in_time(), warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    assert is_run(written) == []
            assert set(sprung) <= {"hash"}
        except BaseException as error:
            Path(tmp_path, "stranger.json").write_bytes(content)
            error.add_note(f"file {number} of seed {SEED}: {content.decode(errors='replace')[:3000]}")
            raise
    print(dict(counted))
    assert not Path("PWNED").exists()
    assert counted["shown"] > MANY / 10
    assert counted["rewritten"] > MANY / 50
