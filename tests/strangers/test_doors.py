"""A stranger's files at the doors: saved repros, a shared corpus, an artifact, names and links in a repository."""

from __future__ import annotations

import ast
import json
import os
import time
from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

import attrs
import pytest
from click.testing import CliRunner, Result
from hypothesis.database import DirectoryBasedExampleDatabase, InMemoryExampleDatabase

import chaoskit
from chaoskit import ChaosFailure, Crash, Event, Kafka, Redeliver, Scenario, Verdict, Violation
from chaoskit.brokers import BROKERS
from chaoskit.cli import main
from chaoskit.fuzz.job import Finding
from chaoskit.fuzz.screen import Screen
from chaoskit.report.console import HarmlessConsole
from chaoskit.repro import bounds
from chaoskit.repro.corpus import MOST_ENTRIES, Corpus, _key
from chaoskit.repro.read import Repro, parse, read
from chaoskit.repro.replay import Answer, play
from chaoskit.search.oracle import Subject
from chaoskit.search.question import default_invariants
from chaoskit.values.errors import ReproError
from chaoskit.values.texts import for_log, one_line
from inside.subjects import over, work_before_mark
from models.systems import SYSTEMS
from plugin.projects import FIXED, HEAD, WALLET, Project
from strangers.mutants import TEXTS, good
from strangers.test_mutants import assert_answered, assert_harmless

TEST = "test_wallet.py::test_wallet"
GOOD = next(good(SYSTEMS["Kafka"], TEST))
for number, event in enumerate(GOOD["events"]):
    event["value"] = number
ESCAPES = "\x1b[2J\x1b]0;owned\x07 red\u202e\r\n::error::forged\n##[warning]forged"


def changed(**changes: Any) -> str:
    return json.dumps(GOOD | changes)


def with_value(value: Any) -> str:
    return changed(events=[GOOD["events"][0] | {"value": value}, *GOOD["events"][1:]])


def nested(depth: int) -> Any:
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


def nested_sets(depth: int) -> Any:
    found: Any = 1
    for _ in range(depth):
        found = {"$frozenset": [found]}
    return found


UNREADABLE = {
    "digits": with_value("@").replace('"@"', "9" * 5000),
    "event": changed(events=[[]]),
    "no violation": changed(violations=[]),
    "topic": changed(broker=GOOD["broker"] | {"topic": []}),
    "nested": with_value(nested(450)),
    "nested more": '{"format": 1, "events": ' + "[" * 100_000,
    "test": changed(test="test_wallet.py::test_wallet\x1b[31m"),
    "label": changed(faults=[{"fault": ["Duplicate"], "at": "e1"}]),
    "id": changed(events=[GOOD["events"][0] | {"id": [1]}]),
    "key": changed(events=[GOOD["events"][0] | {"key": {"$set": [[]]}}]),
}
UNPLAYABLE = {
    "timedelta": with_value({"$timedelta": [1e300, 0, 0]}),
    "repr": with_value({"$repr": 1}),
    "set": with_value({"$set": [{"$decimal": "sNaN"}]}),
    "class": with_value({"$object": "os:system", "items": ["touch PWNED"]}),
    "items": with_value({"$object": "inspect:FullArgSpec", "items": [1]}),
}


# One door, one error, one line.


@pytest.mark.parametrize("name", UNREADABLE)
def test_whatever_reading_raises_is_one_line(name: str) -> None:
    """Of at most 300 characters, with nothing in it that a terminal obeys."""
    with pytest.raises(ReproError) as caught:
        parse(UNREADABLE[name], Path("a.json"))
    reported = str(caught.value)
    assert len(reported) <= 300
    assert "\n" not in reported
    assert_harmless(reported)


@pytest.mark.parametrize("name", UNPLAYABLE)
def test_whatever_playing_raises_is_one_answer(name: str, tmp_path: Path) -> None:
    """It is shown, and CANNOT REPLAY."""
    path = tmp_path / "a.json"
    path.write_text(UNPLAYABLE[name])
    answer = play(read(path), Subject(lambda deliver: deliver(lambda message: None), Kafka(), (), False))
    assert answer.became == "CANNOT REPLAY"
    assert_harmless(answer.reason)
    assert_answered(CliRunner().invoke(main, ["show", str(path)]))


