"""A handler that breaks: what is said, what is saved, and what becomes of it."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from xml.etree import ElementTree

from plugin.projects import BUGGY, CHANGED, FIXED, HEAD, PARALLEL, WALLET, Project, Ran

SWAPS = """
BROKER = Kafka(partitions=1, idempotent_producer=False)

@chaos(events(st.integers(1, 9), keys=st.just("alice")), broker=BROKER, faults={BatchSwap})
def test_last(deliver):
    state = {}
    deliver(lambda message: state.update({message.key: message.value}))
    return state
"""


def test_the_report_says_what_differs_then_the_delivery_why_and_how_to_replay(
    failing: tuple[Project, Ran],
) -> None:
    """The sections stand in the order that the reader needs them."""
    ran = failing[1]
    ran.assert_in_order(
        "test_wallet does not survive ",
        "What differs",
        "in order",
        "observed",
        "state['alice']",
        "The delivery (1 event, 1 fault, minimal)",
        "partition 3",
        "What happened",
        "1. ",
        "again",
        "Within a key or partition",
        "What rules it out",
        "Replay\n  chaoskit replay .chaoskit/",
        "--chaos-seed=",
    )


def test_a_failure_is_pytests_exit_code_1_without_a_traceback_through_chaoskit(
    failing: tuple[Project, Ran],
) -> None:
    """The reader sees the report, not the machinery."""
    assert failing[1].code == 1
    failing[1].assert_quiet_about_us()
    assert "hypothesis" not in failing[1].out.partition("FAILURES")[2].lower()


def test_the_short_summary_names_the_fault(failing: tuple[Project, Ran]) -> None:
    """One line tells what cannot be survived."""
    assert re.search(r"FAILED test_wallet.py::test_wallet - test_wallet does not survive", failing[1].out)


def test_the_failure_is_saved_as_one_file_in_dot_chaoskit(failing: tuple[Project, Ran]) -> None:
    """The file names the test and holds the minimal scenario; nothing else is left there."""
    data = json.loads(failing[0].only_repro().read_text(encoding="utf-8"))
    assert data["format"] == 1
    assert data["test"] == "test_wallet.py::test_wallet"
    assert [event["value"] for event in data["events"]] == [1]
    assert len(data["faults"]) == 1
    assert (data["expected"], data["observed"]) == ({"alice": 1}, {"alice": 2})


def test_the_printed_command_replays_the_failure(failing: tuple[Project, Ran]) -> None:
    """Just what is printed says STILL FAILS, with the report, and exits with 1."""
    replayed = failing[0].chaoskit(*failing[1].replay_command())
    assert replayed.code == 1, replayed.text
    replayed.assert_in_order("STILL FAILS", "test_wallet.py::test_wallet", "What differs", "What rules it out")
    replayed.assert_quiet_about_us()


def test_the_last_line_of_a_failing_log_is_the_command_for_all_its_failures(wallet: Project) -> None:
    """Also over xdist's workers, quietly, and from another directory; a passing run has no such line."""
    wallet.write("test_other.py", HEAD + WALLET.replace("test_wallet", "test_other"))
    for options in ((), ("-q", *PARALLEL)):
        ran = wallet.pytest("--chaos-seed=1", *options)
        assert ran.code == 1, ran.text
        names = [f".chaoskit/{path.name}" for path in wallet.repros]
        assert len(names) == 2
        last = ran.out.splitlines()[-1]
        assert last == f"To replay: chaoskit replay {' '.join(names)}"
    replayed = wallet.chaoskit(*shlex.split(last.removeprefix("To replay: chaoskit ")))
    assert "2 still fails" in replayed.out, replayed.text
    below = wallet.root / "below"
    below.mkdir()
    last = wallet.pytest("--chaos-seed=1", "..", cwd=below).out.splitlines()[-1]
    replayed = wallet.chaoskit(*shlex.split(last.removeprefix("To replay: chaoskit ")), cwd=below)
    assert "2 still fails" in replayed.out, replayed.text
    wallet.write("handlers.py", FIXED)
    assert "To replay" not in wallet.pytest("--chaos-seed=1").out


