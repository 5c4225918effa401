"""`chaoskit init`: what it shows is what it writes, nothing that is there is changed, and what it writes runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import attrs
import pytest
import yaml
from click.testing import CliRunner

import chaoskit
from chaoskit.cli import main
from plugin.projects import Project, Ran

WORKFLOW = ".github/workflows/chaoskit.yml"

WALLET = '''
class Wallet:
    """Remembers what it has seen, and refuses to overdraw."""

    def __init__(self):
        self.balances, self.seen = {}, set()

    def handle(self, message):
        if message.id in self.seen:
            return
        self.seen.add(message.id)
        balance = self.balances.get(message.key, 0)
        if message.value["kind"] == "credit":
            self.balances[message.key] = balance + message.value["amount"]
        elif message.value["amount"] <= balance:
            self.balances[message.key] = balance - message.value["amount"]
'''

PYPROJECT = """[project]
name = "shop"
version = "1"
requires-python = ">=3.13"
optional-dependencies.test = ["pytest"]

[tool.pytest.ini_options]
pythonpath = ["."]
testpaths = ["checks"]
"""


def repository(root: Path, **files: str) -> Project:
    """A directory with these files, and nothing that a test project has by itself."""
    root.mkdir(parents=True)
    project = Project(root)
    for name, text in files.items():
        project.write(name, text)
    return project


def contents(project: Project) -> dict[str, bytes]:
    ignored = (".pytest_cache", ".hypothesis", "__pycache__", ".chaoskit")
    return {
        path.relative_to(project.root).as_posix(): path.read_bytes()
        for path in sorted(project.root.rglob("*"))
        if path.is_file() and not any(part in ignored for part in path.parts)
    }


def shown(ran: Ran) -> dict[tuple[str, str], str]:
    """The plan as it is printed: by what happens and to which file, the text."""
    plan: dict[tuple[str, str], str] = {}
    for line in ran.out.splitlines():
        if match := re.match(r"(create|append|keep) +(\S+)", line):
            plan[match[1], match[2]] = ""
        elif line.startswith("    |"):
            plan[next(reversed(plan))] += line.removeprefix("    |").removeprefix(" ") + "\n"
    return plan


@attrs.frozen
class Case:
    """A repository, its handler, the test that it gets, and what else is written."""

    files: dict[str, str]
    handler: str
    test: str
    created: tuple[str, ...] = ()
    appended: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


CASES = {
    "empty": Case(
        {"wallet.py": WALLET}, "wallet:Wallet.handle", "tests/test_wallet_chaos.py", ("pytest.ini", ".gitignore")
    ),
    "with pytest": Case(
        {
            "pyproject.toml": PYPROJECT,
            "checks/test_it.py": "def test_it(): pass\n",
            ".gitignore": "__pycache__/\n*.egg-info/",
            WORKFLOW: "name: ours\n",
            "shop/wallet.py": WALLET,
            "shop/__init__.py": "",
        },
        "shop.wallet:Wallet",
        "checks/test_wallet_chaos.py",
        appended=(".gitignore",),
        kept=(WORKFLOW,),
    ),
    "src": Case(
        {"src/shop/wallet.py": WALLET, "src/shop/__init__.py": "", ".gitignore": "/.hypothesis\n"},
        "src/shop/wallet.py:Wallet.handle",
        "tests/test_wallet_chaos.py",
        ("pytest.ini",),
        kept=(".gitignore",),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_what_is_shown_is_what_is_written_and_it_runs(name: str, tmp_path: Path) -> None:
    """The plan, the files and the bytes that were there; the test finds the bug; a second run has nothing to do."""
    case = CASES[name]
    project = repository(tmp_path / "shop", **case.files)
    before = contents(project)
    plan = project.chaoskit("init", case.handler)
    assert plan.code == 0, plan.text
    assert "Nothing was written: there is no terminal to ask in." in plan.out
    assert f"`chaoskit init {case.handler} --yes` writes it" in plan.out
    assert contents(project) == before
    texts = shown(plan)
    created = {case.test, *case.created, *([] if WORKFLOW in case.kept else [WORKFLOW])}
    assert set(texts) == {
        *(("create", path) for path in created),
        *(("append", path) for path in case.appended),
        *(("keep", path) for path in case.kept),
    }

    written = project.chaoskit("init", case.handler, "--yes")
    assert written.code == 0, written.text
    assert f"Written. Next: pytest {case.test} --chaos-self-check" in written.out
    after = contents(project)
    assert set(after) == set(before) | created
    for path, text in before.items():
        assert after[path].startswith(text) if path in case.appended else after[path] == text
    for (kind, path), text in texts.items():
        if kind == "create":
            assert after[path].decode() == text
        elif kind == "append":
            assert after[path].decode() == before[path].decode() + "\n" + text
    assert_formatted(project, case.test)

    ran = project.pytest("--chaos-seed=1", "-p", "no:cacheprovider")
    assert ran.code == 1, ran.text
    assert "test_wallet does not survive " in ran.out
    again = project.chaoskit("init", case.handler, "--yes")
    assert (again.code, "Nothing to do." in again.out) == (0, True), again.text
    assert contents(project) == after


def assert_formatted(project: Project, *files: str) -> None:
    ruff = shutil.which("ruff", path=Path(sys.executable).parent)
    assert ruff is not None
    for command in (["format", "--diff"], ["check"]):
        done = subprocess.run(
            [ruff, *command, "--isolated", "--no-cache", *files],
            cwd=project.root,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


LEDGER = """
class Ledger:
    def __init__(self):
        self.totals = {}
        self.booked = set()

    def handle(self, payment):
        if payment["payment_id"] not in self.booked:
            self.booked.add(payment["payment_id"])
            self.totals[payment["account"]] = self.totals.get(payment["account"], 0) + payment["amount"]