def test_a_value_that_only_this_test_can_read_is_played(tmp_path: Path) -> None:
    """The twin of the claims above: a signaling NaN is a value like any other."""
    path = tmp_path / "a.json"
    path.write_text(with_value({"$decimal": "sNaN"}))
    ever: set[str] = set()

    def body(deliver: Any) -> list[str]:
        seen: list[str] = []
        deliver(lambda message: seen.append(f"{message.id} {message.value}"))
        ever.update(seen)
        return seen

    first, *others = read(path).events
    repro = attrs.evolve(read(path), events=(first, *(attrs.evolve(event, value=1) for event in others)))
    answer = play(repro, Subject(body, Kafka(), default_invariants(None), False))
    assert answer.became in ("STILL FAILS", "CHANGED"), answer.reason
    assert "e1 sNaN" in ever


@pytest.fixture
def littered(tmp_path: Path) -> Project:
    """A right handler among files of strangers, saved ones and those of a corpus."""
    project = Project.at(tmp_path / "shop", handlers=FIXED, test_wallet=HEAD + WALLET)
    corpus = DirectoryBasedExampleDatabase(project.root / "shared")
    for number, text in enumerate((UNREADABLE | UNPLAYABLE).values()):
        project.write(f".chaoskit/test-wallet-test-wallet-{number:010}.json", text)
        corpus.save(_key(TEST), text.encode())
    for number, text in enumerate(UNPLAYABLE.values()):
        project.write(f".chaoskit/test-wallet-test-wallet-{number:010}.as-met.json", text)
    corpus.save(_key(TEST), b"\xff\xfe")
    project.write(".chaoskit/test-wallet-test-wallet-\x1b[31m.json", "{")
    return project


def test_a_job_goes_on_whatever_is_saved_or_shared(littered: Project) -> None:
    """A long search, too."""
    ran = littered.chaoskit("fuzz", "--time", "2s", "-n", "0", "--corpus", "shared", "--seed", "1")
    assert ran.code == 0, ran.text
    assert_harmless(ran.text)
    ran.assert_quiet_about_us()
    assert "the shared corpus has what cannot be played, and it is left out: " in ran.out
    assert "1 failure" not in ran.out


def test_a_run_goes_on_whatever_is_saved_or_shared(littered: Project) -> None:
    """The search is made as without these files, on every machine: each that cannot be read is a line, and what the
    corpus has is left out."""
    project = littered
    ran = project.pytest("--chaos-corpus=shared", "--chaos-schedules=100", "--chaos-seed=1")
    assert ran.code == 0, ran.text
    assert_harmless(ran.text)
    ran.assert_quiet_about_us()
    reported = ran.said_of()[TEST]
    assert reported.startswith("held: 100 schedules")
    assert reported.count("cannot be read: ") == len(UNREADABLE) + 1, reported
    assert reported.count("cannot be replayed") == 2 * len(UNPLAYABLE)
    assert "the shared corpus has what cannot be read, and it is left out: " in reported
    assert "the shared corpus has what cannot be played, and it is left out: " in reported


def test_what_a_corpus_has_too_much_of_is_not_read() -> None:
    """Whoever can write into it could put any number there, of any size."""
    database = InMemoryExampleDatabase()
    for number in range(bounds.MOST_FILES):
        database.save(_key(TEST), changed(comment=number).encode())
    database.save(_key(TEST), b"x" * (bounds.LARGEST_FILE + 1))
    found = Corpus(database).failures(TEST)
    assert 0 < len(found) <= MOST_ENTRIES


# Only what pytest collects.

DANGER = 'from pathlib import Path\nPath("RAN").touch()\nfrom test_wallet import *\n'


