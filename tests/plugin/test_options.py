"""The options of pytest, the marks of Hypothesis, and what they do to a chaos test."""

from __future__ import annotations

import json
import re

import pytest

from chaoskit import chaos
from plugin.projects import BUGGY, FIXED, HEAD, PARALLEL, WALLET, Project, Ran

HYPOTHESIS = "from hypothesis import example, seed, settings\n"

HELD = """
from handlers import handler

@chaos(PAYMENTS)
def test_first(deliver):
    balances = {}
    deliver(handler(balances))
    return balances

@settings(max_examples=3)
@chaos(PAYMENTS)
def test_settings_above(deliver):
    balances = {}
    deliver(handler(balances))
    return balances

@chaos(PAYMENTS)
@settings(max_examples=3)
def test_settings_below(deliver):
    balances = {}
    deliver(handler(balances))
    return balances

@settings(deadline=1)
@chaos(PAYMENTS, schedules=300)
def test_other_settings(deliver):
    balances = {}
    deliver(handler(balances))
    return balances

@chaos(PAYMENTS, schedules=450)
def test_asked_for(deliver):
    balances = {}
    deliver(handler(balances))
    return balances
"""

EXAMPLES = """
from handlers import handler

RARE = [Event("carol", 1), Event("carol", 2), Event("carol", 4711)]

def last(balances):
    def handle(message):
        if message.value == 4711 and balances.get("rare"):
            balances["twice"] = True
        balances["rare"] = message.value == 4711
    return handle

@example(RARE)
@chaos(PAYMENTS, schedules=100)
def test_example_above(deliver):
    balances = {}
    deliver(last(balances))
    return balances.get("twice", False)

@chaos(PAYMENTS, schedules=100)
@example(RARE)
def test_example_below(deliver):
    balances = {}
    deliver(last(balances))
    return balances.get("twice", False)

@example(RARE, 2)
@chaos(PAYMENTS, schedules=100)
def test_two_arguments(deliver):
    balances = {}
    deliver(handler(balances))
    return balances

@example([{"key": "carol"}])
@chaos(PAYMENTS, schedules=100)
def test_no_events(deliver):
    balances = {}
    deliver(handler(balances))
    return balances
"""

SEEDED = """
from handlers import handler

@seed(7)
@chaos(PAYMENTS)
def test_wallet(deliver):
    balances = {}
    deliver(handler(balances))
    return balances
"""

PROFILE = """
from hypothesis import settings

settings.register_profile("fast", max_examples=2, deadline=1, database=None)
settings.load_profile("fast")
"""


def line_of(ran: Ran, test: str) -> str:
    """What the summary says of a passing test."""
    found = [output for name, output in ran.said_of().items() if name.endswith(f"::{test}")]
    assert len(found) == 1, ran.text
    return found[0]


def report_of(ran: Ran) -> str:
    """The failure's text, without where and how long it ran."""
    text = ran.out.partition("= FAILURES =")[2].partition("short test summary")[0]
    return re.sub(r"\[gw\d\].*\n", "", text)


