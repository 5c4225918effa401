"""Async tests under the plugins that own an event loop."""

from __future__ import annotations

import pytest
from plugin.projects import HEAD, Project, Ran

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
@chaos(PAYMENTS, schedules=50)
async def test_wallet(deliver):
"""

AUTO = """
@chaos(PAYMENTS, schedules=50)
async def test_wallet(deliver):
"""

WITH_FIXTURE = """
import pytest_asyncio

@pytest_asyncio.fixture
async def start():
    await pause()
    return current()

@pytest.mark.asyncio
@chaos(PAYMENTS, schedules=50)
async def test_wallet(deliver, start):
    assert start is current()
"""

ANYIO = """
import anyio
import sniffio_or_none as sniffio

LOOPS = set()
BUG = False

def current():
    return anyio.get_current_task().id and BACKEND()

async def pause():
    await anyio.sleep(0)

@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    LOOPS.clear()
    return request.param

@pytest.mark.anyio
@chaos(PAYMENTS, schedules=50)
async def test_wallet(deliver, anyio_backend):
    assert current() == anyio_backend
"""

ANYIO = ANYIO.replace("import sniffio_or_none as sniffio\n", "").replace(
    "    return anyio.get_current_task().id and BACKEND()\n",
    "    import sys\n"
    "    try:\n"
    '        return "trio" if sys.modules["trio"].lowlevel.current_task() else ""\n'
    "    except (KeyError, RuntimeError):\n"
    '        return "asyncio"\n',
)

AUTO_MODE = ("-o", "asyncio_mode=auto")
SCOPE = ("-p", "no:faker", "-o", "asyncio_default_fixture_loop_scope=function")
NO_ANYIO = (*SCOPE, "-p", "no:anyio")

PROJECTS = {
    "asyncio-strict": (ASYNCIO + STRICT + BODY, NO_ANYIO, 1),
    "asyncio-auto": (ASYNCIO + AUTO + BODY, (*NO_ANYIO, *AUTO_MODE), 1),
    "asyncio-fixture": (ASYNCIO + WITH_FIXTURE + BODY, NO_ANYIO, 1),
    "anyio": (ANYIO + BODY, SCOPE, 2),
}


@pytest.fixture(params=PROJECTS)
def project(request: pytest.FixtureRequest, tmp_path: object) -> tuple[str, tuple[str, ...], int]:
    """The source of a test, the options of its run, and how many tests it makes."""
    return PROJECTS[request.param]


def run(root: object, source: str, options: tuple[str, ...]) -> tuple[Project, Ran]:
    made = Project.at(root, test_async=HEAD + source)  # type: ignore[arg-type]
    return made, made.run("pytest", "-W", "error", *options)


def test_the_plugin_runs_it_in_its_own_loop(
    project: tuple[str, tuple[str, ...], int], tmp_path: object, mode: tuple[str, ...]
) -> None:
    """It passes with no warning, in one loop for all its schedules."""
    source, options, count = project
    _, ran = run(tmp_path, source, (*options, *mode))
    assert ran.code == 0, ran.text
    assert f"{count} passed" in ran.out
    assert ran.out.count("held: 50 schedules of ") == count


def test_its_failure_is_saved_and_replayed_in_that_loop(
    project: tuple[str, tuple[str, ...], int], tmp_path: object
) -> None:
    """The report is that of any test, and `chaoskit replay` runs the same plugin."""
    source, options, count = project
    made, failed = run(tmp_path, source.replace("BUG = False", "BUG = True"), options)
    assert failed.code == 1, failed.text
    assert failed.out.count("What differs") == count
    assert "Traceback" not in failed.text
    (made.root / "pytest.ini").write_text("[pytest]\naddopts = " + " ".join(options) + "\n")
    replayed = made.chaoskit("replay", ".chaoskit")
    assert replayed.code == 1, replayed.text
    assert replayed.out.count("STILL FAILS  ") == count