"""


def test_a_right_handler_passes_as_it_is_written(tmp_path: Path) -> None:
    """What the producer says of an event stays the same on every delivery, and what is looked up by is its key."""
    project = repository(tmp_path / "shop", **{"ledger.py": LEDGER})
    assert project.chaoskit("init", "ledger:Ledger", "--yes").code == 0
    text = (project.root / "tests/test_ledger_chaos.py").read_text()
    assert 'event = {**message.value, "payment_id": message.id, "account": message.key}' in text
    ran = project.pytest("--chaos-seed=1")
    assert (ran.code, "held: 1,000 schedules" in ran.out) == (0, True), ran.text


MANY = """
import json
import os
from collections import defaultdict
from dataclasses import dataclass, field

if os.environ.get("READING"):
    raise SystemExit("imported although it was only to be read")

balances = {}
seen = set()
count = 0
rates = {"EUR": 1}
rows = defaultdict(list)

def handle_dict(event):
    balances[event["account"]] = balances.get(event["account"], 0) + event["amount"] * rates["EUR"]

def handle_json(body: bytes):
    event = json.loads(body)
    if event["id"] in seen:
        return
    seen.add(event["id"])
    match event["type"]:
        case "deposit":
            balances[event["account"]] = balances.get(event["account"], 0) + event["amount"]
        case "close" | "reopen":
            balances[event["account"]] = 0
        case other:
            raise ValueError(other)

def handle_count(message):
    global count
    count += message.value
    rows[message.key].append(message.seq)

async def on_message(message):
    payload = json.loads(message.value)
    for line in payload["order"]["lines"]:
        rows[message.key].append(line["quantity"] * 2)

def handle_confluent(msg):
    if msg.error():
        return
    balances[msg.key()] = balances.get(msg.key(), 0) + json.loads(msg.value())["total"]

def handle_sqs(record):
    body = json.loads(record["Body"])
    rows["all"].append(body["name"])

def process_returns(message):
    return {"total": message.value["price"] * message.value["quantity"]}

def handle_db(db, message):
    db.execute("INSERT INTO x VALUES (?)", (message.value["amount"],))

def handle_elsewhere(message):
    print(message)