@pytest.fixture(scope="module")
def held(mode: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Ran:
    """Tests that hold, under a profile with few examples and a deadline."""
    files = {"handlers": FIXED, "test_held": HYPOTHESIS + HEAD + HELD, "conftest": PROFILE}
    return Project.at(tmp_path_factory.mktemp("held"), **files).pytest("--chaos-seed=1", *mode)


@pytest.mark.parametrize(
    ("test", "says"),
    [
        ("test_first", "1,000 schedules of "),
        ("test_settings_above", "1,000 schedules of 3 streams"),
        ("test_settings_below", "1,000 schedules of 3 streams"),
        ("test_other_settings", "300 schedules of "),
        ("test_asked_for", "450 schedules of "),
    ],
)
def test_settings_give_the_number_of_streams_and_a_profile_does_not(held: Ran, test: str, says: str) -> None:
    """An explicit max_examples counts streams; a profile's max_examples and deadline change nothing."""
    assert held.code == 0, held.text
    assert line_of(held, test).startswith(f"held: {says}"), held.text


def test_that_a_profile_does_not_count_is_said_where_one_looks(wallet: Project) -> None:
    """In the decorator's docstring, with what does, and beside the option."""
    output = " ".join(str(chaos.__doc__).split())
    assert "`max_examples` and `deadline` of a Hypothesis profile change nothing here" in output
    assert "`@settings(max_examples=…)` on the test itself says over how many streams that is spread" in output
    shown = " ".join(wallet.pytest("--help").out.split())
    assert "max_examples of a Hypothesis profile does not" in shown


def test_chaos_schedules_overrides_every_decorator(wallet: Project) -> None:
    """One number for all tests of a run, smaller or larger than what they ask for."""
    wallet.write("handlers.py", FIXED)
    wallet.write("test_wallet.py", HYPOTHESIS + HEAD + HELD)
    ran = wallet.pytest("--chaos-schedules=300", "--chaos-seed=1")
    assert ran.code == 0, ran.text
    assert ran.out.count("held: 300 schedules of ") == 5, ran.text


@pytest.mark.parametrize("given", ["0", "-3", "many"])
def test_a_number_of_schedules_that_is_none_is_a_usage_error(wallet: Project, given: str) -> None:
    """Exit code 4 and one line."""
    ran = wallet.pytest(f"--chaos-schedules={given}")
    assert ran.code == 4, ran.text
    assert "--chaos-schedules" in ran.err
    assert "Traceback" not in ran.text


def test_the_same_seed_gives_the_same_report_in_one_process_and_in_two(wallet: Project) -> None:
    """--chaos-seed fixes the whole text, whoever runs the test and whatever ran before."""
    wallet.write("test_wallet.py", HEAD + WALLET.replace("st.integers(1, 100)", "st.integers()"))
    texts = []
    for mode in ((), (), ("-n", "2")):
        ran = wallet.pytest("--chaos-seed=11", *mode)
        assert ran.code == 1, ran.text
        texts.append(report_of(ran))
        wallet.only_repro().unlink()
    assert "Found with --chaos-seed=11" in texts[0]
    assert texts[0] == texts[1]
    assert texts[0] == texts[2]


def test_a_printed_seed_finds_the_same_failure_again(wallet: Project) -> None:
    """What a run without a seed prints is enough to search in the same way."""
    first = wallet.pytest()
    seed = re.findall(r"Found with (--chaos-seed=\d+)", first.out)
    wallet.only_repro().unlink()
    second = wallet.pytest(*seed)
    assert report_of(second) == report_of(first)


def test_the_seed_of_the_command_line_wins_over_the_decorator(wallet: Project) -> None:
    """--chaos-seed, then @seed, then --hypothesis-seed."""
    wallet.write("test_wallet.py", HYPOTHESIS + HEAD + SEEDED)
    assert "--chaos-seed=7\n" in wallet.pytest("--hypothesis-seed=9").out
    wallet.only_repro().unlink()
    assert "--chaos-seed=5\n" in wallet.pytest("--chaos-seed=5", "--hypothesis-seed=9").out
    wallet.only_repro().unlink()
    wallet.write("test_wallet.py", HEAD + WALLET)
    assert "--chaos-seed=9\n" in wallet.pytest("--hypothesis-seed=9").out


def test_a_ci_run_is_derandomized(wallet: Project) -> None:
    """Where Hypothesis' CI profile is active, two runs without a seed print the same."""
    first = wallet.pytest(env={"CI": "true"})
    assert first.code == 1, first.text
    wallet.only_repro().unlink()
    assert report_of(wallet.pytest(env={"CI": "true"})) == report_of(first)


def test_examples_are_tried_first_and_are_literal_streams(wallet: Project) -> None:
    """@example([Event, …]) above or below @chaos finds what no drawn stream has; anything else is an error."""
    wallet.write("handlers.py", FIXED)
    wallet.write("test_wallet.py", HYPOTHESIS + HEAD + EXAMPLES)
    ran = wallet.pytest("-rA")
    assert "4 failed" in ran.out, ran.text
    for test in ("test_example_above", "test_example_below"):
        part = ran.out.partition(f"_ {test} _")[2].partition("_ test_")[0]
        assert "4711" in part, part
        assert "does not survive" in part
    assert "UsageError: @example takes one literal list of Events" in ran.out
    assert "StreamError: item 1 of the stream is {'key': 'carol'} (dict), not an Event" in ran.out


def test_repros_are_kept_where_they_are_asked_for(wallet: Project) -> None:
    """--chaos-repros DIR is relative to rootdir; the printed command names it and later runs look there."""
    failed = wallet.pytest("--chaos-repros=found/here")
    assert failed.code == 1, failed.text
    assert not wallet.repros
    (path,) = (wallet.root / "found" / "here").iterdir()
    assert f"chaoskit replay found/here/{path.name}\n" in failed.out
    again = wallet.pytest("--chaos-repros=found/here")
    assert "still fails; nothing was searched" in again.out


# --chaos-replay.


@pytest.mark.parametrize(("given", "mode"), [("file", PARALLEL), ("directory", ())])
def test_chaos_replay_plays_files_and_searches_nothing(saved: Project, mode: tuple[str, ...], given: str) -> None:
    """A repro file, or a directory of them, instead of a search; other tests are left out."""
    saved.write("test_other.py", "def test_other(): pass\n")
    path = saved.only_repro() if given == "file" else saved.only_repro().parent
    failed = saved.pytest(f"--chaos-replay={path.relative_to(saved.root)}", *mode)
    assert failed.code == 1, failed.text
    failed.assert_in_order("What differs", "STILL FAILS .chaoskit/")
    assert "test_other" not in failed.out
    saved.write("handlers.py", FIXED)
    passed = saved.pytest(f"--chaos-replay={path.relative_to(saved.root)}", *mode)
    assert passed.code == 0, passed.text
    assert line_of(passed, "test_wallet").startswith("FIXED .chaoskit/"), passed.text
    assert "schedules of" not in passed.out


BAD = {
    "missing.json": None,
    "empty_directory/": None,
    "cut.json": '{"format": 1, "test": "test_wall',
    "other.json": '{"format": 99}',
    "list.json": "[]",
    "evil.json": "evil",
    "outside.json": "outside",
    "nowhere.json": "nowhere",
    "no_chaos.json": "no chaos",
}

TESTS = {
    "evil": "-p evil.py::test",
    "outside": "../evil.py::test_evil",
    "nowhere": "test_gone.py::test_wallet",
    "no chaos": "test_wallet.py::test_plain",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_chaos_replay_is_a_usage_error_of_one_line(saved: Project, name: str) -> None:
    """Exit code 4, the file's name and the reason; no traceback, and nothing is run."""
    content = BAD[name]
    saved.write("test_wallet.py", saved.root.joinpath("test_wallet.py").read_text() + "\ndef test_plain(): pass\n")
    evil = 'open("RAN", "w").close()\ndef test_evil(): pass\n'
    saved.write("../evil.py", evil)
    saved.write("evil.py", evil)
    if name.endswith("/"):
        (saved.root / name).mkdir()
    elif content in TESTS:
        data = json.loads(saved.only_repro().read_text())
        saved.write(name, json.dumps(data | {"test": TESTS[content]}))
    elif content is not None:
        saved.write(name, content)
    ran = saved.pytest(f"--chaos-replay={name}")
    assert ran.code == 4, ran.text
    lines = [line for line in ran.err.splitlines() if line.strip()]
    assert len(lines) == 1, ran.text
    assert lines[0].startswith("ERROR: "), ran.text
    assert "--chaos-replay" in lines[0]
    assert "Traceback" not in ran.text
    assert not list(saved.root.parent.rglob("RAN"))


def test_an_unreadable_saved_repro_does_not_stop_the_search(saved: Project) -> None:
    """A file that somebody broke is named, and the test is searched as ever."""
    saved.only_repro().write_text("{")
    failed = saved.pytest()
    assert failed.code == 1, failed.text
    assert "cannot be read: not JSON, or cut off" in failed.out
    assert "Found with --chaos-seed=" in failed.out


def test_keyboard_interrupt_in_the_body_ends_the_run(wallet: Project) -> None:
    """Control-C is pytest's, with its exit code 2."""
    wallet.write(
        "handlers.py", BUGGY.replace("balances[message.key] =", "raise KeyboardInterrupt\n        balances[0] =")
    )
    ran = wallet.pytest()
    assert ran.code == 2, ran.text
    assert "KeyboardInterrupt" in ran.out