def test_of_many_failures_the_last_line_names_their_directory(wallet: Project) -> None:
    names = [f"test_wallet_{number}" for number in range(9)]
    source = WALLET.partition("@chaos")
    tests = [("@chaos" + source[2]).replace("test_wallet", name) for name in names]
    wallet.write("test_wallet.py", HEAD + source[0] + "".join(tests))
    ran = wallet.pytest("--chaos-seed=1", "--chaos-schedules=100")
    assert ran.out.splitlines()[-1] == "To replay: chaoskit replay .chaoskit"


def test_after_the_repair_the_printed_command_says_fixed(first: tuple[Project, Ran], saved: Project) -> None:
    """A handler that ignores what it has seen is FIXED, with exit code 0."""
    saved.write("handlers.py", FIXED)
    replayed = saved.chaoskit(*first[1].replay_command())
    assert (replayed.code, replayed.out.split()[0]) == (0, "FIXED"), replayed.text


def test_another_wrong_result_is_changed(saved: Project) -> None:
    """A handler that fails with other numbers is CHANGED, with exit code 1."""
    saved.write("handlers.py", CHANGED)
    replayed = saved.chaoskit("replay", ".chaoskit")
    assert (replayed.code, replayed.out.split()[0]) == (1, "CHANGED"), replayed.text
    assert "it fails differently now" in replayed.out


def test_the_printed_command_runs_from_where_pytest_ran(saved: Project) -> None:
    """A pytest that was started in a subdirectory prints a command for that subdirectory."""
    below = saved.root / "deep down"
    below.mkdir()
    failed = saved.pytest("..", f"--rootdir={saved.root}", cwd=below)
    assert failed.code == 1, failed.text
    replayed = saved.chaoskit(*failed.replay_command(), cwd=below)
    assert (replayed.code, replayed.out.split()[:2]) == (1, ["STILL", "FAILS"]), replayed.text


def test_what_the_broker_cannot_make_any_more_is_no_failure(wallet: Project) -> None:
    """A swap of batches is NO LONGER POSSIBLE once the producer is idempotent, and its file stays."""
    wallet.write("test_wallet.py", HEAD + SWAPS)
    failed = wallet.pytest()
    assert failed.code == 1, failed.text
    assert "BatchSwap" in failed.out
    calmer = SWAPS.replace("idempotent_producer=False", "idempotent_producer=True").replace(", faults={BatchSwap}", "")
    calmer = calmer.replace("message.value}", "message.value} if message.seq > seen(state, message) else {}")
    wallet.write("test_wallet.py", HEAD + _SEEN + calmer)
    replayed = wallet.chaoskit(*failed.replay_command())
    assert replayed.code == 0, replayed.text
    assert replayed.out.startswith("NO LONGER POSSIBLE")
    assert "idempotent_producer=False" in replayed.out
    passed = wallet.pytest("--chaos-schedules=200")
    assert passed.code == 0, passed.text
    assert "is no longer possible (BatchSwap: " in passed.out
    assert len(wallet.repros) == 1


_SEEN = """
def seen(state, message):
    last, state["seq"] = state.get("seq", 0), max(message.seq, state.get("seq", 0))
    return last
"""


def test_a_saved_repro_is_replayed_first_and_nothing_is_searched(saved: Project, mode: tuple[str, ...]) -> None:
    """While it still fails, the handler is run on the one saved stream only."""
    saved.write("handlers.py", BUGGY + COUNTING)
    failed = saved.pytest(*mode)
    assert failed.code == 1, failed.text
    failed.assert_in_order("What differs", "Replay", "still fails; nothing was searched")
    assert len((saved.root / "calls.txt").read_text().splitlines()) < 40
    assert len(saved.repros) == 1


COUNTING = """
plain = handler

def handler(balances):
    def handle(message):
        with open("calls.txt", "a") as calls:
            calls.write("called\\n")
        inner(message)
    inner = plain(balances)
    return handle
"""


