"""`chaoskit replay` and `chaoskit show` on good files and on bad ones."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import attrs
import pytest
from click.testing import CliRunner

from chaoskit.cli import main
from plugin.projects import ESCAPE, FIXED, HEAD, Project, Ran

EVIL = 'from pathlib import Path\nPath(__file__).with_name("RAN").touch()\ndef test(): pass\n'

CLASSES = """
import attrs
from handlers import handler

@attrs.frozen
class Money:
    amount: int

@chaos(events(st.builds(Money, st.integers(1, 9)), keys=st.just("alice")), faults={Duplicate})
def test_money(deliver):
    state = {"sum": 0}
    def handle(message):
        state["sum"] += message.value.amount
    deliver(handle)
    return state
"""

NO_CLASS = {"id": "e1", "key": "alice", "seq": 1, "value": {"$object": "evil:Money", "fields": {"amount": 1}}}


@attrs.frozen
class Bad:
    """What is wrong with a file, as changes to a good one or as text, and what must be said of it."""

    changes: dict[str, Any] | str | None
    says: str


BAD = {
    "cut": Bad('{"format": 1, "test": "te', "not JSON, or cut off"),
    "no_json": Bad("hello", "not JSON, or cut off"),
    "other_format": Bad({"format": 99}, "format 99 is not known to this version of chaoskit, which reads 1"),
    "unknown_fault": Bad(
        {"faults": [{"fault": "Duplicat", "at": "e1"}]}, "unknown fault 'Duplicat'; did you mean 'Duplicate'?"
    ),
    "no_such_event": Bad(
        {"faults": [{"fault": "Duplicate", "at": "e99"}]}, "names the event 'e99', which does not exist"
    ),
    "missing": Bad(None, "no such file"),
    "option": Bad({"test": "-p evil"}, "not a pytest node id"),
    "long_option": Bad({"test": "--co"}, "not a pytest node id"),
    "option_with_file": Bad({"test": "-pevil.py::test"}, "not a pytest node id"),
    "above": Bad({"test": "../evil.py::test"}, "lies outside"),
    "above_twice": Bad({"test": "sub/../../evil.py::test"}, "lies outside"),
    "absolute": Bad({"test": "{above}/evil.py::test"}, "lies outside"),
    "gone": Bad({"test": "gone.py::test"}, "which is not below"),
    "no_function": Bad({"test": "test_wallet.py::test_gone"}, "is not a chaos test that pytest collects"),
    "plain": Bad({"test": "test_plain.py::test_plain"}, "is not a chaos test that pytest collects"),
    "no_test": Bad({"test": ""}, "it names no test"),
    "no_class": Bad({"events": [NO_CLASS]}, "the value needs Money of evil, which the test's module has not imported"),
}
UNREADABLE = ("cut", "no_json", "other_format", "unknown_fault", "no_such_event", "missing", "option", "long_option")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with one good repro, a directory `bad` of the others, and an evil.py beside and above it."""
    above = tmp_path_factory.mktemp("above")
    project = Project.wallet(above / "shop")
    assert project.pytest("--chaos-schedules=200").code == 1
    good = json.loads(project.only_repro().read_text())
    for name, bad in BAD.items():
        if isinstance(bad.changes, str):
            project.write(f"bad/{name}.json", bad.changes)
        elif bad.changes is not None:
            text = json.dumps(good | {"events": good["events"]} | bad.changes)
            project.write(f"bad/{name}.json", text.replace("{above}", str(above)))
    rename = json.loads(project.root.joinpath("bad", "no_class.json").read_text())
    id_ = good["events"][0]["id"]
    rename["events"][0] |= {"id": id_, "key": good["events"][0]["key"]}
    project.write("bad/no_class.json", json.dumps(rename))
    for place in ("evil.py", "../evil.py", "bad/evil.py"):
        project.write(place, EVIL)
    project.write("test_plain.py", EVIL.replace("def test()", "def test_plain()").replace('"RAN"', '"PLAIN"'))
    return project


