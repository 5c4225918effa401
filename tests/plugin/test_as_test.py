"""`chaoskit replay --as-test`: the plain test fails with the buggy handler, passes with the right one, and searches
nothing."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import attrs
import pytest
from click.testing import CliRunner, Result

from chaoskit.cli import main
from plugin.projects import BUGGY, FIXED, HEAD, Project

BROKERS = [
    "Kafka()", "Kafka(partitions=3, commit_every=2)", "SqsFifo()", "SqsStandard()", "RabbitMQ()", "PubSub()",
    "Celery(acks_late=True)", "Debezium()", "JetStream()", "Webhook()",
]  # fmt: skip

ON_BROKERS = "from handlers import handler\n" + "\n".join(
    f"""
@chaos(PAYMENTS, broker={broker}, schedules=300)
def test_{number}(deliver):
    balances = {{}}
    deliver(handler(balances))
    return balances
"""
    for number, broker in enumerate(BROKERS)
)

OF_ALL_KINDS = """
import enum
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import attrs
from handlers import handler

class Kind(enum.Enum):
    CREDIT = "credit"
    DEBIT = "debit"

@attrs.frozen
class Money:
    amount: int
    kind: Kind
    at: datetime

@dataclass(frozen=True)
class Event:  # the name of one of chaoskit's own
    money: Money
    parts: tuple
    rates: frozenset

RICH = events(
    st.builds(
        Event,
        st.builds(Money, st.integers(1, 9), st.sampled_from(Kind), st.just(datetime(2024, 1, 2))),
        st.just((Decimal("9.90"), b"raw", float("inf"), {"a": [1]})),
        st.just(frozenset({1, 2})),
    ),
    keys=st.just("alice"),
)
AUTO = []

@pytest.fixture(autouse=True)
def always_there():
    AUTO.append(1)

@pytest.fixture
def start():
    return {"sum": 0}

@pytest.fixture
def ledger(start, directory):
    return lambda: dict(start)

@pytest.fixture
def marked():
    AUTO.append(2)

@chaos(RICH, faults={Duplicate})
def test_of_values(deliver):
    totals = {}
    def on_money(message):
        handle(attrs.evolve(message, value=message.value.money.amount))
    handle = handler(totals)
    deliver(on_money)
    return totals

@chaos(PAYMENTS, faults={Redeliver})
async def test_waiting(deliver):
    balances = {}
    handle = handler(balances)
    async def wait(message):
        handle(message)
    await deliver(wait)
    return balances

@pytest.mark.needs_database(level=2)
@pytest.mark.usefixtures("marked")
@chaos(PAYMENTS, faults={Redeliver})
def test_with_fixtures(ledger, deliver, scenario):
    assert AUTO[-2:] == [1, 2]
    balances = ledger()
    deliver(handler(balances))
    return balances | {"scenario": scenario}

@pytest.mark.parametrize("begin, name", [(0, "a-b"), pytest.param(3, None, id="three")])
@pytest.mark.parametrize("sizes", [[1], [2, 3]])
@chaos(PAYMENTS, faults={Duplicate})
def test_of_cases(deliver, ledger, sizes, begin, name):
    balances = ledger() | {"size": sizes, "begin": begin, "name": name}
    deliver(handler(balances))
    return balances

class TestGrouped:
    class TestDeeper:
        @chaos(PAYMENTS, faults={Duplicate})
        def test_method(self, deliver, ledger):
            balances = ledger()
            deliver(handler(balances))
            return balances

class Base:
    limit = 3

class TestWithBase(Base, object):
    @chaos(PAYMENTS, broker=SqsStandard(), faults={Overtake, Duplicate})
    def test_twice(self, deliver):
        balances = {}
        deliver(handler(balances))
        return balances
"""

CONFTEST = """
import pytest

@pytest.fixture
def directory(tmp_path):
    return tmp_path

@pytest.fixture
def scenario():
    return "a fixture with the name of a variable"
"""

UNTIL_ITS_TURN = """
from handlers import handler

@chaos(PAYMENTS, faults={Overtake}, broker=SqsStandard())
def test_waits(deliver):
    last, sums = {}, {}
    add = handler(sums)
    def handle(message):
        add(message)  # before it knows whether it will refuse
        if message.seq > last.get(message.key, 0) + 1:
            raise RuntimeError("not yet")
        last[message.key] = message.seq
    deliver(handle)
    return sums
