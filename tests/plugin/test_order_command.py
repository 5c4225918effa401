"""`chaoskit order`: recordings and counts, what it prints and writes, and files that are something else."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from chaoskit import Event, Kafka, SqsFifo, ordering_cost
from chaoskit.cli import main
from plugin.projects import ESCAPE, Project, Ran

KEYS = ["alice", "bob", "alice", "carol", "alice", "dan"] * 5


def ask(root: Path, *arguments: str) -> Ran:
    """The command itself, in a process of its own and without a terminal."""
    return Project.at(root).chaoskit("order", *arguments)


def output_of(path: Path, *arguments: str) -> str:
    done = CliRunner().invoke(main, ["order", str(path), "--handler-ms", "20", *arguments])
    assert done.exit_code == 0, done.output
    return done.output


def refused(path: Path, *arguments: str) -> str:
    done = CliRunner().invoke(main, ["order", str(path), "--handler-ms", "20", *arguments])
    assert done.exit_code == 2, done.output
    assert "Traceback" not in done.output
    return done.output


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "payments.jsonl"
    path.write_text("".join(json.dumps({"key": key, "value": {"from": key.upper()}}) + "\n" for key in KEYS))
    return path


def test_a_recording_is_answered_with_what_the_function_says(tmp_path: Path, recording: Path) -> None:
    """To the letter, in plain ASCII, with exit code 0."""
    asked = ask(tmp_path, str(recording), "--broker", "Kafka(partitions=3)", "--handler-ms", "20", "--consumers", "8")
    events = [Event(key, None) for key in KEYS]
    assert asked.code == 0, asked.text
    assert asked.out == f"{ordering_cost(events, Kafka(partitions=3), handler_ms=20, consumers=8)}\n"
    assert asked.err == ""
    assert ESCAPE not in asked.text
    assert asked.out.isascii()
    asked.assert_in_order(
        "Kafka(partitions=3), a handler of 20 ms", "30 messages of 4 keys; the hottest, 'alice', has 50 %",
        "total order", "order per key", "no order", "messages/s", "1 consumer", "3 consumers", "8 consumers",
    )  # fmt: skip


def test_the_same_keys_in_each_format_cost_the_same(tmp_path: Path, recording: Path) -> None:
    """Lines, a list, another field; and counts, where only the order is another."""
    (tmp_path / "list.json").write_text(json.dumps([{"key": key} for key in KEYS]))
    (tmp_path / "counts.csv").write_text("Count, KEY\n15,alice\n5,bob\n5,carol\n5,dan\n0,nobody\n")
    plain = output_of(recording, "--broker", "SqsFifo")
    assert output_of(tmp_path / "list.json", "--broker", "SqsFifo()") == plain
    assert output_of(recording, "--broker", "SqsFifo", "--key", "value.from") == plain.replace("alice", "ALICE")
    counted = output_of(tmp_path / "counts.csv", "--broker", "SqsFifo")
    assert counted.splitlines()[:6] == plain.splitlines()[:6]


def test_a_number_is_a_key_and_null_and_an_empty_one_are_none(tmp_path: Path) -> None:
    """As JSON writes them; a message without a key is counted."""
    (tmp_path / "a.ndjson").write_text('{"key": 7}\n\n{"key": null}\n{"key": true}\n')
    assert "3 messages of 2 keys, 1 of them without one; the hottest, '7', has 33 %" in output_of(tmp_path / "a.ndjson")
    (tmp_path / "a.csv").write_text("key,count\n7,1\n,1\ntrue,1\n")
    assert "3 messages of 2 keys, 1 of them without one" in output_of(tmp_path / "a.csv")


def test_counts_of_more_than_are_played_keep_their_shares_and_it_says_so(tmp_path: Path) -> None:
    """A day's counts: a million messages, each key in its share."""
    (tmp_path / "day.csv").write_text("key,count\nhot,400000\n" + "".join(f"k{n},6000\n" for n in range(100)))
    text = output_of(tmp_path / "day.csv", "--broker", "PubSub(ordering=True)", "--consumers", "4")
    assert text.startswith("of 1,000,000 messages 10,000 are played, each key in its share\n")
    assert "10,000 messages of 101 keys; the hottest, 'hot', has 40 %" in text


def test_of_a_long_recording_the_first_messages_are_played(tmp_path: Path) -> None:
    """And it says how many."""
    path = tmp_path / "long.jsonl"
    path.write_text('{"key": "a"}\n' * 100_001)
    text = output_of(path, "--consumers", "1")
    assert text.startswith("only the first 100,000 messages are played\n")


def test_arrivals_add_what_a_message_waits(recording: Path) -> None:
    """Of total order at 60 messages a second and 20 ms nothing but growth can be said."""
    text = output_of(recording, "--arrivals", "60", "--consumers", "3", "--broker", "PubSub(ordering=True)")
    table = text[text.index("mean wait for a consumer in ms, where 60 messages/s arrive") :]
    rows = [re.split(r" {2,}", line.strip()) for line in table.splitlines()[1:]]
    assert [row[1] for row in rows] == ["grows for ever"] * 3
    assert float(rows[2][2]) > float(rows[2][3]) > 0


