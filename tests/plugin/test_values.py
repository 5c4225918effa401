"""Values of libraries and a broker of one's own, from the first failure to the repaired handler."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

import chaoskit
from chaoskit import Duplicate, Event, Kafka
from chaoskit.brokers import Settings
from chaoskit.report.saved import saved_verdict
from chaoskit.repro.read import read
from chaoskit.repro.write import file_name_of
from chaoskit.values.errors import ReproError, UsageError
from plugin.projects import HEAD, Project, Ran

EVENTS = """
from collections import namedtuple
from types import SimpleNamespace

import attrs
import msgspec
import pydantic


class Payment(pydantic.BaseModel):
    amount: int
    currency: str = "EUR"

class Struct(msgspec.Struct):
    amount: int

class Row(namedtuple("Row", "amount currency")):
    pass

"""

VALUES = """
from shop_events import Payment, Row, Struct
from types import SimpleNamespace

import handlers

AMOUNTS = st.integers(1, 9)
MADE = {
    "pydantic": st.builds(Payment, amount=AMOUNTS),
    "msgspec": st.builds(Struct, AMOUNTS),
    "namedtuple": st.builds(Row, AMOUNTS, st.just("EUR")),
    "namespace": st.builds(SimpleNamespace, amount=AMOUNTS),
}

def wallet(deliver):
    balances, seen = {}, set()
    deliver(lambda message: handlers.handle(balances, seen, message))
    return balances

"""
VALUES += "".join(
    f"""
@chaos(events(MADE["{kind}"], keys=st.just("a")), faults={{Duplicate}}, schedules=50)
def test_{kind}(deliver):
    return wallet(deliver)
"""
    for kind in ("pydantic", "msgspec", "namedtuple", "namespace")
)

OWN = """
import attrs
import handlers
from datetime import timedelta

class OurKafka(Kafka):
    def __init__(self):
        super().__init__(partitions=3, topic="payments")

@attrs.frozen
class Regional(RabbitMQ):
    region: str = "eu"
    pause: timedelta = timedelta(seconds=1)

def wallet(deliver):
    balances, seen = {}, set()
    deliver(lambda message: handlers.handle(balances, seen, message))
    return balances

@chaos(PAYMENTS, broker=OurKafka(), faults={Duplicate}, schedules=50)
def test_ours(deliver):
    return wallet(deliver)

@chaos(PAYMENTS, broker=Regional(), faults={Redeliver}, schedules=50)
def test_regional(deliver):
    return wallet(deliver)
"""

WRONG = """
def handle(balances, seen, message):
    balances[message.key] = balances.get(message.key, 0) + getattr(message.value, "amount", message.value)