"""


def written(project: Project, *, root: Path | None = None) -> list[Path]:
    """A test for each repro file, beside the test that it calls."""
    found = []
    for number, repro in enumerate(project.repros):
        beside = project.root / json.loads(repro.read_text())["test"].partition("::")[0]
        output = beside.with_name(f"test_written_{number}.py")
        shown = as_test(project, str(repro), "-o", str(output))
        assert shown.exit_code == 0, shown.output
        found.append(output)
    return found


def as_test(project: Project, *arguments: str) -> Result:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.root)
        return CliRunner().invoke(main, ["replay", "--as-test", *arguments])


def assert_fails_then_passes(project: Project, files: list[Path], handlers: str = "handlers.py") -> None:
    """Alone with the buggy handler; then all, with the right one, together with the chaos tests."""
    names = [str(file.relative_to(project.root)) for file in files]
    options = ("-p", "no:randomly", "--durations=0", "--durations-min=0.5")
    failed = project.pytest(*names, *options)
    assert (failed.code, f"{len(files)} failed" in failed.out) == (1, True), failed.text
    assert failed.out.count("does not survive") >= len(files), failed.text
    assert "unknown" not in failed.out
    assert not re.search(r"[\d.]+s call ", failed.out), f"a search?\n{failed.out}"
    project.write(handlers, FIXED)
    passed = project.pytest()
    assert (passed.code, f"{2 * len(files)} passed" in passed.out) == (0, True), passed.text


def assert_formatted(project: Project, files: list[Path]) -> None:
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    assert ruff is not None
    for command in (["format", "--diff"], ["check"]):
        done = subprocess.run(
            [ruff, *command, "--isolated", "--no-cache", *map(str, files)],
            cwd=project.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_on_every_kind_of_broker(tmp_path: Path) -> None:
    """It fails with the buggy handler and passes with the right one, and a formatter has nothing to say."""
    project = Project.at(tmp_path / "shop", handlers=BUGGY, test_brokers=HEAD + ON_BROKERS)
    assert project.pytest("--chaos-seed=1").code == 1
    assert len(project.repros) == len(BROKERS)
    files = written(project)
    assert_formatted(project, files)
    assert_fails_then_passes(project, files)


@pytest.fixture(scope="module")
def kinds(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, list[Path]]:
    """A project with tests of all kinds, each with its repro and its plain test."""
    project = Project.at(tmp_path_factory.mktemp("kinds") / "shop", handlers=BUGGY)
    project.write(
        "test_kinds.py", HEAD.replace("*", "chaos, Duplicate, Overtake, Redeliver, SqsStandard") + OF_ALL_KINDS
    )
    project.write("test_refuses.py", HEAD + UNTIL_ITS_TURN)
    project.write("conftest.py", CONFTEST)
    ran = project.pytest("--chaos-seed=1")
    assert len(project.repros) == 10, ran.text
    return project, written(project)


def test_of_every_kind_of_test(kinds: tuple[Project, list[Path]], tmp_path: Path) -> None:
    """Async, with fixtures of the module and of conftest.py, methods, values of the test's own classes, refusals."""
    project, files = kinds
    assert any('"raised": true' in repro.read_text() for repro in project.repros)
    assert_formatted(project, files)
    copied = project.copy(tmp_path / "shop")
    assert_fails_then_passes(copied, [copied.root / file.name for file in files])


def test_each_test_is_collected_once(kinds: tuple[Project, list[Path]]) -> None:
    """The plain tests import the module of the chaos tests, which stay one each."""
    project, files = kinds
    collected = project.pytest("--collect-only", "-q")
    names = [line for line in collected.out.splitlines() if "::" in line]
    assert len(names) == len(set(names)) == 2 * len(files), collected.out
    assert sum("test_written_" in name for name in names) == len(files)


