"""A job from end to end, on real workers."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from fuzz.jobs import COUNTS_TWICE, FEW, came_to, fuzz, project, row, small, total
from plugin.projects import HEAD, Project, Ran

UNKNOWN = """
@chaos(events(st.integers(1, 9), keys=st.just("alice")), faults={Overtake})
def test_nothing_to_see(deliver):
    state = {}
    deliver(lambda message: state.update({message.key: message.value}))
    return state

@chaos(events(st.integers(1, 9), keys=st.just("alice")), faults={Overtake},
       allow_unknown="one lane")
def test_known_to_be_so(deliver):
    state = {}
    deliver(lambda message: state.update({message.key: message.value}))
    return state
"""

LITERAL = """
def last(state):
    def handle(message):
        if message.seq > state.get(message.key, (0, 0))[0]:
            state[message.key] = message.seq, message.value
    return handle

@chaos([Event("alice", 1), Event("alice", 2)], broker=Kafka(partitions=1), faults={Duplicate})
def test_two_events(deliver):
    state = {}
    deliver(last(state))
    return state
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """One handler that counts twice, one that does not, and a test that is none of ours, on two workers."""
    shop = project(tmp_path_factory.mktemp("job") / "my shop", wrong=COUNTS_TWICE, right="pass")
    shop.write("test_plain.py", "def test_plain():\n    raise SystemExit('plain tests are not run')\n")
    return shop, fuzz(shop, "--time=5s", "--seed=1", "-n2", enough=_shows_all)


def _shows_all(ran: Ran) -> bool:
    """Three kinds have been found to fail, and the rest came to more than a thousand schedules and every kind."""
    if not came_to(wrong="FAILED", right="held")(ran):
        return False
    _, _, schedules, *rest = row(ran, "test_right")
    kinds = all(f"does not survive {kind}" in ran.out for kind in ("Duplicate", "Redeliver", "Zombie"))
    return kinds and int(schedules.replace(",", "")) > 1000 and rest[-3] == rest[-1]


def test_what_is_found_is_printed_as_a_report_and_saved(ran: tuple[Project, Ran]) -> None:
    """The report is the one of a plain run, with the command that plays it again."""
    assert ran[1].code == 1, ran[1].text
    ran[1].assert_in_order("FOUND test_wrong does not survive ", "What differs", "minimal)", "What rules it out")
    assert all(json.loads(file.read_text())["test"] == "test_wrong.py::test_wrong" for file in ran[0].repros)
    assert "Traceback" not in ran[1].text


def test_the_search_goes_on_behind_a_failure(ran: tuple[Project, Ran]) -> None:
    """A duplicate hides nothing: a redelivery and a zombie break the same handler, and are failures of their own."""
    kinds = {fault["fault"] for file in ran[0].repros for fault in json.loads(file.read_text())["faults"]}
    assert {"Duplicate", "Redeliver", "Zombie"} <= kinds
    assert row(ran[1], "test_wrong")[0] == "FAILED"


def test_other_tests_are_searched_all_the_same_and_all_by_several_workers(ran: tuple[Project, Ran]) -> None:
    """The correct handler holds, under every kind of fault; plain tests are left alone."""
    word, _, schedules, *rest = row(ran[1], "test_right")
    assert word == "held"
    assert int(schedules.replace(",", "")) > 1000
    assert rest[-3:] == ["7", "of", "7"]
    assert "test_plain" not in ran[1].text


def test_workers_try_different_schedules(ran: tuple[Project, Ran]) -> None:
    """What two workers try together is next to all distinct: their seeds are not the same."""
    schedules, distinct = total(ran[1])
    assert distinct > 0.9 * schedules > 1000


def test_the_last_line_plays_all_of_it_again(ran: tuple[Project, Ran], tmp_path: Path) -> None:
    """Exactly the printed command says STILL FAILS for each file."""
    last = ran[1].out.rstrip().splitlines()[-1]
    assert last.startswith("To replay: chaoskit replay ")
    shop = ran[0].copy(tmp_path / "my shop")
    replayed = shop.chaoskit(*shlex.split(last.removeprefix("To replay: "))[1:])
    assert replayed.code == 1
    assert replayed.out.count("STILL FAILS") == len(shop.repros) > 2


def test_a_second_job_says_what_is_known_and_does_not_look_for_it(ran: tuple[Project, Ran], tmp_path: Path) -> None:
    """Saved repros are the first thing; no new file comes of them."""
    shop = ran[0].copy(tmp_path / "my shop")
    before = shop.repros
    again = fuzz(shop, "--time=2s", "--seed=1", "-n1", "test_wrong.py")
    assert again.code == 1, again.text
    assert again.out.count("FOUND (a saved repro)") == len(before)
    assert shop.repros == before