@dataclass
class Ledger:
    totals: dict = field(default_factory=dict)
    _names: list = field(default_factory=list)

    def on_payment(self, payment):
        self._apply(payment["currency"], payment)

    def _apply(self, currency, payment):
        self.totals[currency] = self.totals.get(currency, 0) + payment["cents"]

class Sums:
    def __init__(self):
        self._sums = {}

    def process(self, payment: "Payment"):
        self._sums[payment.account] = self._sums.get(payment.account, 0) + payment.amount

class Called:
    def __init__(self, db, clock=None):
        self.db = db
        self.cache = {}

    async def __call__(self, message):
        self.cache[message.key] = message.value

class Static:
    @staticmethod
    def handle(message):
        balances[message.key] = balances.get(message.key, 0) + 1
"""

FINDS = {
    "handle_dict": '"account": message.key',
    "handle_json": '{**message.value, "id": message.id, "account": message.key}',
    "handle_count": "many.count = 0\n",
    "on_message": "async def test_many(deliver):",
    "handle_confluent": "value=lambda: json.dumps(message.value).encode(),",
    "handle_sqs": ").map(json.dumps)" ,
    "Ledger.on_payment": "return ledger.totals",
    "Sums.process": "SimpleNamespace(**message.value, account=message.key)",
    "Static": "deliver(many.Static.handle)",
}  # fmt: skip
"""Handlers that count what comes twice, and a line of the test of each."""
MARKED = {
    "handle_db": "TODO: make db here, afresh for every schedule",
    "handle_elsewhere": "TODO: return the final state",
    "Called": "TODO: make db here, afresh for every schedule",
}
"""Handlers of which something cannot be guessed, and how their tests fail."""


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, dict[str, str]]:
    """A repository with handlers of all shapes, and the file of the test of each. Nothing of it was imported."""
    project = repository(tmp_path_factory.mktemp("many") / "shop", **{"shop/many.py": MANY})
    tests = {}
    for handler in (*FINDS, *MARKED, "process_returns"):
        ran = project.chaoskit("init", f"shop.many:{handler}", "--yes", env={"READING": "1"})
        assert ran.code == 0, ran.text
        tests[handler] = ran.out.rpartition("Next: pytest ")[2].split()[0]
    return project, tests


@pytest.fixture(scope="module")
def run(many: tuple[Project, dict[str, str]]) -> Ran:
    """All their tests in one run."""
    return many[0].pytest("--chaos-seed=1", "--chaos-schedules=200", "-rA", env={"COLUMNS": "250"})


def said_of(run: Ran, test: str) -> str:
    """The line of the summary on the test of this file."""
    (line,) = [line for line in run.out.splitlines() if re.match(rf"(PASSED|FAILED|ERROR) {re.escape(test)}", line)]
    return line


@pytest.mark.parametrize("handler", FINDS)
def test_a_handler_that_counts_twice_is_found_as_it_is_written(
    many: tuple[Project, dict[str, str]], run: Ran, handler: str
) -> None:
    """Functions and methods, async, values as text, state in the module: without a change to the test."""
    project, tests = many
    text = (project.root / tests[handler]).read_text()
    assert FINDS[handler] in text
    assert "TODO" not in text
    line = said_of(run, tests[handler])
    assert line.startswith("FAILED")
    assert "does not survive" in line


@pytest.mark.parametrize("handler", MARKED)
def test_what_cannot_be_guessed_is_marked_and_fails_with_what_is_to_do(
    many: tuple[Project, dict[str, str]], run: Ran, handler: str
) -> None:
    """Never a pass that shows nothing."""
    project, tests = many
    text = (project.root / tests[handler]).read_text()
    assert "Fill in what is marked TODO: until then it fails." in " ".join(text.split())
    assert f'pytest.fail("{MARKED[handler]}")' in text
    line = said_of(run, tests[handler])
    assert line.startswith("FAILED")
    assert MARKED[handler] in line


def test_what_a_handler_gives_back_is_compared_until_there_is_more(
    many: tuple[Project, dict[str, str]], run: Ran
) -> None:
    project, tests = many
    assert "TODO: return the state that is left" in (project.root / tests["process_returns"]).read_text()
    assert said_of(run, tests["process_returns"]).startswith("PASSED")


def test_every_written_test_is_one_that_a_formatter_leaves_alone(many: tuple[Project, dict[str, str]]) -> None:
    assert_formatted(many[0], *many[1].values())


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["shop.walet:Wallet"], "no module shop.walet below ., src; did you mean 'shop.wallet'?"),
        (["shop/walet.py:Wallet"], "no file shop/walet.py below ., src; did you mean 'src/shop/wallet.py'?"),
        (["shop.wallet:Wallet.handel"], "has no function 'Wallet.handel'; did you mean 'Wallet.handle'?"),
        (
            ["shop.wallet:Two"],
            "Two of src/shop/wallet.py is a class; name the method that takes a message: Two.one, Two.",
        ),
        (["shop"], "In this repository: shop.wallet:Wallet.handle"),
        (["shop.wallet"], "did you mean shop.wallet:Wallet.handle?"),
        (["shop.wallet.nothing"], "did you mean shop.wallet:nothing?"),
        (["shop.wallet.Wallet.handle"], "did you mean shop.wallet:Wallet.handle?"),
        (["src/shop/wallet.py"], "did you mean src/shop/wallet.py:Wallet.handle?"),
        (["shop.wallet:nothing"], "nothing takes no message"),
        (["shop.broken:x"], "src/shop/broken.py cannot be read as Python"),
        (["shop.wallet:Wallet", "--broker", "Kafak"], "no broker is called 'Kafak'; did you mean 'Kafka'?"),
        (["--yes", "--dry-run"], "give one of them"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_says_where_it_looked_and_what_is_near(
    tmp_path: Path, arguments: list[str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit code 2, and nothing is written."""
    more = "\nclass Two:\n    def one(self, a): pass\n    def two(self, a): pass\n\ndef nothing(): pass\n"
    project = repository(tmp_path / "shop", **{"src/shop/wallet.py": WALLET + more, "src/shop/broken.py": "def"})
    monkeypatch.chdir(project.root)
    reported = CliRunner().invoke(main, ["init", *arguments])
    assert reported.exit_code == 2, reported.output
    assert says in reported.output
    assert list(contents(project)) == ["src/shop/broken.py", "src/shop/wallet.py"]