def test_no_file_makes_pytest_import_what_it_does_not_collect(tmp_path: Path) -> None:
    """By `chaoskit replay` and by --chaos-replay; and the tests that pytest does collect are played."""
    project = Project.at(tmp_path / "shop", **{"tests/handlers": FIXED, "tests/test_wallet": HEAD + WALLET})
    project.write(
        "pytest.ini", "[pytest]\naddopts = -p no:cacheprovider --ignore=tests/test_ignored.py\ntestpaths = tests\n"
    )
    dangers = [
        "scripts/danger.py",
        "tests/danger.py",
        "scripts/test_danger.py",
        "tests/test_ignored.py",
        "tests/.x/test_a.py",
    ]
    project.write("found/good.json", changed(test="tests/test_wallet.py::test_wallet"))
    for number, danger in enumerate(dangers):
        project.write(danger, DANGER)
        project.write(f"found/{number}.json", changed(test=f"{danger}::test_wallet"))
    ran = project.chaoskit("replay", "found")
    assert ran.code == 2, ran.text
    assert ran.out.count("is not a chaos test that pytest collects by itself here") == len(dangers)
    assert "FIXED  found/good.json" in ran.out
    one = project.pytest("--chaos-replay=found/0.json")
    assert one.code == 4, one.text
    assert "no repro file makes it import another" in one.text
    assert not list(tmp_path.rglob("RAN"))


