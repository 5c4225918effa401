"""Async tests under the plugins that own an event loop."""

from __future__ import annotations

from pathlib import Path

import pytest

from plugin.projects import HEAD, PARALLEL, Project, Ran

BODY = """
    loop = current()
    LOOPS.add(loop)
    assert len(LOOPS) == 1, "a loop for each schedule"
    balances, seen = {}, set()
    async def handle(message):
        await pause()
        if message.id not in seen or BUG:
            seen.add(message.id)
            balances[message.key] = balances.get(message.key, 0) + message.value
    await deliver(handle)
    return balances
"""

ASYNCIO = """
import asyncio

LOOPS = set()
BUG = False

def current():
    return asyncio.get_running_loop()

async def pause():
    await asyncio.sleep(0)

"""

STRICT = """
@pytest.mark.asyncio
@chaos(PAYMENTS, schedules=200)
async def test_wallet(deliver):
"""

AUTO = """
@chaos(PAYMENTS, schedules=200)
async def test_wallet(deliver):
"""

WITH_FIXTURE = """
import pytest_asyncio

@pytest_asyncio.fixture
async def start():
    await pause()
    return current()

@pytest.mark.asyncio
@chaos(PAYMENTS, schedules=200)
async def test_wallet(deliver, start):
    assert start is current()
"""

IN_PROCESSES = """
    # Each process has a loop of its own, and the test goes on in that of the plugin.
    loop, table = asyncio.get_running_loop(), Table()
    @contextlib.asynccontextmanager
    async def process():
        async def handle(message):
            await pause()
            if message.id not in table.ids:
                table.add(message)
                table.mark(message)
        yield handle if BUG else table.handle
    await deliver(spawn=process)
    assert asyncio.get_running_loop() is loop
    return table.rows
"""

TABLE = """
import asyncio
import contextlib
import chaoskit

class Table:
    def __init__(self):
        self.ids, self.rows = set(), {}

    @chaoskit.atomic
    def add(self, message):
        self.rows[message.key] = self.rows.get(message.key, 0) + message.value

    @chaoskit.atomic
    def mark(self, message):
        self.ids.add(message.id)

    @chaoskit.atomic
    def both(self, message):
        if message.id not in self.ids:
            self.add(message)
            self.mark(message)

    async def handle(self, message):
        await pause()
        self.both(message)
"""

ANYIO = """
import sys

import anyio

LOOPS = set()
BUG = False

def current():
    try:
        return "trio" if sys.modules["trio"].lowlevel.current_task() else ""
    except (KeyError, RuntimeError):
        return "asyncio"

async def pause():
    await anyio.sleep(0)

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    LOOPS.clear()
    return request.param

@pytest.mark.anyio
@chaos(PAYMENTS, schedules=200)
async def test_wallet(deliver, anyio_backend):
    assert current() == anyio_backend
"""

AUTO_MODE = ("-o", "asyncio_mode=auto")
SCOPE = ("-p", "no:faker", "-o", "asyncio_default_fixture_loop_scope=function")
NO_ANYIO = (*SCOPE, "-p", "no:anyio")

PLUGINS = {"HYPOTHESIS_NO_PLUGINS": "", "PYTEST_ADDOPTS": ""}
"""All plugins are there, Trio's for Hypothesis, too."""

PROJECTS = {
    "asyncio-strict": (ASYNCIO + STRICT + BODY, NO_ANYIO, 1),
    "asyncio-strict-xdist": (ASYNCIO + STRICT + BODY, (*NO_ANYIO, *PARALLEL), 1),
    "asyncio-auto": (ASYNCIO + AUTO + BODY, (*NO_ANYIO, *AUTO_MODE), 1),
    "asyncio-fixture": (ASYNCIO + WITH_FIXTURE + BODY, NO_ANYIO, 1),
    "anyio": (ANYIO + BODY, SCOPE, 2),
    "asyncio-spawn": (TABLE + ASYNCIO + STRICT + IN_PROCESSES, NO_ANYIO, 1),
    "anyio-spawn": (TABLE + ANYIO.replace('["asyncio", "trio"]', '["asyncio"]') + IN_PROCESSES, SCOPE, 1),
}
"""For each the source of a test, the options of its run, and how many tests it makes."""


def run(root: Path, source: str, options: tuple[str, ...]) -> tuple[Project, Ran]:
    made = Project.at(root, test_async=HEAD + source)
    return made, made.run("pytest", "-W", "error", "--chaos-seed=1", *options, env=PLUGINS)


@pytest.mark.parametrize("name", PROJECTS)
def test_the_plugin_runs_it_in_its_own_loop(name: str, tmp_path: Path) -> None:
    """It passes with no warning, in one loop for all its schedules."""
    source, options, count = PROJECTS[name]
    _, ran = run(tmp_path, source, options)
    assert ran.code == 0, ran.text
    assert f"{count} passed" in ran.out
    assert ran.out.count("held: 200 schedules of ") == count


@pytest.mark.parametrize("name", ["asyncio-strict", "asyncio-auto", "anyio", "asyncio-spawn", "anyio-spawn"])
def test_its_failure_is_saved_and_replayed_in_that_loop(name: str, tmp_path: Path) -> None:
    """The report is that of any test, and `chaoskit replay` runs the same plugin."""
    source, options, count = PROJECTS[name]
    made, failed = run(tmp_path, source.replace("BUG = False", "BUG = True"), options)
    assert failed.code == 1, failed.text
    assert failed.out.count("What differs") == count
    assert not name.endswith("spawn") or "does not survive Crash" in failed.out
    assert "Traceback" not in failed.text
    (made.root / "pytest.ini").write_text("[pytest]\naddopts = " + " ".join(options) + "\n")
    replayed = made.chaoskit("replay", ".chaoskit", env=PLUGINS)
    assert replayed.code == 1, replayed.text
    assert replayed.out.count("STILL FAILS  ") == count
