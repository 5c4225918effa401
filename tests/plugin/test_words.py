"""What is said through the front door where a test cannot run as it is meant to."""

from __future__ import annotations

from pathlib import Path

from plugin.projects import HEAD, Project

SETTINGS = """
configured = []

def configure():
    if configured:
        raise RuntimeError("Settings already configured.")
    configured.append(True)
"""

SHOP = """
import settings
settings.configure()

@chaos([Event("a", 1)], broker=Kafka(), faults={Duplicate})
def test_counts(deliver):
    seen = []
    deliver(lambda message: seen.append(message.value))
    return len(seen)
"""


def test_two_modules_that_cannot_be_imported_together_are_told_in_pytests_words(tmp_path: Path) -> None:
    """Each configures the framework, as modules do that are meant to run alone: the first is played, and of the second
    it is said what went wrong, not how many errors there were."""
    project = Project.at(tmp_path, settings=SETTINGS, test_one=HEAD + SHOP, test_two=HEAD + SHOP)
    assert project.pytest("test_one.py", "--chaos-seed=1").code == 1
    assert project.pytest("test_two.py", "--chaos-seed=1").code == 1
    ran = project.chaoskit("replay", ".chaoskit")
    assert ran.code == 2, ran.text
    assert ran.out.startswith("STILL FAILS  .chaoskit/test-one")
    assert "test_two.py::test_counts: test_two.py: RuntimeError: Settings already configured.\n" in ran.out
    assert "deselected" not in ran.out


def test_why_pytest_stopped_is_said_in_its_own_words(tmp_path: Path) -> None:
    """A setting that it does not take: the line that says so."""
    project = Project.at(tmp_path, settings=SETTINGS, test_one=HEAD + SHOP)
    assert project.pytest("--chaos-seed=1").code == 1
    ini = tmp_path / "pytest.ini"
    ini.write_text(ini.read_text().replace("no:cacheprovider", "no:cacheprovider --no-such-option"))
    ran = project.chaoskit("replay", ".chaoskit")
    assert ran.code == 2, ran.text
    assert "pytest stopped: " in ran.out
    assert "--no-such-option" in ran.out


SUBSCRIPTIONS = """
@chaos(events(st.sampled_from(["created", "charged"]), keys=st.just("sub-1")), broker=Kafka())
def test_random(deliver):
    rows = {}
    def handle(message):
        if message.value == "created" and message.key in rows:
            raise ValueError("UNIQUE constraint failed: subscriptions.id")
        rows.setdefault(message.key, set()).add(message.id)
    deliver(handle)
    return rows

def charges(amounts):
    return [Event("sub-1", "created"), *(Event("sub-1", amount) for amount in amounts)]

AMOUNTS = st.lists(st.integers(1, 100), min_size=1, max_size=6)

@chaos(AMOUNTS.map(charges), broker=Kafka(), faults={Duplicate, Redeliver}, schedules=100)
def test_dependent(deliver):
    rows, seen = {}, set()
    def handle(message):
        if message.id in seen:
            return
        if message.value == "created":
            assert message.key not in rows
            rows[message.key] = 0
        else:
            rows[message.key] += message.value
        seen.add(message.id)
    deliver(handle)
    return rows
"""


def test_a_stream_that_no_producer_sends_is_answered_with_one_that_it_does(tmp_path: Path) -> None:
    """What raises in order is told with the ways out; and the stream of dependent events that is shown works."""
    project = Project.at(tmp_path, test_subscriptions=HEAD + SUBSCRIPTIONS)
    ran = project.pytest("--chaos-seed=1")
    ran.assert_in_order(
        "ReferenceRefused: the handler raised ValueError on event ",
        "everything came once and in order: UNIQUE constraint failed: subscriptions.id. Leave streams",
        "test_subscriptions.py",
        "events(values, keys, valid=lambda stream: ",
        "st.lists(st.integers(1, 100)).map(",
        'lambda amounts: [Event("sub-1", "created"), *(Event("sub-1", amount) for amount in amounts)]',
        "catch it in the handler",
        "poison=(ValueError,)",
        "`Fail`",
        "1 failed, 1 passed",
    )
    ran.assert_quiet_about_us()