def test_what_it_reads_like(kinds: tuple[Project, list[Path]]) -> None:
    """The headline, what happened, the fixtures, the scenario: values as their own source says them."""
    _, files = kinds
    texts = {}
    for text in (file.read_text() for file in files):
        named = re.search(r"def (\w+)_survives_", text)
        assert named, text
        texts[named[1]] = text
    values = texts["test_of_values"]
    assert values.startswith('"""test_of_values does not survive Duplicate, which Kafka can do: the final state')
    assert "def test_of_values_survives_a_duplicate():" in values
    assert "import chaoskit\n" not in values
    assert "chaos_tests.Event(" in values
    assert "kind=chaos_tests.Kind.CREDIT" in values
    assert 'datetime.fromisoformat("2024-01-02T00:00:00")' in values
    assert '        Kafka(),\n        [Duplicate("e' in values
    method = texts["test_method"]
    assert "    test = partial(chaos_tests.TestGrouped.TestDeeper().test_method, ledger=ledger)\n" in method
    assert "    verdict = run(test, scenario)\n" in method
    assert "ledger = chaos_tests.ledger\n" in method
    assert "start = chaos_tests.start\n" in method
    given = "sizes=[2, 3], begin=3, name=None, ledger=ledger"
    assert any(given in " ".join(file.read_text().split()) for file in files)
    fixtures = texts["test_with_fixtures"]
    assert (
        '@pytest.mark.needs_database(level=2)\n@pytest.mark.usefixtures("marked")\ndef test_with_fixtures_survives_'
        in fixtures
    )
    assert "the_scenario = Scenario(" in fixtures


def test_the_same_file_gives_the_same_test(kinds: tuple[Project, list[Path]]) -> None:
    """On standard output, and nothing else is there."""
    project, files = kinds
    for repro, file in zip(project.repros, files, strict=True):
        ran = project.chaoskit("replay", "--as-test", f".chaoskit/{repro.name}")
        assert (ran.code, ran.err) == (0, "")
        assert ran.out == file.read_text()


@attrs.frozen
class Layout:
    """Where the tests and the handler stand, and what pytest is told."""

    ini: str
    tests: str
    handlers: str
    package: bool = False
    says: str = "import {} as chaos_tests"


LAYOUTS = {
    "flat": Layout("", "tests", "tests/handlers.py", says="import test_wallet as chaos_tests"),
    "package": Layout(
        "", "tests/unit", "handlers.py", package=True,
        says="import tests.unit.test_wallet as chaos_tests",
    ),
    "src": Layout("pythonpath = src", "tests", "src/handlers.py", says="import test_wallet as chaos_tests"),
    "importlib": Layout(
        "pythonpath = src\naddopts = --import-mode=importlib", "tests", "src/handlers.py",
        says='    "chaos_tests", Path(__file__).with_name("test_wallet.py")\n)',
    ),
    "importlib, on the path": Layout(
        "pythonpath = src tests\naddopts = --import-mode importlib", "tests", "src/handlers.py",
        says="import test_wallet as chaos_tests",
    ),
    "importlib, from the root": Layout(
        "pythonpath = . src\naddopts = -p no:faker --import-mode=importlib", "tests", "src/handlers.py",
        says="import tests.test_wallet as chaos_tests",
    ),
}  # fmt: skip

OF_A_CLASS = """
import attrs
from handlers import handler

@attrs.frozen
class Money:
    amount: int = attrs.field()
    double: int = attrs.field(init=False, default=0)

@pytest.fixture
def balances():
    return dict

@chaos(events(st.builds(Money, st.integers(1, 9)), keys=st.just("alice")), faults={Duplicate})
def test_wallet(deliver, balances):
    found = balances()
    handle = handler(found)
    deliver(lambda message: handle(attrs.evolve(message, value=message.value.amount)))
    return found
"""


@pytest.mark.parametrize("name", LAYOUTS)
def test_in_every_layout(name: str, tmp_path: Path) -> None:
    """The module of the chaos test is imported as pytest imports it; a class of it that no call makes is decoded."""
    layout = LAYOUTS[name]
    project = Project.at(tmp_path / "shop")
    project.write("pytest.ini", f"[pytest]\n{layout.ini}\n")
    project.write(layout.handlers, BUGGY)
    project.write(f"{layout.tests}/test_wallet.py", HEAD + OF_A_CLASS)
    if layout.package:
        for place in ("tests/__init__.py", f"{layout.tests}/__init__.py"):
            project.write(place, "")
    assert project.pytest("--chaos-seed=1").code == 1
    files = written(project)
    text = files[0].read_text()
    assert layout.says in text
    assert "decode(" in text
    assert_formatted(project, files)
    assert_fails_then_passes(project, files, layout.handlers)