def test_a_function_that_is_imported_already_is_not_for_a_file_to_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`chaoskit.replay` calls chaos tests and functions of `deliver`, below the current directory."""
    for test in (f"{json.__file__}::dumps", "/etc/passwd.py::x", f"{Path(__file__).name}::changed"):
        path = tmp_path / "a.json"
        path.write_text(changed(test=test))
        monkeypatch.chdir(Path(__file__).parent)
        monkeypatch.setattr("chaoskit.pytest.replay.replay_with_pytest", _by_pytest)
        with pytest.raises(ReproError, match="not called"):
            chaoskit.replay(path)


def _by_pytest(repros: list[Repro], directory: Path) -> list[Answer]:
    return [Answer("CANNOT REPLAY", repro.path, repro.test, "not called") for repro in repros]


# Bounds.


TOO_MUCH: dict[str, Callable[[], str]] = {
    "partitions": lambda: changed(broker=GOOD["broker"] | {"partitions": 2**31}),
    "consumers": lambda: changed(broker=GOOD["broker"] | {"consumers": bounds.MOST_LANES + 1}),
    "window": lambda: changed(broker=GOOD["broker"] | {"max_in_flight": 10**12}),
    "events": lambda: changed(events=GOOD["events"] * bounds.MOST_EVENTS),
    "steps": lambda: changed(schedule=GOOD["schedule"] * bounds.MOST_STEPS),
    "faults": lambda: changed(faults=GOOD["faults"] * (bounds.MOST_FAULTS + 1)),
    "refused": lambda: changed(
        schedule=[GOOD["schedule"][0] | {"raised": True, "offset": n} for n in range(bounds.MOST_REFUSED + 1)]
    ),
    "violations": lambda: changed(violations=GOOD["violations"] * (bounds.MOST_VIOLATIONS + 1)),
    "growth": lambda: changed(faults=[{"fault": "Rehash", "at": "e1", "to": 10**9}]),
    "after": lambda: changed(faults=[{"fault": "Redeliver", "at": "e1", "after": 10**9}]),
    "attempt": lambda: changed(schedule=[GOOD["schedule"][0] | {"attempt": 10**12}, *GOOD["schedule"][1:]]),
    "offset": lambda: changed(schedule=[GOOD["schedule"][0] | {"offset": 10**400}, *GOOD["schedule"][1:]]),
    "id": lambda: changed(events=[GOOD["events"][0] | {"id": "x" * 10_000}]),
    "name": lambda: changed(test=f"test_{'x' * 10_000}.py::test_wallet"),
    "depth": lambda: with_value(nested(bounds.MOST_DEEP)),
    "sets": lambda: changed(observed=nested_sets(bounds.MOST_SETS + 1)),
    "topic": lambda: changed(broker=GOOD["broker"] | {"topic": "x" * 10_000}),
}
"""Some are of many megabytes, which who only collects this file need not write."""


@pytest.mark.parametrize("name", TOO_MUCH)
def test_a_file_that_asks_for_too_much_is_told_how_much_there_is(name: str) -> None:
    """At once, and before anything is made of it."""
    text = TOO_MUCH[name]()
    began = time.process_time()
    with pytest.raises(ReproError) as caught:
        parse(text, Path("a.json"))
    assert time.process_time() - began < 20
    assert any(sign in str(caught.value) for sign in ("may have", "may ask for", "deep in each other", "not a pytest"))


LIMITED = [
    (name, field.name)
    for name, kind in BROKERS.items()
    for field in attrs.fields(kind)
    if type(field.default) is int or (field.default is None and "int" in str(field.type))
]


@pytest.mark.parametrize(("name", "setting"), LIMITED, ids=lambda given: str(given))
def test_the_most_that_a_file_may_set_is_made_in_no_time(name: str, setting: str) -> None:
    """Each number of each broker at its bound, with the faults that it can make."""
    try:
        broker = BROKERS[name](**{setting: bounds.MOST_OF_A_NUMBER})
        bounds.check_settings({setting: bounds.MOST_OF_A_NUMBER})
    except chaoskit.UsageError:  # the broker itself allows less
        return
    except ReproError:
        broker = BROKERS[name](**{setting: bounds.MOST_LANES})
    began = time.process_time()
    for kind in broker.kinds():
        given = {f.name: bounds.MOST_OF_AN_ARGUMENT for f in attrs.fields(kind) if f.name not in ("at", "lost")}
        scenario = Scenario([Event("a", 1), Event("a", 2)], broker, [kind("e1", **given)])
        broker.explain(scenario.schedule(), scenario.events)
    assert time.process_time() - began < 20


def test_a_link_to_what_never_ends_is_not_followed(tmp_path: Path) -> None:
    """A repository may hold links to devices; and a file may be larger than all memory."""
    (tmp_path / "zero.json").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.json")
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(10 << 30)
    for name, says in (("zero", "not a file"), ("pipe", "not a file"), ("large", "larger than")):
        with pytest.raises(ReproError, match=says):
            read(tmp_path / f"{name}.json")
        assert_answered(CliRunner().invoke(main, ["show", str(tmp_path / f"{name}.json")]))


# Archives.


def replayed(*arguments: str | Path) -> Result:
    """`--as-test`, which unpacks and reads as any replay does, and starts no pytest."""
    return CliRunner().invoke(main, ["replay", "--as-test", *map(str, arguments)])


def test_a_small_zip_file_that_becomes_huge_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor one with too many files; what it would become is known before any of it is there."""
    with ZipFile(tmp_path / "bomb.zip", "w", ZIP_DEFLATED) as archive:
        for number in range(5):
            archive.writestr(f"{number}.json", b" " * (bounds.LARGEST_FILE - 1))
    assert (tmp_path / "bomb.zip").stat().st_size < 200_000
    monkeypatch.setattr("pathlib.Path.write_bytes", None)
    reported = replayed(tmp_path / "bomb.zip")
    assert reported.exit_code == 2
    assert (
        "its 5 repro files would become 41,943,035 bytes; 2,000 files and 33,554,432 bytes are the most"
        in reported.output
    )
    with ZipFile(tmp_path / "many.zip", "w") as archive:
        for number in range(bounds.MOST_FILES + 1):
            archive.writestr(f"{number}.json", b"{}")
    assert "its 2,001 repro files would become" in replayed(tmp_path / "many.zip").output
    with (tmp_path / "large.zip").open("wb") as file:
        file.truncate(bounds.LARGEST_ZIP + 1)
    assert "larger than 33,554,432 bytes: unpack it, and name its files" in replayed(tmp_path / "large.zip").output


def test_files_of_a_directory_have_the_same_limit(tmp_path: Path) -> None:
    """Also where each of them is small enough."""
    for number in range(5):
        with (tmp_path / f"{number}.json").open("wb") as file:
            file.truncate(bounds.LARGEST_FILE - 1)
    reported = replayed(tmp_path)
    assert reported.exit_code == 2
    assert "with this one it is more than 2,000 repro files or 33,554,432 bytes" in reported.output