def test_a_fixed_repro_is_reported_and_stays(saved: Project) -> None:
    """A later run says that it is fixed, searches all the same, and leaves the file as a regression test."""
    before = saved.only_repro().read_bytes()
    saved.write("handlers.py", FIXED)
    passed = saved.pytest("--chaos-schedules=200")
    assert passed.code == 0, passed.text
    output = passed.said_of()["test_wallet.py::test_wallet"]
    assert re.fullmatch(r"held: 200 schedules of .* is fixed and stays as a regression test.*", output), passed.text
    assert saved.only_repro().read_bytes() == before


def test_two_workers_that_find_the_same_bug_leave_one_file(wallet: Project) -> None:
    """The name of a repro does not depend on who finds it, nor on the values they found it with."""
    failed = wallet.pytest("--dist", "each", "--tx", "2*popen", "--chaos-seed=3")
    assert failed.code == 1, failed.text
    assert "2 failed" in failed.out
    assert len(wallet.repros) == 1


def test_eight_seeds_that_find_the_same_bug_leave_one_file(wallet: Project) -> None:
    """Other ids and other values of the same delivery have the same name; the first file is kept."""
    shape = HEAD + WALLET.replace("partitions=6)", "partitions=1), faults={Duplicate}")
    wallet.write("test_wallet.py", shape)
    wallet.write("all_seeds.py", ALL_SEEDS)
    ran = wallet.run("all_seeds")
    assert ran.code == 0, ran.text
    assert len(wallet.repros) == 1, wallet.repros


KINDS_OF_PAYMENT = (
    HEAD
    + """
SIGNS = {"credit": 1, "debit": -1}

@chaos(events(st.sampled_from(["credit", "debit"]), keys=st.just("alice")), broker=Kafka(partitions=1), schedules=200,
       faults={Duplicate})
def test_kinds(deliver):
    state, seen = {"alice": 0}, set()
    def handle(message):
        if message.id not in seen or message.value in TWICE:
            state["alice"] += SIGNS[message.value]
        seen.add(message.id)
    deliver(handle)
    return state

TWICE = """
)


def test_a_second_bug_of_the_same_shape_is_saved_beside_the_first(tmp_path: Path) -> None:
    """Credits are booked twice; that is found, saved and repaired. Then debits are, which looks the same but for the
    value: it has a file of its own, the printed command plays that one, and both stay as regression tests."""
    bank = Project.at(tmp_path, test_bank=KINDS_OF_PAYMENT + "{'credit'}")
    assert bank.pytest().code == 1
    credit = bank.only_repro()
    bank.write("test_bank.py", KINDS_OF_PAYMENT + "{'debit'}")
    failed = bank.pytest("--chaos-report=reports")
    assert failed.code == 1, failed.text
    assert f"saved repro .chaoskit/{credit.name} is fixed and stays as a regression test" in failed.out
    (debit,) = set(bank.repros) - {credit}
    assert [event["value"] for event in json.loads(debit.read_text())["events"]] == ["debit"]
    assert (bank.root / "reports" / f"{debit.stem}.html").exists()
    replayed = bank.chaoskit(*failed.replay_command())
    assert (replayed.code, replayed.out.count("STILL FAILS")) == (1, 1), replayed.text
    again = bank.pytest()
    assert f"saved repro .chaoskit/{debit.name} still fails" in again.out, again.text
    assert again.replay_command() == failed.replay_command()
    bank.write("test_bank.py", KINDS_OF_PAYMENT + "set()")
    assert bank.pytest().said_of()["test_bank.py::test_kinds"].count("is fixed") == 2
    assert bank.repros == sorted([credit, debit])


def test_a_saved_file_that_still_fails_is_named_itself(saved: Project) -> None:
    """Somebody has given it another name: no copy is made, and the command names it."""
    mine = saved.only_repro().rename(saved.root / ".chaoskit" / "test-wallet-test-wallet-mine.json")
    failed = saved.pytest()
    assert failed.replay_command() == ["replay", ".chaoskit/test-wallet-test-wallet-mine.json"]
    assert saved.repros == [mine]