REFUSED = {
    "parametrised": (
        "@pytest.mark.parametrize('size', SIZES)\n@chaos(PAYMENTS)\ndef test_it(deliver, size):\n",
        "test_it is parametrised, and what the case [1] stands for does not show in its decorators",
    ),
    "fixture": (
        "@pytest.fixture\ndef n(): 0\n@pytest.mark.parametrize('n', [1])\n@chaos(PAYMENTS)\ndef test_it(deliver, n):\n",
        "n is a fixture, too, which the case [1] takes the place of",
    ),
    "setup": (
        "class TestIt:\n  def setup_method(self): pass\n  @chaos(PAYMENTS)\n  def test_it(self, deliver):\n",
        "TestIt has setup_method, which only pytest calls",
    ),
    "own fixture": (
        "class TestIt:\n  @pytest.fixture\n  def db(s): pass\n  @chaos(PAYMENTS)\n  def test_it(self, deliver, db):\n",
        "db is a fixture of TestIt itself: move it out of the class",
    ),
    "base": (
        "class TestIt(Kafka):\n  @chaos(PAYMENTS)\n  def test_it(self, deliver):\n",
        "TestIt extends Kafka, which is not in test_it.py",
    ),
    "module setup": (
        "def setup_module(): pass\n@chaos(PAYMENTS)\ndef test_it(deliver):\n",
        "test_it.py has setup_module, which only pytest calls",
    ),
    "async fixture": (
        "@pytest.fixture\nasync def loop(): pass\n@chaos(PAYMENTS)\ndef test_it(deliver, loop):\n",
        "its fixture loop is async",
    ),
    "gone": ("def test_other(deliver):\n", "test_it.py has no `def test_it`; did you mean 'test_other'?"),
    "not a def": ("test_it = 5\ndef other():\n", "test_it.py has no `def test_it`"),
}
"""A test, and why no plain one can call it. None of these is run."""

REPRO: dict[str, Any] = {
    "format": 1, "test": "test_it.py::test_it", "broker": {"kind": "Kafka"},
    "events": [{"id": "e1", "key": "alice", "seq": 1, "value": 1}],
    "faults": [{"fault": "Duplicate", "at": "e1"}],
    "schedule": [
        {"action": "deliver", "consumer": 0, "event": "e1", "partition": 3, "offset": 0},
        {"action": "deliver", "consumer": 0, "event": "e1", "partition": 3, "offset": 0, "fault": 0},
    ],
    "expected": 1, "observed": 2, "violations": [{"invariant": "final_state", "message": "differs"}], "versions": {},
}  # fmt: skip


def project_with(root: Path, source: str, **changes: Any) -> Project:
    project = Project.at(root, test_it=f"raise SystemExit('never run')\n{source}    pass\n")
    project.write(".chaoskit/it.json", json.dumps(REPRO | changes))
    return project


@pytest.mark.parametrize("name", REFUSED)
def test_a_test_that_only_pytest_can_call_is_one_clear_line(name: str, tmp_path: Path) -> None:
    """With what to do instead, exit code 2, and nothing on standard output."""
    source, says = REFUSED[name]
    ids = dict.fromkeys(["parametrised", "fixture"], "test_it.py::test_it[1]")
    node = ids.get(name, "test_it.py::TestIt::test_it" if "class TestIt" in source else "test_it.py::test_it")
    shown = as_test(project_with(tmp_path, source, test=node), ".chaoskit/it.json")
    assert (shown.exit_code, shown.stdout) == (2, ""), shown.output
    assert says in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