def test_a_project_whose_runs_end_at_the_first_failure_is_searched_to_the_end_all_the_same(tmp_path: Path) -> None:
    """-x in pytest's configuration is for runs that somebody waits for. Warnings may be errors there."""
    shop = small(tmp_path / "shop", "Duplicate, Redeliver", wrong=COUNTS_TWICE, right="pass")
    shop.write("pytest.ini", "[pytest]\naddopts = -x -p no:cacheprovider\nfilterwarnings = error\n")
    ran = fuzz(shop, "--seed=1", "-n1")
    assert row(ran, "test_wrong")[0] == "FAILED"
    assert row(ran, "test_right")[0] == "held"
    assert len(shop.repros) > 1, ran.text


def test_no_failure_is_exit_code_0(tmp_path: Path) -> None:
    """And the summary says how much was tried."""
    ran = fuzz(project(tmp_path / "shop", right="pass"), "--time=2s", "-n0")
    assert ran.code == 0, ran.text
    assert ran.out.rstrip().endswith("distinct, no failure")


def test_a_search_without_end_ends_where_nothing_new_is_seen(tmp_path: Path) -> None:
    """Two events and one kind of fault are through in a moment; nobody has to wait for ever."""
    ran = fuzz(Project.at(tmp_path / "shop", test_literal=HEAD + LITERAL), "-n1")
    assert ran.code == 0, ran.text
    assert "no test gets more time" in ran.out
    assert "test_two_events: the search sees nothing new any more" in ran.out


def test_a_handler_that_fails_under_everything_ends_it_too(tmp_path: Path) -> None:
    """Once each kind of fault is known to fail there is nothing left to search."""
    wrong = handler = project(tmp_path / "shop", wrong=COUNTS_TWICE)
    source = (handler.root / "test_wrong.py").read_text().replace("partitions=6)", "partitions=1), faults={Duplicate}")
    wrong.write("test_wrong.py", source)
    ran = fuzz(wrong, "--seed=1", "-n1")
    assert ran.code == 1, ran.text
    assert "every kind of fault fails already" in ran.out


def test_what_has_shown_nothing_is_unknown_and_what_may_be_so_is_skipped(tmp_path: Path) -> None:
    """No false green over a whole night, either."""
    ran = fuzz(Project.at(tmp_path / "shop", test_unknown=HEAD + UNKNOWN), "--time=2s", "-n0")
    assert ran.code == 1, ran.text
    assert row(ran, "test_nothing_to_see")[0] == "UNKNOWN"
    assert "test_nothing_to_see: unknown: no schedule was run" in ran.out
    assert row(ran, "test_known_to_be_so")[0] == "skipped"


def test_on_github_a_job_annotates_the_tests_and_writes_its_summary_and_reports(tmp_path: Path) -> None:
    """Each failure at the line of its test, every test in the summary, a page for each failure."""
    shop = small(tmp_path / "shop", "Duplicate, Redeliver", wrong=COUNTS_TWICE, right="pass")
    summary = tmp_path / "summary.md"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary), "GITHUB_WORKSPACE": str(shop.root)}
    ran = fuzz(shop, "--seed=1", "-n2", "--report=pages", env=github)
    assert ran.code == 1, ran.text
    annotations = [line for line in ran.out.splitlines() if line.startswith("::error ")]
    assert len(annotations) == len(shop.repros) > 0
    assert all("file=test_wrong.py,line=" in line for line in annotations), annotations
    written = summary.read_text()
    assert "✅ held" in written
    assert written.count("❌ violated") == len(shop.repros)
    assert {path.stem for path in (shop.root / "pages").glob("*.html")} == {path.stem for path in shop.repros}


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--time=soon"], "'soon' is no length of time; write it as 30s"),
        (["-n", "-1"], "'-1': a number, or auto, is needed"),
        (["--corpus=/proc/nope"], "/proc/nope: cannot be made: "),
        (["--shard=9/8"], "'9/8': the third of eight jobs is written 3/8"),
        (["--limit=-1"], "is no length of time"),
        (["--no-such-option"], "unrecognized arguments: --no-such-option"),
        (["no_such_file.py"], "no_such_file.py"),
        (["-k", "nothing"], "no chaos test was found here"),
        (["--corpus=ftp://example.org"], "a directory or redis://host:port/0 is needed"),
    ],
)
def test_what_cannot_be_done_is_said_with_exit_code_2(tmp_path: Path, arguments: list[str], shown: str) -> None:
    ran = fuzz(project(tmp_path / "shop", right="pass"), "--time=1s", "-n1", *arguments)
    assert ran.code == 2, ran.text
    assert shown in ran.text
    assert "Traceback" not in ran.text


