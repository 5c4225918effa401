"""The examples of docs/consumers.md, and the files that its table names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from chaoskit import Crash, Gather, Kafka, RabbitMQ, SqsStandard, UsageError, chaos, check
from chaoskit.adapters.boto3_sqs import Client
from chaoskit.strategies import events

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "consumers.md").read_text(encoding="utf-8")
EXAMPLES = ROOT / "examples" / "consumers"
ROWS = {file: int(lines) for file, lines in re.findall(r"examples/consumers/(test_\w+\.py)\) [\d.]+ \| (\d+) \|", PAGE)}


@pytest.mark.parametrize(
    ("name", "test", "status"), [("confluent", "test_consumer", "violated"), ("plain", "test_loop", "held")]
)
def test_the_examples_do_what_the_page_says(name: str, test: str, status: str, tmp_path: Path) -> None:
    (block,) = re.findall(rf"<!-- block: {name} -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    payments = events(st.integers(1, 9), keys=st.sampled_from(["alice", "bob"]))
    if name == "confluent":
        pytest.importorskip(
            "confluent_kafka", reason="the client library is not installed: pip install confluent-kafka"
        )
    assert found(block, test, payments, tmp_path) == status
    if name == "confluent":
        commit = "            consumer.commit(asynchronous=False)\n"
        update = re.search(r" +table\.update.*\n", block)
        assert update is not None
        repaired = block.replace(commit, "").replace(update[0], update[0] + commit)
        assert found(repaired, test, payments, tmp_path) == "held"


def test_a_call_of_many_is_settled_behind_its_last_message(tmp_path: Path) -> None:
    """The loop of the page, as a process."""
    pytest.importorskip("botocore", reason="the client library is not installed: pip install boto3")
    (block,) = re.findall(r"<!-- block: batch -->\n```python\n(.*?)```", PAGE, re.DOTALL)
    payments = events(st.integers(1, 9), keys=st.sampled_from(["alice", "bob"]))
    file = tmp_path / "app.py"
    file.write_text(block, encoding="utf-8")

    def status(code: str) -> str:
        names: dict[str, Any] = {}
        exec(compile(code, file, "exec"), names)

        def test(deliver: Any) -> Any:
            table: dict[str, str] = {}

            def process() -> None:
                with deliver.consumer(Client, headers=lambda message: {"event-id": str(message.id)}) as sqs:
                    names["consume"](sqs, table)

            deliver(spawn=process)
            return table

        return str(check(test, payments, SqsStandard(), faults={Crash, Gather}, seed=1, schedules=200).status)

    assert status(block) == "violated"
    assert status(block.replace("if number == 0:", "if message is messages[-1]:")) == "held"


def found(block: str, test: str, payments: Any, tmp_path: Path) -> str:
    file = tmp_path / "test_orders.py"  # without a file there is no code of the user's to step into
    file.write_text(block, encoding="utf-8")
    names: dict[str, Any] = {"chaos": chaos, "Kafka": Kafka, "RabbitMQ": RabbitMQ, "payments": payments, "json": json}
    exec(compile(block, file, "exec"), names)
    return str(check(names[test], payments, seed=1, schedules=100).status)


def test_each_row_is_a_file_whose_test_holds(tmp_path: Path) -> None:
    """All of them in one run, with a few schedules each."""
    for name, lines in ROWS.items():
        body = (EXAMPLES / name).read_text(encoding="utf-8").partition("@chaos(")[2]
        assert lines == sum(bool(line.strip()) for line in body.splitlines()), name
    there = sorted(path.name for path in EXAMPLES.glob("test_*.py"))
    assert sorted(ROWS) == there
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "--chaos-schedules", "20", "--chaos-seed", "1", *there]
    copied = shutil.copytree(EXAMPLES, tmp_path / "consumers", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    run = subprocess.run(command, cwd=copied, capture_output=True, text=True, check=False)
    missing = re.findall(r"this adapter needs the client library itself, .*", run.stdout)
    if missing:
        pytest.skip("; ".join(missing))
    assert f"{len(there)} passed" in run.stdout, run.stdout


WRITES = r"( +)table\[(.+?)\] = (.+)\n"
SETTLES = r"( +)(?:await )?\w+\.(?:delete_message|basic_ack|ack|xack|complete_message)\(.*\n"


@pytest.mark.filterwarnings("ignore:.*is deprecated. Use files:DeprecationWarning")  # what kafka-python calls
@pytest.mark.parametrize("name", [name for name in ROWS if name != "test_confluent_kafka.py"])  # it is on the page
def test_a_loop_of_the_examples_fails_once_it_is_wrong(name: str, tmp_path: Path, monkeypatch: Any) -> None:
    """Where it settles before it writes, and where it adds up without an id: what each client's users get wrong."""
    source = (EXAMPLES / name).read_text(encoding="utf-8")
    wrong = {"twice": re.sub(WRITES, r'\1table["all"] = table.get("all", 0) + \3\n', source)}
    if settles := re.search(WRITES + SETTLES, source):
        write, settle = settles[0].splitlines(keepends=True)
        wrong["too early"] = source.replace(settles[0], settle + write)
    assert (len(wrong) == 2) == (name not in ("test_aiokafka.py", "test_kafka_python.py", "test_aio_pika.py"))
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for what, code in wrong.items():
        assert code != source
        assert outcome_of(code, tmp_path / f"{what.replace(' ', '_')}_{name}") == "violated", (what, code)


def outcome_of(code: str, file: Path) -> str:
    """Of the test in it, with the broker that it names."""
    file.write_text(code, encoding="utf-8")
    names: dict[str, Any] = {"__name__": f"example_{file.stem}"}
    exec(compile(code, file, "exec"), names)
    try:
        return str(check(names["test_payments"], names["payments"], seed=1, schedules=30).status)
    except UsageError as error:
        if "needs the client library itself" not in str(error):
            raise
        pytest.skip(str(error))