CHANGED = {
    "another step": ({"schedule": REPRO["schedule"][:1]}, "do not make the steps of its schedule"),
    "another offset": (
        {"schedule": [REPRO["schedule"][0], REPRO["schedule"][1] | {"offset": 1}]}, "was edited by hand, or made by"
    ),
    "one step more": (
        {"schedule": [*REPRO["schedule"], REPRO["schedule"][-1]]}, "do not make the steps of its schedule"
    ),
    "twice as many": ({"schedule": REPRO["schedule"] * 2}, "do not make the steps of its schedule"),
    "no fault": ({"faults": [], "schedule": REPRO["schedule"][:1]}, "its faults change nothing"),
    "impossible": ({"faults": [{"fault": "BatchSwap", "at": "e1"}]}, "cannot make BatchSwap"),
    "serializer": ({"broker": {"kind": "Kafka", "key_serializer": "to_bytes"}}, "has a key_serializer"),
    "only a text": (
        {"events": [REPRO["events"][0] | {"value": {"$repr": "<x>"}}]}, "event 'e1': only the text of a value was kept"
    ),
    "no class": (
        {"events": [REPRO["events"][0] | {"value": {"$object": "a b:C", "fields": {}}}]}, "does not name a class"
    ),
    "hang": ({"violations": [{"invariant": "hang", "message": "no end"}]}, "the run does not end, and so would"),
    "not chaoskit's": ({"format": 9}, "format 9 is not known"),
    "outside": ({"test": "../test_it.py::test_it"}, "lies outside"),
    "no test": ({"test": ""}, "it names no test"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGED)
def test_a_file_that_says_something_else_is_one_clear_line(name: str, tmp_path: Path) -> None:
    """Exit code 2, and nothing on standard output."""
    changes, says = CHANGED[name]
    shown = as_test(project_with(tmp_path, "@chaos(PAYMENTS)\ndef test_it(deliver):\n", **changes), ".chaoskit/it.json")
    assert (shown.exit_code, shown.stdout) == (2, ""), shown.output
    assert says in shown.stderr
    assert len(shown.stderr.splitlines()) == 1


def test_what_a_file_says_never_becomes_code(tmp_path: Path) -> None:
    """Ids and messages stand in texts, whatever is in them."""
    evil = '"""\nimport os\n\\'
    events = [REPRO["events"][0] | {"id": evil, "value": {evil: evil}}]
    steps = [step | {"event": evil} for step in REPRO["schedule"]]
    violations = [{"invariant": "final_state", "message": evil}]
    changes: dict[str, Any] = {
        "events": events, "schedule": steps, "faults": [{"fault": "Duplicate", "at": evil}], "violations": violations
    }  # fmt: skip
    project = project_with(tmp_path, "@chaos(PAYMENTS)\ndef test_it(deliver):\n", **changes)
    shown = as_test(project, ".chaoskit/it.json")
    assert shown.exit_code == 0, shown.output
    compile(shown.stdout, "test", "exec")
    assert not re.search(r"^import os", shown.stdout, re.MULTILINE)


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """Nor does the test stand where its import does not work."""
    project = project_with(tmp_path / "shop", "@chaos(PAYMENTS)\ndef test_it(deliver):\n")
    first = as_test(project, ".chaoskit/it.json", "--output", "test_first.py")
    assert (first.exit_code, first.stdout) == (0, "")
    assert "test_first.py is written: `pytest test_first.py` fails until the handler is right" in first.stderr
    before = (project.root / "test_first.py").read_bytes()
    again = as_test(project, ".chaoskit/it.json", "--output", "test_first.py")
    assert again.exit_code == 2
    assert "test_first.py is there already, and is not overwritten; choose another name" in again.stderr
    assert (project.root / "test_first.py").read_bytes() == before
    elsewhere = as_test(project, ".chaoskit/it.json", "-o", "tests/test_first.py")
    assert elsewhere.exit_code == 2
    assert "imports test_it.py and has to stand beside it" in elsewhere.stderr


def test_the_file_may_lie_in_the_zip_file_of_an_artifact(tmp_path: Path) -> None:
    """It is told by its own name."""
    project = project_with(tmp_path / "shop", "@chaos(PAYMENTS)\ndef test_it(deliver):\n")
    with ZipFile(tmp_path / "found.zip", "w") as archive:
        archive.writestr("job/it-0123.json", json.dumps(REPRO))
    shown = as_test(project, str(tmp_path / "found.zip"))
    assert shown.exit_code == 0, shown.output
    assert "Made by `chaoskit replay --as-test` from it-0123.json: this delivery alone" in " ".join(
        shown.stdout.split()
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["--as-test", ".chaoskit"],
            "--as-test makes a test of one repro file, and these are 2: name one of .chaoskit/it.json, .chaoskit/other",
        ),
        (["--as-test", "gone.json"], "gone.json: no such file"),
        (["-o", "x.py", ".chaoskit"], "--output is where --as-test writes its test; give both"),
    ],
)
def test_wrong_usage_says_how(tmp_path: Path, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    project = project_with(tmp_path, "")
    project.write(".chaoskit/other.json", json.dumps(REPRO))
    monkeypatch.chdir(project.root)
    shown = CliRunner().invoke(main, ["replay", *arguments])
    assert shown.exit_code == 2
    assert says in shown.output
