"""What chaoskit costs a run that has no chaos test, and one that has many schedules."""

from __future__ import annotations

import json
from pathlib import Path

from plugin.projects import FIXED, HEAD, Project

HEAVY = (
    "chaoskit.search",
    "chaoskit.execution",
    "chaoskit.pytest.session",
    "hypothesis",
    "faker",
    "rich",
    "cattrs",
)

LIST_MODULES = """
import json, sys

def pytest_sessionfinish(session):
    with open("modules.json", "w") as file:
        json.dump(sorted(sys.modules), file)
"""

LOGGING = """
import json, logging, tracemalloc
from handlers import handler

LEFT = {}

def deliver_all(deliver, caplog):
    balances = {}
    add = handler(balances)
    def handle(message):
        logging.getLogger("shop").warning("handling %s", "x" * 200)
        print("handling", "x" * 200)
        add(message)
    deliver(handle)
    return balances

@pytest.fixture(autouse=True)
def measured(request):
    tracemalloc.start()
    yield
    LEFT[request.node.name] = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with open("left.json", "w") as file:
        json.dump(LEFT, file)

@chaos(PAYMENTS, schedules=200)
def test_warm(deliver, caplog):
    return deliver_all(deliver, caplog)

@chaos(PAYMENTS, schedules=1_000)
def test_few(deliver, caplog):
    return deliver_all(deliver, caplog)

@chaos(PAYMENTS, schedules=4_000)
def test_many(deliver, caplog):
    return deliver_all(deliver, caplog)
"""


def test_a_run_without_chaos_tests_imports_nothing_heavy_of_ours(tmp_path: Path) -> None:
    """The plugin itself is all that is loaded."""
    project = Project.at(tmp_path, conftest=LIST_MODULES, test_plain="def test_plain(): pass\n")
    without = ("-p", "no:hypothesispytest", "-p", "no:xdist", "-p", "no:faker", "-p", "no:asyncio", "-p", "no:anyio")
    ran = project.run("pytest", "--collect-only", *without, fresh=True)
    assert ran.code == 0, ran.text
    loaded = json.loads((tmp_path / "modules.json").read_text())
    ours = [name for name in loaded if name.split(".")[0] == "chaoskit"]
    assert ours == ["chaoskit", "chaoskit.pytest", "chaoskit.pytest.plugin"]
    assert [name for name in loaded if name.startswith(HEAVY)] == []


def test_memory_stays_flat_however_much_is_logged(tmp_path: Path) -> None:
    """Four times the schedules that log and print: what is left grows by less than half of their text."""
    project = Project.at(tmp_path, handlers=FIXED, test_log=HEAD + LOGGING)
    ran = project.pytest("--chaos-seed=1", "-p", "no:xdist")
    assert ran.code == 0, ran.text
    left = json.loads((tmp_path / "left.json").read_text())
    deliveries = 3_000 * 8
    now, peak = (many - few for many, few in zip(left["test_many"], left["test_few"], strict=True))
    assert now < deliveries * 100, left
    assert peak < deliveries * 150, left