def test_the_plot_and_the_data_are_written_to_files_or_to_standard_output(tmp_path: Path, recording: Path) -> None:
    """Instead of the text; the numbers are those of the function."""
    both = ["--svg", str(tmp_path / "plot.svg"), "--json", str(tmp_path / "cost.json"), "--broker", "SqsFifo"]
    assert output_of(recording, *both) == ""
    ElementTree.fromstring((tmp_path / "plot.svg").read_text())
    data = json.loads((tmp_path / "cost.json").read_text())
    cost = ordering_cost([Event(key, None) for key in KEYS], SqsFifo(), handler_ms=20)
    assert [point["throughput"] for point in data["per_key"]["points"]] == [p.throughput for p in cost.per_key.points]
    assert (data["broker"], data["per_key"]["knee"], data["hottest_key"]) == ("SqsFifo", 2, "alice")
    assert data["serialization"]["per_second"] == 300
    assert output_of(recording, "--svg", "-", "--broker", "SqsFifo") == (tmp_path / "plot.svg").read_text()
    assert json.loads(output_of(recording, "--json", "-", "--broker", "SqsFifo")) == data
    page = output_of(recording, "--page", "-", "--broker", "SqsFifo")
    assert (tmp_path / "plot.svg").read_text() in page
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "").replace("http-equiv", "")


WRONG: list[tuple[str, str, str]] = [
    ("a.txt", "", ".jsonl, .ndjson, .json, .csv can be read"),
    ("a.jsonl", "", "there is no message in it"),
    ("a.jsonl", '{"key": "a"}\n{"key"\n', "a.jsonl, line 2, column 7: not JSON"),
    ("a.jsonl", '{"id": 1}\n', "a.jsonl, line 1: no field 'key'; it has 'id'. --key names the field"),
    ("a.jsonl", "[1]\n", "a.jsonl, line 1: an object with 'key' is needed, and it is a list"),
    ("a.jsonl", '{"key": {"a": 1}}\n', "'key' is an object, which is no key"),
    ("a.jsonl", "[" * 100_000, "not readable"),
    ("a.json", '{"key": "a"}', "a list of objects is needed, and it is an object"),
    ("a.json", '[{"key": "a"}, 3]', "a.json, item 2: an object with 'key' is needed, and it is a number"),
    ("a.json", "\xff", "is not UTF-8"),
    ("a.csv", "", "columns key and count is needed; it has none"),
    ("a.csv", "name;count\n", "it has 'name;count'"),
    ("a.csv", "key,count\na,1\nb,many\n", "a.csv, line 3: a key and a whole number, 0 or more"),
    ("a.csv", "key,count\na,-1\n", "and the count is '-1'"),
    ("a.csv", "key,count\na\n", "and the count is ''"),
    ("a.csv", "key,count\na,0\n", "there is no message in it"),
    ("a.csv", "key,count\n" + "a" * 200_000 + ",1\n", "not CSV: field larger"),
]


@pytest.mark.parametrize(("name", "content", "says"), WRONG, ids=lambda each: each[:25])
def test_a_file_that_is_something_else_is_refused_with_the_place(
    tmp_path: Path, name: str, content: str, says: str
) -> None:
    """One line, exit code 2."""
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    assert says in " ".join(refused(tmp_path / name).split())


def test_options_that_cannot_be_are_refused(tmp_path: Path, recording: Path) -> None:
    """With what is known."""
    assert "did you mean 'SqsFifo'" in refused(recording, "--broker", "SqsFifoo")
    assert "Kafka has no setting 'shards'" in refused(recording, "--broker", "Kafka(shards=2)")
    assert "consumers=0" in refused(recording, "--consumers", "0")
    assert "arrivals_per_second=-1" in refused(recording, "--arrivals", "-1")
    assert "cannot be read: No such file" in refused(tmp_path / "none.csv")
    assert "cannot be read: Is a directory" in refused(_directory(tmp_path))
    assert "cannot be one file" in refused(recording, "--svg", "-", "--json", "-")
    assert "cannot be one file" in refused(recording, "--page", "-", "--json", "-")
    assert "cannot be written" in refused(recording, "--svg", str(tmp_path / "no" / "plot.svg"))


def _directory(root: Path) -> Path:
    (root / "folder.json").mkdir()
    return root / "folder.json"


def test_help_says_what_it_takes(tmp_path: Path) -> None:
    """And `chaoskit --help` lists the command."""
    helped = ask(tmp_path, "--help")
    helped.assert_in_order("Usage: chaoskit order [OPTIONS] FILE", "(.jsonl)", "(.json)", "(.csv)", "--broker BROKER")
    assert "order " in CliRunner().invoke(main, ["--help"]).output


def test_a_key_of_a_stranger_does_nothing_in_a_terminal_or_a_page(tmp_path: Path) -> None:
    """Escapes, commands to GitHub's runner, markup."""
    keys = ["\x1b[31m::error::x\n##[group]", "<script>alert('&')</script>", "\ud800", "ключ"]
    for number, key in enumerate(keys):
        path = tmp_path / f"{number}.jsonl"
        path.write_text(json.dumps({"key": key}) + "\n")
        text = output_of(path, "--broker", "SqsFifo")
        assert text.isascii()
        assert ESCAPE not in text
        assert not re.search(r"^\s*::", text, re.MULTILINE)
        picture = output_of(path, "--broker", "SqsFifo", "--svg", "-")
        ElementTree.fromstring(picture)
        assert "<script" not in picture