def test_without_a_handler_those_that_look_like_one_are_listed(tmp_path: Path) -> None:
    """Not those of tests and of what is installed."""
    project = repository(
        tmp_path / "shop",
        **{
            "src/shop/wallet.py": WALLET,
            "src/shop/more.py": "def on_order(event): pass\ndef other(event): pass\ndef handle(): pass\n",
            "tests/test_x.py": "def handle(message): pass\n",
            "env/pyvenv.cfg": "",
            "env/lib.py": "def handle(message): pass\n",
        },
    )
    ran = project.chaoskit("init", "--dry-run")
    assert ran.code == 0
    ran.assert_in_order(
        "name your handler", "chaoskit init shop.more:on_order", "chaoskit init shop.wallet:Wallet.handle"
    )
    assert ran.out.count("  chaoskit init ") == 2
    assert "Nothing was written: --dry-run." in ran.out
    assert not (project.root / WORKFLOW).exists()
    assert [key[1] for key in shown(ran)] == [WORKFLOW, ".gitignore"]


def test_settings_that_are_there_are_not_changed_but_told(tmp_path: Path) -> None:
    """Where pytest's own file has no pythonpath for the handler, the line that it needs is said."""
    project = repository(
        tmp_path / "shop", **{"src/shop/wallet.py": WALLET, "tox.ini": "[pytest]\n", ".gitignore": ".*\r\n"}
    )
    ran = project.chaoskit("init", "shop.wallet:Wallet", "--yes", "--broker", "sqsfifo")
    assert ran.code == 0
    assert "Note: the test imports shop.wallet: tox.ini has to say pythonpath = src\n" in ran.out
    assert "Note: .gitignore has the rule .*, which hides .chaoskit/" in ran.out
    assert (project.root / ".gitignore").read_bytes() == b".*\r\n.hypothesis/\r\n"
    assert "@chaos(EVENTS, broker=SqsFifo())" in (project.root / "tests/test_wallet_chaos.py").read_text()