def test_a_file_that_cannot_be_imported_is_told_and_the_others_are_searched(tmp_path: Path) -> None:
    """It is no reason to try nothing all night, and no reason to call it a success."""
    shop = small(tmp_path / "shop", right="pass")
    shop.write("test_broken.py", "import no_such_module\n")
    ran = fuzz(shop, "-n1")
    assert ran.code == 2, ran.text
    assert "No module named 'no_such_module'" in ran.out
    assert row(ran, "test_right")[0] == "held"


def test_a_test_that_cannot_be_run_is_an_error_and_is_not_run_again(tmp_path: Path) -> None:
    """A fixture that raises, a body without deliver: each is told once."""
    shop = Project.at(
        tmp_path / "shop",
        test_errors=HEAD
        + "@pytest.fixture\ndef db():\n    raise OSError('the database is down')\n\n"
        + "@chaos(PAYMENTS)\ndef test_fixture(deliver, db):\n    deliver(print)\n    return 1\n\n"
        + "@chaos(PAYMENTS)\ndef test_body(deliver):\n    return 1\n",
    )
    ran = fuzz(shop, "--time=1m", "-n1")
    assert ran.code == 1, ran.text
    assert row(ran, "test_fixture")[0] == row(ran, "test_body")[0] == "ERROR"
    assert "the database is down" in ran.out
    assert "without calling deliver" in ran.out


def test_fixtures_are_made_anew_for_each_slice(tmp_path: Path) -> None:
    """A slice of the only test begins like a test: nothing of the slice before is left."""
    shop = Project.at(
        tmp_path / "shop",
        test_fresh=HEAD
        + "@pytest.fixture\ndef store(request):\n    with open('made', 'a') as file:\n        file.write('x')\n"
        + "    yield {}\n    with open('gone', 'a') as file:\n        file.write('x')\n\n"
        + f"@chaos({FEW})\n"
        + "def test_fresh(deliver, store):\n    state = {}\n"
        + "    deliver(lambda m: state.setdefault(m.id, m.value))\n    return state\n",
    )
    ran = fuzz(shop, "-n1")
    assert ran.code == 0, ran.text
    made, gone = ((shop.root / name).read_text() for name in ("made", "gone"))
    assert len(made) == len(gone) > 1


VARIETY = """
class TestShop:
    def setup_method(self):
        self.limit = 1

    @pytest.mark.parametrize("twice", [False, True], ids=["right", "wrong [x]"])
    @chaos(PAYMENTS, broker=SqsFifo())
    def test_method(self, deliver, twice):
        seen, balances = set(), {}
        def handle(message):
            if message.id not in seen or twice:
                balances[message.key] = balances.get(message.key, 0) + message.value * self.limit
            seen.add(message.id)
        deliver(handle)
        return balances

@chaos(PAYMENTS)
async def test_async(deliver):
    seen = {}
    async def handle(message):
        seen[message.id] = message.value
    await deliver(handle)
    return seen

@pytest.mark.skip(reason="not today")
@chaos(PAYMENTS)
def test_marked(deliver): ...

@chaos(PAYMENTS)
def test_no_server(deliver):
    pytest.skip("no server")

@pytest.mark.xfail(strict=True)
@chaos(PAYMENTS)
def test_known(deliver):
    rows = []
    deliver(lambda message: rows.append(message.value))
    return rows
"""


def test_methods_parameters_async_tests_skips_and_xfails_are_what_they_are_in_pytest(tmp_path: Path) -> None:
    """A failure belongs to its parameters; what is skipped or known to fail is neither searched nor held against."""
    shop = Project.at(tmp_path / "shop", test_variety=HEAD + VARIETY)
    seen = came_to(**{r"method\[right\]": "held", "async": "held", r"method\[wrong.*": "FAILED"})
    ran = fuzz(shop, "--time=4s", "--seed=1", "-n1", enough=seen)
    assert ran.code == 1, ran.text
    assert row(ran, r"test_method\[right\]")[0] == row(ran, "test_async")[0] == "held"
    assert row(ran, r"test_method\[wrong")[0] == "FAILED"
    assert [row(ran, name)[0] for name in ("test_marked", "test_no_server", "test_known")] == ["skipped"] * 3
    assert all("method-wrong-x" in path.name for path in shop.repros)
    assert shop.chaoskit("replay", ".chaoskit").out.count("STILL FAILS") == len(shop.repros)
