"""Processes with a clean stop, effects and deliveries step by step: through pytest, `chaoskit replay` and `fuzz`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from plugin.projects import HEAD, PARALLEL, Project
from plugin.test_async import ANYIO, ASYNCIO, NO_ANYIO, PLUGINS, SCOPE

SYNC = """
from contextlib import contextmanager

import chaoskit
from chaoskit.invariants import effects_exactly_once

BUG = True

@contextmanager
def buffering(rows, seen):
    held = []
    yield held.append if BUG else lambda message: write(rows, seen, [message])
    write(rows, seen, held)

@chaoskit.atomic
def write(rows, seen, messages):
    for message in messages:
        if message.id not in seen:
            seen.add(message.id)
            rows[message.key] = rows.get(message.key, 0) + message.value

@chaos(PAYMENTS, broker=Kafka(partitions=1))
def test_buffer(deliver):
    rows, seen = {}, set()
    deliver(spawn=lambda: buffering(rows, seen))
    return rows

@chaos([Event("a", 1), Event("a", 2)], broker=Kafka(partitions=1), faults={Duplicate},
       invariants=[effects_exactly_once()])
def test_mail(deliver):
    known = set()
    def handle(message):
        if BUG or message.id not in known:
            deliver.effect("mail", message.value, key=message.id)
        known.add(message.id)
    deliver(handle)

@chaos(PAYMENTS, broker=Kafka(partitions=1))
def test_steps(deliver):
    rows = {}
    def handle(message):
        rows[message.key] = message.seq if BUG else max(message.seq, rows.get(message.key, 0))
    before = {}
    for delivery in deliver.steps(handle):
        assert rows[delivery.message.key] >= before.get(delivery.message.key, 0), "went back"
        before = dict(rows)
    return rows
"""

NAMES = ("test_buffer", "test_mail", "test_steps")


@pytest.mark.parametrize("mode", [(), PARALLEL], ids=["alone", "xdist"])
def test_what_is_wrong_is_found_saved_and_replayed(mode: tuple[str, ...], tmp_path: Path) -> None:
    """Each says what it is, in the terminal and in the lines for other tools."""
    project = Project.at(tmp_path, test_shop=HEAD + SYNC)
    ran = project.pytest("--chaos-seed=1", "--chaos-report=reports", *mode)
    assert ran.code == 1, ran.text
    ran.assert_quiet_about_us()
    for output in (
        "it was in memory only when the process ended",
        "mail of 'e2' (2) took place twice, in order once",
        "Effects that left",
        "the test raised AssertionError after step 4, the delivery of e",
    ):
        assert output in " ".join(ran.out.split()), (output, ran.text)
    (report,) = (tmp_path / "reports").glob("*mail*.jsonl")
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    assert [line["step"] for line in lines if line["type"] == "effect" and line["run"] == "observed"][:2] == [1, 2]
    assert len(project.repros) == len(NAMES)
    replayed = project.chaoskit("replay", ".chaoskit")
    assert (replayed.code, replayed.out.count("STILL FAILS  ")) == (1, len(NAMES)), replayed.text
    shown = project.chaoskit("show", ".chaoskit")
    assert "mail of 'e2': 2   once, at e2   twice, in steps 1 and 2" in shown.out, shown.text
    (steps,) = [path for path in project.repros if "test-steps" in path.name]
    written = project.chaoskit("replay", "--as-test", "-o", "test_plain.py", str(steps))
    assert written.code == 0, written.text
    assert project.pytest("test_plain.py").code == 1
    project.write("test_shop.py", HEAD + SYNC.replace("BUG = True", "BUG = False"))
    assert project.pytest("test_plain.py").code == 0
    repaired = project.chaoskit("replay", ".chaoskit")
    assert (repaired.code, repaired.out.count("FIXED  ")) == (0, len(NAMES)), repaired.text
    passed = project.pytest("--chaos-seed=1", *mode)
    assert (passed.code, passed.out.count("held: ")) == (0, len(NAMES)), passed.text


def test_a_job_finds_it(tmp_path: Path) -> None:
    """The one that is through in a moment."""
    project = Project.at(tmp_path, test_shop=HEAD + SYNC)
    ran = project.chaoskit("fuzz", "-n", "1", "--seed", "1", "--time", "60s", "-k", "test_mail")
    assert ran.code == 1, ran.text
    assert "took place twice, in order once" in " ".join(ran.out.split()), ran.text


ASYNC = """
    from contextlib import asynccontextmanager

    opened, rows, mails = [], {}, []

    @asynccontextmanager
    async def process():
        await pause()
        opened.append(1)
        held = []

        async def handle(message):
            await pause()
            rows[message.key] = sum(event.value for event in deliver.sent() if event.key == message.key)
            deliver.effect("seen", message.id)
            held.append(message.id)

        try:
            yield handle
        finally:
            await pause()
            opened.pop()
        if BUG and len(held) != len(set(held)):
            raise RuntimeError("twice in one process")

    number = 0
    async for delivery in deliver.steps(spawn=process):
        number += 1
        assert delivery.number == number and not delivery.raised
        assert opened
    assert not opened
    return rows
"""

PROJECTS = {
    "asyncio": (
        ASYNCIO + "@pytest.mark.asyncio\n@chaos(PAYMENTS, schedules=200)\nasync def test_it(deliver):\n" + ASYNC,
        NO_ANYIO,
        1,
    ),
    "anyio": (ANYIO.replace("    assert current() == anyio_backend\n", "") + ASYNC, SCOPE, 2),
}
"""The source, the options, and how many tests it makes: anyio's run on asyncio and on trio."""


@pytest.mark.parametrize("name", PROJECTS)
def test_async_processes_and_steps_run_in_the_loop_of_the_plugin(name: str, tmp_path: Path) -> None:
    """They hold without a warning, and what they raise in their clean stop is found and replayed there."""
    source, options, count = PROJECTS[name]
    # Behind a death nothing is opened, which the assert between deliveries would not take.
    source = source.replace("schedules=200", "schedules=200, without={Crash}")
    project = Project.at(tmp_path, test_async=HEAD + source)
    ran = project.run("pytest", "-W", "error", "--chaos-seed=1", *options, env=PLUGINS)
    assert ran.code == 0, ran.text
    assert ran.out.count("held: 200 schedules of ") == count
    project.write("test_async.py", HEAD + source.replace("BUG = False", "BUG = True"))
    failed = project.run("pytest", "-W", "error", "--chaos-seed=1", *options, env=PLUGINS)
    assert failed.code == 1, failed.text
    assert "the test raised RuntimeError after the deliveries: twice in one process" in " ".join(failed.out.split())
    assert "Traceback" not in failed.text
    project.write("pytest.ini", "[pytest]\naddopts = " + " ".join(options) + "\n")
    replayed = project.chaoskit("replay", ".chaoskit", env=PLUGINS)
    assert (replayed.code, replayed.out.count("STILL FAILS  ")) == (1, count), replayed.text