IN_ORDER = (
    HEAD
    + """
from chaoskit.invariants import always, final_state

def at_most_ten(state):
    return state["alice"] <= MOST

@chaos(events(st.integers(1, 9), keys=st.just("alice")), broker=BROKER, schedules=100,
       invariants=[always(at_most_ten), final_state()])
def test_limit(deliver):
    state, seen = {"alice": 0}, set()
    def handle(message):
        if message.id not in seen:
            seen.add(message.id)
            state["alice"] += message.value
    deliver(handle, state=lambda: dict(state))
    return state

"""
)


def test_what_does_not_hold_in_order_is_reported_saved_replayed_and_fixed(tmp_path: Path) -> None:
    """On a broker without faults and on one with some: the stream is shown, shrunk, and in a file."""
    for broker in ("InOrder()", "Kafka()"):
        head = IN_ORDER.replace("BROKER", broker)
        shop = Project.at(tmp_path / broker, test_shop=head + "MOST = 10")
        failed = shop.pytest("--chaos-seed=1")
        assert failed.code == 1, failed.text
        failed.assert_quiet_about_us()
        failed.assert_in_order(
            "test_limit fails in order already, without any fault: always(at_most_ten) does not hold",
            "The delivery (2 events, 0 faults, minimal)",
            "Every message came once and in order",
            "Replay\n  chaoskit replay .chaoskit/",
        )
        replayed = shop.chaoskit(*failed.replay_command())
        assert (replayed.code, replayed.out.count("STILL FAILS")) == (1, 1), replayed.text
        shop.write("test_shop.py", head + "MOST = 1000")
        assert "is fixed" in shop.pytest().out


def test_a_saved_repro_whose_fault_is_not_asked_for_is_no_longer_possible(saved: Project) -> None:
    """Somebody has narrowed `faults`: the file does not keep the test red, the reason is said, and the file stays."""
    kind = json.loads(saved.only_repro().read_text())["faults"][0]["fault"]
    others = "{Rehash, Overtake}"
    saved.write(
        "test_wallet.py", HEAD + WALLET.replace("partitions=6)", f"partitions=6), faults={others}, schedules=200")
    )
    passed = saved.pytest()
    assert passed.code == 0, passed.text
    assert (
        f"is no longer possible ({kind}: the test does not ask for it now)"
        in passed.said_of()["test_wallet.py::test_wallet"]
    )
    replayed = saved.chaoskit("replay", ".chaoskit")
    assert replayed.code == 0, replayed.text
    assert f"{kind}: the test does not ask for it now" in replayed.out
    assert saved.only_repro().exists()


ALL_SEEDS = """
import attrs
from chaoskit import Kafka, check
from test_wallet import PAYMENTS, test_wallet
from chaoskit.values.faults import Duplicate

for seed in range(8):
    inner = test_wallet.hypothesis.inner_test
    verdict = check(inner, PAYMENTS, Kafka(partitions=1), faults={Duplicate}, seed=seed, schedules=100)
    attrs.evolve(verdict, test="test_wallet.py::test_wallet").save(".chaoskit")
"""


def test_node_ids_with_every_sign_are_saved_and_replayed(wallet: Project) -> None:
    """Classes, brackets, colons, slashes, spaces and letters of other alphabets survive the way through the file."""
    wallet.write("test_wallet.py", HEAD + ODD_NAMES)
    failed = wallet.pytest("--chaos-schedules=50")
    assert failed.code == 1, failed.text
    assert "6 failed" in failed.out, failed.text
    replayed = wallet.chaoskit("replay", ".chaoskit")
    assert replayed.code == 1, replayed.text
    assert replayed.out.count("STILL FAILS  ") == len(wallet.repros) == 6, replayed.text


ODD_NAMES = """
from handlers import handler

class TestAll:
    @pytest.mark.parametrize("name", ["http://shop", "a::b", "with space", "grün/x", "[x]", "-p evil"])
    @chaos(PAYMENTS, faults={Duplicate})
    def test_one(self, deliver, name):
        balances = {}
        deliver(handler(balances))
        return balances
"""


