"""What `chaoskit init` reads off repositories as people have them: how a loop ends, which ids differ, where the broker
and the database are told."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from plugin.projects import Project
from plugin.test_init import assert_formatted, repository
from plugin.test_init_guesses import init


def made(root: Path, handler: str, **files: str) -> tuple[Project, str]:
    """The repository with its first test, and the text of that."""
    project = repository(root / "shop", **{name: textwrap.dedent(text) for name, text in files.items()})
    init(project, handler, "--yes")
    (test,) = project.root.glob("tests/test_*_chaos.py")
    assert_formatted(project, f"tests/{test.name}")
    return project, test.read_text(encoding="utf-8")


def words(text: str) -> str:
    """In one line, without the marks of comments."""
    return " ".join(text.replace("#", " ").split())


LOOP = """
import json
from contextlib import suppress
from aiokafka import AIOKafkaConsumer

async def handle(msg):
    payment = json.loads(msg.value)
    BALANCES[payment["account"]] = payment["amount"]

async def consume(consumer):
    try:
        async for msg in consumer:
            await handle(msg)
            await consumer.commit()
    except KeyboardInterrupt:
        pass
"""


@pytest.mark.parametrize(
    ("change", "by", "broker"),
    [
        ("", "", 'Kafka(auto_commit=True, on_error="stop")'),
        ("    BALANCES[", "    with suppress(KeyError):\n        BALANCES[", "Kafka(auto_commit=True)"),
        ("            await handle(msg)\n", "            consumer.seek(msg, 0)\n", "Kafka(auto_commit=True)"),
    ],
)
def test_an_error_that_nothing_catches_ends_the_process_of_a_loop(
    change: str, by: str, broker: str, tmp_path: Path
) -> None:
    """What is caught around the loop as a whole does not keep it going."""
    text = made(tmp_path, "loop:consume", **{"loop.py": LOOP.replace(change, by)})[1]
    assert f"broker={broker})" in text