@pytest.fixture(scope="module")
def all_bad(shop: Project) -> Ran:
    """One run over every bad file and the good one."""
    files = [f"bad/{name}.json" for name in BAD]
    return shop.chaoskit("replay", *files, ".chaoskit")


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_clear_line(all_bad: Ran, name: str) -> None:
    """CANNOT REPLAY, the file and the reason."""
    lines = [line for line in all_bad.out.splitlines() if f"bad/{name}.json" in line]
    assert len(lines) == 1, all_bad.text
    assert lines[0].startswith("CANNOT REPLAY  ")
    assert BAD[name].says in lines[0]


def test_good_files_among_bad_ones_are_replayed_and_the_worst_code_counts(all_bad: Ran) -> None:
    """The good one STILL FAILS, and 2 is the exit code of all."""
    assert all_bad.code == 2, all_bad.text
    assert all_bad.out.count("STILL FAILS  .chaoskit/") == 1
    assert f"1 still fails, {len(BAD)} cannot replay" in all_bad.out


def test_no_bad_file_makes_a_traceback_or_runs_code(all_bad: Ran, shop: Project) -> None:
    """Whatever the files name, evil.py was never imported."""
    assert "Traceback" not in all_bad.text
    assert not list(shop.root.parent.rglob("RAN"))