"""
RIGHT = WRONG.replace(
    "    balances", "    if message.id in seen:\n        return\n    seen.add(message.id)\n    balances"
)

NAMES = ["pydantic", "msgspec", "namedtuple", "namespace", "ours", "regional"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """All of them in one project, after its first run."""
    files = {"shop_events": EVENTS, "handlers": WRONG, "test_values": HEAD + VALUES, "test_own": HEAD + OWN}
    project = Project.at(tmp_path_factory.mktemp("shop"), **files)
    return project, project.pytest("--chaos-seed=1")


def repro_of(project: Project, name: str) -> Path:
    (path,) = (path for path in project.repros if f"-test-{name}-" in path.name)
    return path


def answers(ran: Ran) -> dict[str, str]:
    """What has become of each repro, by the name of its test."""
    found = {}
    for line in ran.out.splitlines():
        for became in ("STILL FAILS", "FIXED", "CANNOT REPLAY", "NO LONGER POSSIBLE", "CHANGED"):
            if line.strip().startswith(became):
                found[next(name for name in NAMES if f"-test-{name}-" in line)] = became
    return found


@pytest.mark.parametrize("name", NAMES)
def test_each_is_found_shrunk_and_saved(shop: tuple[Project, Ran], name: str) -> None:
    """One event and one fault, in a file that has the values and the broker as they are."""
    project, ran = shop
    assert ran.code == 1, ran.text
    data = json.loads(repro_of(project, name).read_text())
    assert (len(data["events"]), len(data["faults"])) == (1, 1), ran.text


def test_the_files_name_classes_and_brokers(shop: tuple[Project, Ran]) -> None:
    """By their names and fields, as a person would write them."""
    project, _ = shop
    values = {name: json.loads(repro_of(project, name).read_text())["events"][0]["value"] for name in NAMES[:4]}
    assert values == {
        "pydantic": {"$object": "shop_events:Payment", "fields": {"amount": 1, "currency": "EUR"},
                     "unset": {"currency": True}},
        "msgspec": {"$object": "shop_events:Struct", "fields": {"amount": 1}},
        "namedtuple": {"$object": "shop_events:Row", "items": [1, "EUR"]},
        "namespace": {"$namespace": {"amount": 1}},
    }  # fmt: skip
    ours, regional = (json.loads(repro_of(project, name).read_text())["broker"] for name in ("ours", "regional"))
    assert (ours["kind"], ours["extends"], ours["partitions"]) == ("OurKafka", "Kafka", 3)
    assert (regional["kind"], regional["extends"], regional["region"]) == ("Regional", "RabbitMQ", "eu")


def test_each_is_replayed_and_is_fixed_once_it_is(shop: tuple[Project, Ran], tmp_path: Path) -> None:
    """With the classes that the test itself has imported, and the broker that it names."""
    project = shop[0].copy(tmp_path)
    still = project.chaoskit("replay", ".chaoskit")
    assert answers(still) == dict.fromkeys(NAMES, "STILL FAILS"), still.text
    project.write("handlers.py", RIGHT)
    fixed = project.chaoskit("replay", ".chaoskit")
    assert answers(fixed) == dict.fromkeys(NAMES, "FIXED"), fixed.text
    own = (project.root / "test_own.py").read_text()
    project.write("test_own.py", own.replace("broker=OurKafka()", "broker=Kafka()").replace("pause: t", "rest: t"))
    changed = project.chaoskit("replay", ".chaoskit")
    assert answers(changed) == dict.fromkeys(NAMES, "FIXED") | {"ours": "NO LONGER POSSIBLE"}, changed.text
    assert "the test's broker is Kafka now, not OurKafka" in changed.out


def test_whoever_only_reads_the_file_sees_the_words_of_the_broker_below(shop: tuple[Project, Ran]) -> None:
    """Under the name of their own; nothing is imported for it, and no test is written from it."""
    project, _ = shop
    shown = project.chaoskit("show", str(repro_of(project, "ours")))
    assert shown.code == 0, shown.text
    shown.assert_in_order("partition 0", "1. the consumer sought back", "no Kafka setting", "Replay")
    lines = project.chaoskit("show", "--jsonl", "-", str(repro_of(project, "ours")))
    assert '"kind": "OurKafka", "extends": "Kafka"' in lines.out
    refused = project.chaoskit("replay", "--as-test", str(repro_of(project, "ours")))
    assert refused.code == 2
    assert "its broker OurKafka is a class of your own" in refused.text


HOSTILE: list[Any] = [
    {"kind": "OurKafka", "extends": "os"},
    {"kind": "OurKafka", "extends": ["Kafka"]},
    {"kind": "os.system('true')", "extends": "Kafka"},
    {"kind": "", "extends": "Kafka"},
    {"kind": "a" * 1000, "extends": "Kafka"},
    {"kind": ["OurKafka"], "extends": "Kafka"},
]


@pytest.mark.parametrize("broker", HOSTILE, ids=repr)
def test_a_file_with_a_broker_that_cannot_be_is_refused(shop: tuple[Project, Ran], tmp_path: Path, broker: Any) -> None:
    """In one line, and nothing is looked up for its name."""
    data = json.loads(repro_of(shop[0], "ours").read_text())
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data | {"broker": broker}))
    with pytest.raises(ReproError):
        read(path)


@pytest.mark.parametrize(
    "broker",
    [
        {"partitions": 3, "max_in_flight": 99},
        {"partitions": "many", "more": {"$object": "os:system", "fields": {}}},
    ],
    ids=repr,
)
def test_settings_of_an_own_broker_are_data(shop: tuple[Project, Ran], tmp_path: Path, broker: Any) -> None:
    """They are compared as they stand; where the broker below does not take them its own are shown."""
    data = json.loads(repro_of(shop[0], "ours").read_text())
    path = tmp_path / "x.json"
    path.write_text(json.dumps(data | {"broker": {"kind": "OurKafka", "extends": "Kafka", **broker}}))
    repro = read(path)
    assert type(repro.broker).__name__ == "OurKafka"
    assert saved_verdict(repro).report()
    assert file_name_of(repro) != repro_of(shop[0], "ours").name


def test_the_name_of_the_file_is_the_same_wherever_it_is_read(shop: tuple[Project, Ran]) -> None:
    """A job tells by it what is known already."""
    for name in NAMES:
        path = repro_of(shop[0], name)
        assert file_name_of(read(path)) == path.name


class OurKafka(Kafka):
    pass


def counts_twice(deliver: Any) -> Any:
    sums: dict[Any, int] = {}
    deliver(lambda message: sums.update({message.key: sums.get(message.key, 0) + message.value}))
    return sums


def test_a_plain_function_names_no_broker_of_its_own(tmp_path: Path) -> None:
    """`check` found it; whoever replays the file has the function alone, and is told so."""
    settings = {"faults": {Duplicate}, "schedules": 20, "seed": 1}
    found = chaoskit.check(counts_twice, [Event("a", 1)], OurKafka(), **settings)
    assert found.status == "violated"
    named = attrs.evolve(found, test=f"{Path(__file__).relative_to(Path.cwd())}::counts_twice")
    with pytest.raises(ReproError, match=r"its broker is OurKafka, a class of your own.*@chaos\(…, OurKafka\(\)\)"):
        chaoskit.replay(named.save(tmp_path))


class Stranger(Settings):
    def impossible(self) -> dict[Any, str]:
        return {}


def test_a_broker_that_extends_none_is_refused_before_anything_runs() -> None:
    """A failure of it could be neither told nor saved."""
    with pytest.raises(UsageError, match=r"must extend one of chaoskit's brokers, such as class Stranger\(Kafka\)"):
        chaoskit.check(counts_twice, [Event("a", 1)], Stranger())