def test_it_asks_in_a_terminal(tmp_path: Path) -> None:
    """Anything but yes writes nothing."""
    pty = pytest.importorskip("pty", reason="a terminal is needed, which only POSIX systems have")
    project = repository(tmp_path / "shop", **{"wallet.py": WALLET})
    for answer, written in ((b"n\n", False), (b"y\n", True)):
        ours, theirs = pty.openpty()
        os.write(ours, answer)
        done = subprocess.run(
            [sys.executable, "-m", "chaoskit", "init", "wallet:Wallet"],
            cwd=project.root, stdin=theirs, capture_output=True, text=True, check=False,
        )  # fmt: skip
        os.close(theirs)
        os.close(ours)
        assert done.returncode == 0, done.stderr
        assert "Write this? [y/N]" in done.stdout
        assert (project.root / WORKFLOW).exists() is written


def test_it_works_from_below_the_root(tmp_path: Path) -> None:
    """The repository begins where git says."""
    project = repository(tmp_path / "shop", **{".git/HEAD": "", "src/shop/wallet.py": WALLET})
    ran = project.chaoskit("init", "wallet.py:Wallet.handle", "--yes", cwd=project.root / "src/shop")
    assert ran.code == 0, ran.text
    assert (project.root / "tests/test_wallet_chaos.py").is_file()
    assert (project.root / WORKFLOW).is_file()


def test_the_workflow_is_what_github_reads(tmp_path: Path) -> None:
    """A quick run for each change, and a search each night whose findings are kept."""
    project = repository(
        tmp_path / "shop", **{"pyproject.toml": PYPROJECT, "requirements-dev.txt": "pytest\n", "wallet.py": WALLET}
    )
    assert project.chaoskit("init", "--yes").code == 0
    text = (project.root / WORKFLOW).read_text()
    flow = yaml.safe_load(text)
    triggers = flow[True]  # `on` is a truth value in YAML 1.1
    assert set(triggers) == {"push", "pull_request", "schedule", "workflow_dispatch"}
    assert re.fullmatch(r"\d+ \d+ \* \* \*", triggers["schedule"][0]["cron"])
    assert flow["permissions"] == {"contents": "read"}
    assert "concurrency" in flow
    quick, nightly = flow["jobs"]["quick"], flow["jobs"]["nightly"]
    install = [
        'python -m pip install -e ".[test]"',
        "python -m pip install -r requirements-dev.txt",
        f"python -m pip install chaoskit=={chaoskit.__version__}",
    ]
    assert commands(quick) == [*install, "pytest"]
    search = "chaoskit fuzz --time 30m -n auto --shard ${{ matrix.shard }}/2 --corpus .hypothesis/examples"
    assert commands(nightly) == [*install, search]
    assert nightly["strategy"]["matrix"] == {"shard": [1, 2]}
    assert nightly["timeout-minutes"] > 30
    for job in (quick, nightly):
        used = {step["uses"].partition("@")[0]: step for step in job["steps"] if "uses" in step}
        assert used["actions/setup-python"]["with"]["python-version"] == "3.13"
        kept = used["actions/upload-artifact"]
        assert kept["with"]["path"] == ".chaoskit/"
        assert kept["with"]["include-hidden-files"] is True
    assert kept["if"] == "always()"
    assert used["actions/cache/save"]["if"] == "always()"
    assert used["actions/cache/save"]["with"]["key"] == used["actions/cache/restore"]["with"]["key"]
    assert "chaoskit replay chaoskit-1.zip" in text


def commands(job: dict[str, list[dict[str, str]]]) -> list[str]:
    return [step["run"] for step in job["steps"] if "run" in step]


def test_the_help_says_what_it_writes_and_what_it_leaves() -> None:
    reported = CliRunner().invoke(main, ["init", "--help"])
    text = " ".join(reported.output.split())
    for part in ("Set up this repository", "shop.wallet:Wallet.handle", "never imported", "No existing file is"):
        assert part in text
    assert "--yes" in text