def test_nothing_is_coloured_where_nobody_looks(all_bad: Ran) -> None:
    """A pipe gets plain text."""
    assert ESCAPE not in all_bad.text


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("command", ["replay", "show"])
def test_an_unreadable_file_exits_with_2(
    shop: Project, name: str, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From `replay` and from `show`, in one line."""
    monkeypatch.chdir(shop.root)
    reported = CliRunner().invoke(main, [command, f"bad/{name}.json"])
    assert reported.exit_code == 2, reported.output
    assert BAD[name].says in reported.output
    assert len(reported.output.strip().splitlines()) == 1


def test_show_prints_the_report_and_runs_nothing(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sections of a failure, from the file alone, also for values whose class is not there."""
    monkeypatch.chdir(shop.root)
    shown = CliRunner().invoke(main, ["show", str(shop.only_repro())])
    assert shown.exit_code == 0, shown.output
    places = [shown.output.find(part) for part in ("What differs", "The delivery", "What happened", "Replay")]
    assert places == sorted(places)
    assert min(places) >= 0, shown.output
    assert f"chaoskit replay {shop.only_repro()}" in shown.output
    strange = CliRunner().invoke(main, ["show", "bad/no_class.json"])
    assert strange.exit_code == 0, strange.output
    assert "evil:Money" in strange.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["replay"], "Missing argument"),
        (["replay", "bad", "--evil"], "No such option"),
        (["show", "empty"], "no repro file (*.json) in this directory"),
        (["replay", "empty"], "no repro file (*.json) in this directory"),
        (["replay", "--rootdir=gone", "bad"], "gone"),
        (["fuzzz"], "No such command"),
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_with_2_and_says_how(
    shop: Project, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """click's own words, no traceback."""
    (shop.root / "empty").mkdir(exist_ok=True)
    monkeypatch.chdir(shop.root)
    reported = CliRunner().invoke(main, arguments)
    assert reported.exit_code == 2, reported.output
    assert says in reported.output
    assert "Usage: " in reported.output


def test_help_names_the_commands_and_the_exit_codes(shop: Project) -> None:
    """`python -m chaoskit --help` is the same as `chaoskit --help`."""
    reported = shop.chaoskit("--help")
    assert reported.code == 0
    reported.assert_in_order("Usage: chaoskit", "Exit codes:", "replay", "show")
    assert reported.out == CliRunner().invoke(main, ["--help"], prog_name="chaoskit").output


def test_no_command_shows_the_help(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing to do is no error of ours."""
    reported = CliRunner().invoke(main, [])
    assert "Usage: " in reported.output
    assert reported.exit_code in (0, 2)


def test_values_of_the_tests_own_classes_come_back(tmp_path: Path) -> None:
    """An attrs class of the test's module is found there, and the answer follows the code."""
    project = Project.at(tmp_path / "shop", handlers=FIXED, test_money=HEAD + CLASSES)
    failed = project.pytest()
    assert failed.code == 1, failed.text
    replayed = project.chaoskit(*failed.replay_command())
    assert (replayed.code, replayed.out[:11]) == (1, "STILL FAILS"), replayed.text
    text = (project.root / "test_money.py").read_text()
    project.write("test_money.py", text.replace('state["sum"] +=', 'state["sum"] ='))
    assert project.chaoskit("replay", ".chaoskit").code == 0


def test_a_test_module_that_cannot_be_imported_is_the_reason(shop: Project, tmp_path: Path) -> None:
    """The last line of its error, and exit code 2."""
    broken = shop.copy(tmp_path / "shop")
    broken.write("handlers.py", "import no_such_module_anywhere\n")
    reported = broken.chaoskit("replay", ".chaoskit")
    assert reported.code == 2, reported.text
    assert reported.out.startswith("CANNOT REPLAY  ")
    assert "No module named 'no_such_module_anywhere'" in reported.out
    assert len(reported.out.strip().splitlines()) == 1


def test_a_repro_is_replayed_from_below_and_with_rootdir(shop: Project, tmp_path: Path) -> None:
    """The test is found from a subdirectory of its repository, and from elsewhere with --rootdir."""
    copied = shop.copy(tmp_path / "shop")
    below = copied.root / "below"
    below.mkdir()
    repro = copied.only_repro()
    from_below = copied.chaoskit("replay", f"../.chaoskit/{repro.name}", cwd=below)
    assert (from_below.code, from_below.out[:11]) == (1, "STILL FAILS"), from_below.text
    elsewhere = copied.chaoskit("replay", str(repro), f"--rootdir={copied.root}", cwd=tmp_path)
    assert (elsewhere.code, elsewhere.out[:11]) == (1, "STILL FAILS"), elsewhere.text


def archive(path: Path, files: Mapping[str, str]) -> Path:
    with ZipFile(path, "w") as zipped:
        for name, text in files.items():
            zipped.writestr(name, text)
    return path


def test_a_downloaded_artifact_is_replayed_as_it_is(shop: Project, tmp_path: Path) -> None:
    """A zip file with repros at any depth, beside other files: they are named by their place in it, and nothing of it
    is left on this machine, whatever it is called in there."""
    good = next((shop.root / ".chaoskit").glob("*.json")).read_text()
    files = {"job 1/.chaoskit/a.json": good, "../../b.json": "{", "evil.py": EVIL, "log.txt": "nothing"}
    artifact = archive(tmp_path / "repros.zip", files)
    ran = shop.chaoskit("replay", str(artifact))
    assert ran.code == 2, ran.text
    ran.assert_in_order(
        f"CANNOT REPLAY  {artifact}/../../b.json",
        f"STILL FAILS  {artifact}/job 1/.chaoskit/a.json  test_wallet.py::test_wallet",
        "1 still fails, 1 cannot replay",
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["repros.zip"]
    assert not list(tmp_path.parent.glob("b.json"))
    assert not (shop.root / "RAN").exists()


def test_repros_below_a_directory_are_found(shop: Project, tmp_path: Path) -> None:
    """An artifact that was unpacked has them in a folder for each job."""
    good = next((shop.root / ".chaoskit").glob("*.json")).read_text()
    for job in ("one", "two"):
        place = tmp_path / "jobs" / job / "a.json"
        place.parent.mkdir(parents=True)
        place.write_text(good)
    ran = shop.chaoskit("replay", str(tmp_path / "jobs"))
    assert ran.code == 1, ran.text
    ran.assert_in_order("jobs/one/a.json", "jobs/two/a.json", "2 still fails")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cut.zip", "cannot be unpacked: File is not a zip file"),
        ("empty.zip", "no repro file (*.json) in this zip file"),
        ("gone.zip", "no such file"),
    ],
)
def test_a_zip_file_without_repros_is_one_clear_line(shop: Project, tmp_path: Path, name: str, says: str) -> None:
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4 and no more")
    archive(tmp_path / "empty.zip", {"readme.txt": "nothing"})
    ran = shop.chaoskit("replay", str(tmp_path / name))
    assert ran.code == 2, ran.text
    assert says in ran.text
    ran.assert_quiet_about_us()


def test_a_file_in_a_zip_file_that_is_too_large_is_not_unpacked(
    shop: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chaoskit.repro.bounds.LARGEST_FILE", 10)
    artifact = archive(tmp_path / "large.zip", {"a.json": "[" + "0," * 10 + "0]"})
    result = CliRunner().invoke(main, ["replay", str(artifact)])
    assert result.exit_code == 2
    assert "a.json is too large for a repro file" in result.output