@pytest.mark.parametrize("text", [text for text in TEXTS if "\0" not in text and "\ud800" not in text])
def test_names_in_a_zip_file_are_only_shown(text: str, tmp_path: Path) -> None:
    """Whatever a terminal or a log would make of them."""
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(f"{text}.json", "{")
        archive.writestr(f"../{text}/b.json", "{")
    several = CliRunner().invoke(main, ["replay", str(tmp_path / "a.zip")])
    assert several.exit_code == 2
    assert several.output.count("CANNOT REPLAY  ") == 2
    assert_harmless(several.output)
    assert len(several.output.splitlines()) == 3
    assert os.listdir(tmp_path) == ["a.zip"]


def test_a_damaged_zip_file_is_one_line(tmp_path: Path) -> None:
    """Wherever it was hit."""
    with ZipFile(tmp_path / "a.zip", "w", ZIP_DEFLATED) as archive:
        archive.writestr("a.json", changed())
    content = (tmp_path / "a.zip").read_bytes()
    for at in range(0, len(content), 7):
        for hit in (content[:at], content[:at] + bytes([content[at] ^ 0xFF]) + content[at + 1 :]):
            (tmp_path / "b.zip").write_bytes(hit)
            reported = replayed(tmp_path / "b.zip")
            assert reported.exit_code == 2, reported.output
            assert not reported.exception or isinstance(reported.exception, SystemExit), reported.exception
            assert "Traceback" not in reported.output
            assert_harmless(reported.output)


# What is printed.


def hostile_verdict(text: str) -> Verdict:
    scenario = Scenario([Event(text, {text: text}, text), Event(text, 2, "e2")], Kafka(), [Redeliver(text, 0)])
    return Verdict(
        "violated", (Violation(text, text),), scenario=scenario, schedule=scenario.schedule(),
        expected={text: text}, observed={text: [text]}, test=f"test_a.py::{text}",
    )  # fmt: skip


def test_nothing_that_is_printed_is_obeyed(capsys: pytest.CaptureFixture[str]) -> None:
    """Neither by a terminal nor by GitHub: from reports, errors, and the screen of a job, with and without colours."""
    verdict = hostile_verdict(ESCAPES)
    assert_harmless(verdict.report())
    assert_harmless(str(ChaosFailure(ESCAPES, verdict)))
    assert_harmless(str(ReproError(ESCAPES)))
    assert_harmless(Answer("CANNOT REPLAY", Path("a"), "", ESCAPES).reason)
    printed = StringIO()
    screen = Screen(HarmlessConsole(file=printed, width=80))
    screen.begins(ESCAPES)
    screen.note(ESCAPES, ESCAPES)
    screen.found(Finding("a", "", ESCAPES, ESCAPES))
    screen.line(ESCAPES)
    assert_harmless(printed.getvalue())
    coloured = StringIO()
    Screen(HarmlessConsole(file=coloured, force_terminal=True, color_system="standard")).found(
        Finding("a", "", "", ESCAPES)
    )
    assert "\x1b[2J" not in coloured.getvalue()
    assert "\x07" not in coloured.getvalue()
    assert "\x1b[1;31m" in coloured.getvalue()  # our own
    assert capsys.readouterr().out == ""


def test_an_annotation_is_one_command_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only line that GitHub is meant to obey holds no other."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    path = hostile_verdict(ESCAPES.replace("\n", " ")).save(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"test": "test_a.py::test_a"}))
    reported = CliRunner().invoke(main, ["show", "--github", str(path)])
    assert reported.exit_code == 0, reported.output
    assert reported.output.startswith("::error file=test_a.py,title=")
    assert len(reported.output.splitlines()) == 1
    assert_harmless(reported.output, command=True)


PRINTS = {"print", "echo", "secho", "Console", "write_line", "print_exception", "print_exc"}
MAY_PRINT = {
    "chaoskit/commands/console.py": "the one place where a command prints",
    "chaoskit/report/console.py": "the one console",
    "chaoskit/pytest/plugin.py": "through _write, and annotations",
}


def test_nothing_prints_but_through_what_makes_it_harmless() -> None:
    """So that nobody has to remember it."""
    root = Path(chaoskit.__file__).parent
    found = []
    for path in root.rglob("*.py"):
        place = f"chaoskit/{path.relative_to(root).as_posix()}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and place not in MAY_PRINT:
                name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                whose = ast.unparse(node.func)
                if name in PRINTS and not whose.endswith("console.print"):
                    found.append(f"{place}:{node.lineno}: {whose}")
    assert found == []