def test_a_value_without_an_encoding_is_saved_as_far_as_it_can_be(wallet: Project) -> None:
    """The failure comes first; the line that teaches its type stands where the command would be. The file says in the
    next run that it cannot be replayed; with that line in the test, the failure is saved whole beside it."""
    wallet.write("test_wallet.py", HEAD + STRANGE)
    failed = wallet.pytest("--chaos-seed=1")
    assert failed.code == 1
    line = 'chaoskit.codec.register(Strange, "strange", vars, lambda held: Strange(**held))'
    output = "no repro file that can be replayed: the value of event "
    saved = "What could be saved without it is in .chaoskit/test-wallet-test-strange-"
    failed.assert_in_order("What differs", "What rules it out", "Replay", output, "has no encoding", f"{line}\n", saved)
    failed.assert_quiet_about_us()
    as_text = wallet.only_repro()
    assert as_text.name.endswith(".as-text.json")
    wallet.chaoskit("show", str(as_text)).assert_in_order("The delivery (1 event", "<test_wallet.Strange object>")
    cannot = wallet.chaoskit("replay", str(as_text))
    assert cannot.code == 2
    cannot.assert_in_order(
        "CANNOT REPLAY", "only the text of a value of event ", " was kept: <test_wallet.Strange object>"
    )

    wallet.write(
        "test_wallet.py", HEAD + f"import chaoskit\n{STRANGE.replace('@chaos', line + chr(10) * 2 + '@chaos')}"
    )
    again = wallet.pytest("--chaos-seed=1")
    again.assert_in_order("Replay", "chaoskit replay .chaoskit/", "cannot be replayed", "delete this file")
    whole = next(path for path in wallet.repros if path != as_text)
    assert wallet.chaoskit("replay", str(whole)).code == 1


STRANGE = """
class Strange:
    def __init__(self, amount):
        self.amount = amount

@chaos(events(st.builds(Strange, st.integers(1, 9)), keys=st.just("alice")), faults={Duplicate}, schedules=50)
def test_strange(deliver):
    state = {"sum": 0, "values": set()}
    def handle(message):
        state["sum"] += message.value.amount
    deliver(handle)
    return state["sum"]
"""


def test_a_directory_that_cannot_be_written_is_reported_with_the_failure(wallet: Project) -> None:
    """A file in the place of the directory: the failure is whole, and the reason stands beside it."""
    wallet.write(".chaoskit", "in the way")
    failed = wallet.pytest()
    assert failed.code == 1
    failed.assert_in_order("What differs", "What rules it out", "Replay", "no repro file: ", "cannot be written")
    failed.assert_quiet_about_us()


def test_projects_that_run_under_xdist_by_default_replay_too(saved: Project) -> None:
    """`-n 2` among a project's own addopts does not keep `chaoskit replay` from answering."""
    ini = saved.root / "pytest.ini"
    ini.write_text(ini.read_text().replace("no:cacheprovider", "no:cacheprovider -n 2"))
    replayed = saved.chaoskit("replay", ".chaoskit")
    assert (replayed.code, replayed.out.split()[:2]) == (1, ["STILL", "FAILS"]), replayed.text


def test_projects_that_make_warnings_errors_run_and_replay(saved: Project) -> None:
    """`filterwarnings = error` in the project's settings meets no warning of ours, in no command."""
    ini = saved.root / "pytest.ini"
    # pytest-asyncio, which the replay loads, warns where nobody has chosen a loop scope.
    ini.write_text(ini.read_text() + "filterwarnings =\n    error\n    ignore:.*asyncio.*loop:pytest.PytestWarning\n")
    failed = saved.pytest()
    assert failed.code == 1, failed.text
    replayed = saved.chaoskit(*failed.replay_command())
    assert (replayed.code, replayed.out.split()[:2]) == (1, ["STILL", "FAILS"]), replayed.text


def test_the_library_replays_what_pytest_saved(saved: Project) -> None:
    """chaoskit.replay() finds the test by itself, and its verdict is the failure."""
    script = "import chaoskit, sys; print(chaoskit.replay(sys.argv[1]).status)"
    saved.write("again.py", script)
    ran = saved.run("again", str(saved.only_repro()))
    assert (ran.code, ran.out.strip()) == (0, "violated"), ran.text