# Saving.


@pytest.mark.parametrize("how", ["missing", "refused", "not implemented"])
def test_a_failure_is_saved_where_there_are_no_hard_links(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some platforms have no `os.link`, some file systems do not know what it asks for."""

    def link(*_: Any) -> None:
        raise PermissionError("no") if how == "refused" else NotImplementedError("no")

    if how == "missing":
        monkeypatch.delattr(os, "link")
    else:
        monkeypatch.setattr(os, "link", link)
    path = hostile_verdict("a").save(tmp_path)
    assert read(path).violations[0]["invariant"] == "a"
    assert os.listdir(tmp_path) == [path.name]


def test_a_strangers_file_in_the_way_of_a_failure_hides_it_from_nobody(tmp_path: Path) -> None:
    """A link to a device, a file that is not ours, or one that is too large: it is saved beside them."""
    name = hostile_verdict("a").save(tmp_path / "elsewhere").name
    (tmp_path / "zero").mkdir()
    (tmp_path / "zero" / name).symlink_to("/dev/zero")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone" / name).symlink_to("nowhere")
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits" / name).write_text(UNREADABLE["digits"])
    for place in ("zero", "gone", "digits"):
        saved = hostile_verdict("a").save(tmp_path / place)
        assert read(saved).violations[0]["invariant"] == "a"
        assert saved.name != name


def test_the_bounds_stand_in_the_document() -> None:
    """Whoever changes one says so there."""
    text = (Path(__file__).parent.parent.parent / "SECURITY.md").read_text(encoding="utf-8")
    numbers = [value for name, value in vars(bounds).items() if name.isupper() and not name.startswith("_")]
    assert [f"{value:,}" for value in [*numbers, MOST_ENTRIES] if f"{value:,}" not in text] == []


@pytest.mark.parametrize("sign", ["\n", " ", "\n :", ": ", "#", "\u202e", "a "], ids=ascii)
def test_a_long_text_is_made_harmless_in_no_time(sign: str) -> None:
    """Twice the text takes twice the time, whatever it is made of."""
    text = sign * (1_000_000 // len(sign))
    began = time.process_time()
    assert_harmless(for_log(text))
    assert len(one_line(text)) <= 300
    assert time.process_time() - began < 20


@pytest.mark.parametrize("end", ["\n", "\r", "::", "\x1b"], ids=ascii)
def test_a_long_name_of_a_test_is_looked_at_in_no_time(end: str) -> None:
    """Also one that almost is a name, in very many ways."""
    began = time.process_time()
    with pytest.raises(ReproError):
        parse(changed(test=f"a.py{'::' * 400}{end}\n"), Path("a.json"))
    assert time.process_time() - began < 20


@pytest.mark.parametrize("written", ["ack 0", "ack " + "9" * 5_000, "__import__('os') 1", "ack", "ack -1", ESCAPES])
def test_what_settles_no_step_is_refused_in_one_line(written: str) -> None:
    """By whoever reads the file, and not only by who plays it."""
    steps = [GOOD["schedule"][0] | {"settled": [written]}, *GOOD["schedule"][1:]]
    with pytest.raises(ReproError, match="settles no step"):
        parse(changed(schedule=steps), Path("file.json"))


def test_a_column_that_lies_beyond_its_line_costs_no_more_than_the_line(tmp_path: Path) -> None:
    """A death is shown in its source, with as many blanks before it as the file says there are."""
    scenario = Scenario([Event("alice", 1, id="e1")], Kafka(partitions=1), [Crash("e1", point=2)])
    path = Path(chaoskit.run(over(work_before_mark), scenario).save(tmp_path))
    document = json.loads(path.read_text(encoding="utf-8"))
    died = next(step["died"] for step in document["schedule"] if "died" in step)
    died["column"] = 1_000_000_000
    path.write_text(json.dumps(document), encoding="utf-8")
    shown = CliRunner().invoke(main, ["show", str(path)])
    assert shown.exit_code == 0, shown.output
    assert "Where the process was killed" in shown.output
    assert len(shown.output) < 10_000