WAITS = """
BROKER = Kinesis({settings})

@chaos(events(st.integers(1, 9), keys=st.just("alice")), broker=BROKER, faults={{BatchSwap}})
def test_turns(deliver):
    taken = []

    def handle(message):
        if message.seq > len(taken) + 1:
            raise LookupError("it is not its turn")
        if message.seq == len(taken) + 1:
            taken.append(message.value)

    deliver(handle)
    return taken
"""


def test_a_lane_that_waits_for_what_it_refuses_is_told_in_few_lines(tmp_path: Path) -> None:
    """Twenty refusals are one row and one sentence; what stands behind them is named, with the fault that put it there.

    Where the record is set aside instead, the same handler is right."""
    project = Project.at(tmp_path / "blocks", test_turns=HEAD + WAITS.format(settings=""))
    ran = project.pytest("--chaos-seed=1")
    assert ran.code == 1
    ran.assert_in_order(
        "The delivery (2 events, 1 fault, minimal)",
        " raised ",
        "2–20",
        "the same, 19 times more",
        "refused to the end",
        "never delivered ← 2",
        "1. the handler raised on ",
        ", 20 times (LookupError: it is not its turn):",
        "2. the record of ",
        " failed in a PutRecords request",
        "3. ",
        " stood behind what was refused, and was never delivered.",
        "records_per_put=1",
    )
    assert ran.out.count("it is not its turn") <= 5
    assert project.chaoskit(*ran.replay_command()).code == 1
    aside = Project.at(tmp_path / "aside", test_turns=HEAD + WAITS.format(settings="dead_letters=True"))
    assert aside.pytest("--chaos-seed=1").code == 0


def test_a_saved_repro_is_no_way_around_the_look_at_the_state(saved: Project) -> None:
    """The bug is repaired, but now the state has a uuid: that is said, and no fault is blamed for it."""
    saved.write(
        "test_wallet.py", HEAD + "import uuid\n" + WALLET.replace("return balances", "return balances, uuid.uuid4()")
    )
    saved.write("handlers.py", FIXED)
    ran = saved.pytest("--chaos-seed=1")
    assert ran.code == 1
    assert "does not survive" not in ran.out
    assert "StaleState: state of an earlier run is still there, or cannot be compared" in ran.out


def test_a_handler_that_raises_in_order_is_shown_where_it_does(wallet: Project) -> None:
    """A slip in the handler is the first thing that many see: the line is named, and none of ours."""
    wallet.write("handlers.py", BUGGY.replace("message.value", "message.vaule"))
    ran = wallet.pytest("--chaos-seed=1")
    assert ran.code == 1
    ran.assert_in_order(
        "ReferenceRefused: the handler raised AttributeError", 'handlers.py", line 4, in handle', "vaule"
    )
    ran.assert_quiet_about_us()


def test_a_saved_file_that_no_test_plays_any_more_is_told(saved: Project) -> None:
    """A regression test that is lost because its test has another name now would be missed by nobody."""
    saved.write("handlers.py", FIXED)
    saved.write("test_wallet.py", HEAD + WALLET.replace("test_wallet", "test_renamed"))
    saved.write(".chaoskit/broken.json", "{")
    ran = saved.pytest("--chaos-seed=1")
    assert ran.code == 0
    assert (
        f".chaoskit/{saved.repros[-1].name} checks nothing: there is no test_wallet.py::test_wallet any more" in ran.out
    )
    assert ".chaoskit/broken.json cannot be read, and checks nothing: not JSON" in ran.out


def test_junit_names_the_repro_file_and_what_a_passing_test_has_shown(wallet: Project) -> None:
    """As properties of the case, for whoever reads the XML."""
    wallet.write("test_right.py", HEAD + FIXED + WALLET.replace("from handlers import handler\n", ""))
    assert wallet.pytest("--chaos-seed=1", "--junitxml=junit.xml").code == 1
    cases = {
        str(case.get("classname")): {p.get("name"): p.get("value") for p in case.iter("property")}
        for case in ElementTree.parse(wallet.root / "junit.xml").iter("testcase")
    }
    assert cases["test_wallet"]["chaoskit-repro"] == f".chaoskit/{wallet.only_repro().name}"
    assert str(cases["test_right"]["chaoskit"]).startswith("held: 1,000 schedules")
