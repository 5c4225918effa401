"""The repro file: written, read, named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chaoskit import BatchSwap, Duplicate, Event, Kafka, Overtake, Redeliver, Rehash, Scenario, Verdict, Violation
from chaoskit.repro.read import read
from chaoskit.repro.values import decode_broker, encode_broker
from chaoskit.repro.write import file_name, save, slug
from chaoskit.strategies import events, scenarios
from chaoskit.values.errors import ReproError
from chaoskit.values.schedule import Schedule

BROKERS = st.builds(
    Kafka,
    partitions=st.integers(1, 6),
    consumers=st.integers(1, 3),
    idempotent_producer=st.just(False),
    max_in_flight=st.integers(1, 6),
    records_per_batch=st.integers(1, 3),
    retry_order=st.sampled_from(["newest_first", "sequence"]),
    commit_every=st.none() | st.integers(1, 4),
    on_error=st.sampled_from(["retry", "stop", "skip"]),
    topic=st.sampled_from(["events", "Zahlungen ✓"]),
)
STREAMS = events(
    st.integers() | st.text(max_size=3) | st.binary(max_size=3), st.text(max_size=2) | st.none() | st.binary(max_size=2)
)
SCENARIOS = BROKERS.flatmap(lambda broker: scenarios(STREAMS, broker))


def verdict_of(scenario: Scenario, test: str = "tests/test_a.py::test_a") -> Verdict:
    """What a search would say of this scenario."""
    return Verdict(
        "violated",
        violations=(Violation("final_state", "differs"),),
        scenario=scenario,
        schedule=scenario.schedule(),
        label="within",
        expected={"sum": 1},
        observed={"sum": 2},
        test=test,
    )


PLAIN = Scenario([Event("a", 1), Event("b", 2), Event("a", 3)], Kafka(), [Redeliver("e1", 1)])


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("repros")


@given(scenario=SCENARIOS)
@settings(max_examples=60, deadline=None)
def test_every_scenario_comes_back_from_its_file(directory: Path, scenario: Scenario) -> None:
    """Broker, events, faults and every literal step, with the fault that caused it."""
    path = save(verdict_of(scenario), directory)
    repro = read(path)
    path.unlink()
    assert repro.broker == scenario.broker
    assert repro.stream().events == scenario.events
    assert repro.faults == scenario.faults
    assert repro.schedule == scenario.schedule().steps
    assert (repro.expected, repro.observed) == ({"sum": 1}, {"sum": 2})
    model = scenario.broker.model(scenario.stream)
    assert [tuple(step) for step in repro.raw_steps()[0]] == [tuple(step) for step in model.play(scenario.faults)]


def test_the_file_is_json_that_a_person_can_read(tmp_path: Path) -> None:
    """UTF-8, indented, letters as they are, a newline at its end; no other file is left."""
    scenario = Scenario([Event("grün", "✓"), Event("grün", 2)], Kafka(), [Redeliver("e1", 1)])
    path = save(verdict_of(scenario), tmp_path / "new" / "deep")
    text = path.read_bytes().decode()
    assert text.startswith('{\n  "format": 1,\n')
    assert text.endswith("}\n")
    assert "\r" not in text
    assert '"grün"' in text
    assert '"✓"' in text
    assert list(path.parent.iterdir()) == [path]


def test_the_file_has_all_that_the_format_promises(tmp_path: Path) -> None:
    """Whoever reads it without chaoskit finds the same fields in every file."""
    data = json.loads(save(verdict_of(PLAIN), tmp_path).read_text())
    promised = "format test broker events faults schedule expected observed violations versions"
    assert set(promised.split()) <= set(data)
    assert data["broker"]["kind"] == "Kafka"
    assert data["faults"] == [{"at": "e1", "fault": "Redeliver", "after": 1}]
    assert set(data["versions"]) >= {"chaoskit", "python", "hypothesis"}


def renamed(scenario: Scenario, ids: str) -> Scenario:
    """The same delivery found with other ids and other values."""
    new = {event.id: f"{ids}{i}" for i, event in enumerate(scenario.events)}
    made = [Event(e.key, f"other {i}", new[e.id]) for i, e in enumerate(scenario.events)]
    return Scenario(made, scenario.broker, [attrs.evolve(f, at=new[f.at]) for f in scenario.faults])


@given(scenario=SCENARIOS)
@settings(max_examples=40, deadline=None)
def test_the_same_bug_has_one_name_whatever_its_ids_and_values(scenario: Scenario) -> None:
    """Test, broker, faults, keys and positions make the name, and nothing else does."""
    assert file_name(verdict_of(scenario)) == file_name(verdict_of(renamed(scenario, "x")))


@pytest.mark.parametrize(
    "other",
    [
        Scenario(PLAIN.events, Kafka(partitions=7), PLAIN.faults),
        Scenario(PLAIN.events, Kafka(), [Redeliver("e1", 0)]),
        Scenario(PLAIN.events, Kafka(), [Redeliver("e2", 1)]),
        Scenario(PLAIN.events, Kafka(), [Redeliver("e1", 1), Duplicate("e1")]),
        Scenario(PLAIN.events[:2], Kafka(), PLAIN.faults),
        Scenario([Event("a", 1), Event("c", 2), Event("a", 3)], Kafka(), PLAIN.faults),
    ],
    ids=["broker", "argument", "event", "fault", "length", "key"],
)
def test_another_bug_has_another_name(other: Scenario) -> None:
    """The near miss of the claim above."""
    assert file_name(verdict_of(other)) != file_name(verdict_of(PLAIN))


def test_the_order_of_the_faults_is_no_other_bug() -> None:
    """Where faults of different kinds stand in another order the delivery is the same, and so is the name."""
    faults = [Redeliver("e1", 1), Duplicate("e2"), Overtake("e3")]
    names = {file_name(verdict_of(Scenario(PLAIN.events, Kafka(), order))) for order in (faults, faults[::-1])}
    assert len(names) == 1


def test_the_first_file_of_a_failure_is_kept(tmp_path: Path) -> None:
    """A second worker that has found the same with other ids, under another version, changes nothing."""
    first = save(verdict_of(PLAIN), tmp_path)
    before = first.read_bytes()
    again = renamed(PLAIN, "x")
    same_values = Scenario(again.stream.with_values([1, 2, 3]).events, again.broker, again.faults)
    assert save(attrs.evolve(verdict_of(same_values), observed={"sum": 9}), tmp_path) == first
    assert first.read_bytes() == before
    assert list(tmp_path.iterdir()) == [first]


@pytest.mark.parametrize("suffix", [".json", ".as-met.json"])
def test_another_failure_of_the_same_shape_is_another_file(tmp_path: Path, suffix: str) -> None:
    """Other values may be what breaks, and other things may be violated: nothing that was found is dropped, the first
    file stays as it is, and whoever finds the second one again leaves two files."""
    first = save(verdict_of(PLAIN), tmp_path, suffix=suffix)
    before = first.read_bytes()
    others = [
        verdict_of(renamed(PLAIN, "x")),
        attrs.evolve(verdict_of(PLAIN), violations=(Violation("no_error", "raised"),)),
        attrs.evolve(verdict_of(PLAIN), schedule=Schedule(PLAIN.schedule().steps[:-1])),
    ]
    paths = [save(other, tmp_path, suffix=suffix) for other in others]
    assert [save(other, tmp_path, suffix=suffix) for other in others] == paths
    assert sorted(tmp_path.iterdir()) == sorted({first, *paths})
    assert len({first, *paths}) == 4
    shape = first.name.removesuffix(suffix)
    assert all(path.name.startswith(f"{shape}-") and path.name.endswith(suffix) for path in paths)
    assert first.read_bytes() == before
    assert [event.value for event in read(paths[0]).events] == ["other 0", "other 1", "other 2"]


def test_a_file_that_is_no_repro_any_more_does_not_stand_for_a_failure(tmp_path: Path) -> None:
    """Somebody has broken both files that could have had it: a third name is taken."""
    first = save(verdict_of(PLAIN), tmp_path)
    first.write_bytes(b"\xff")
    second = save(verdict_of(PLAIN), tmp_path)
    second.write_text("{}")
    third = save(verdict_of(PLAIN), tmp_path)
    assert len({first, second, third}) == 3
    assert third.name == f"{second.name.removesuffix('.json')}-2.json"
    assert read(third).faults == PLAIN.faults
    assert save(verdict_of(PLAIN), tmp_path) == third


def test_without_hard_links_no_file_is_lost_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some file systems have none: a file is then moved to its name."""

    def link(_: object, __: object) -> None:
        raise OSError("no hard links")

    monkeypatch.setattr("os.link", link)
    paths = {save(verdict_of(PLAIN), tmp_path), save(verdict_of(renamed(PLAIN, "x")), tmp_path)}
    assert set(tmp_path.iterdir()) == paths
    assert len(paths) == 2
    assert all(read(path).faults for path in paths)


@given(st.text(min_size=1, max_size=200))
def test_a_slug_is_a_file_name_of_at_most_60_characters(test: str) -> None:
    """Whatever the node id is made of."""
    made = slug(test)
    assert 1 <= len(made) <= 60
    assert all(sign.isascii() and (sign.isalnum() or sign == "-") for sign in made)


@given(BROKERS)
@settings(max_examples=50)
def test_a_broker_comes_back_from_its_settings(broker: Kafka) -> None:
    """As JSON text, too."""
    assert decode_broker(json.loads(json.dumps(encode_broker(broker)))) == broker


def test_a_verdict_that_is_not_violated_has_nothing_to_save(tmp_path: Path) -> None:
    """The error says what it is."""
    with pytest.raises(ReproError, match="nothing to save: the verdict is held"):
        Verdict("held").save(tmp_path)


# Files that somebody broke.


BROKEN = [
    ({"format": 2}, "format 2 is not known"),
    ({"format": True}, "format True is not known"),
    ({"test": "-p evil"}, "\"test\" is '-p evil', not a pytest node id"),
    ({"test": "--co"}, "not a pytest node id"),
    ({"test": "-evil.py::test"}, "not a pytest node id"),
    ({"test": 3}, "not a pytest node id"),
    ({"test": "a.py::test\n-p evil"}, "not a pytest node id"),
    ({"broker": {"kind": "Kafak"}}, "unknown broker 'Kafak'; did you mean 'Kafka'?"),
    ({"broker": {"kind": "Kafka", "partition": 3}}, "has no setting 'partition'; did you mean 'partitions'?"),
    ({"broker": {"kind": "Kafka", "partitions": "3"}}, "Kafka(partitions='3')"),
    ({"broker": None}, '"broker" must be an object'),
    ({"faults": [{"fault": "Duplicat", "at": "e1"}]}, "unknown fault 'Duplicat'; did you mean 'Duplicate'?"),
    ({"faults": [{"fault": "Duplicate", "at": "e9"}]}, "names the event 'e9', which does not exist"),
    ({"faults": [{"fault": "Duplicate", "at": True}]}, "faults"),
    ({"faults": [{"fault": "Redeliver", "at": "e1", "after": -1}]}, "after=-1"),
    ({"faults": [{"fault": "Redeliver", "at": "e1", "later": 1}]}, "later"),
    ({"faults": {}}, '"faults" must be a list'),
    ({"events": [{"id": "e1", "key": "a", "seq": 2, "value": 1}]}, "seq=2"),
    ({"events": [{"id": "e1", "key": "a", "seq": 1, "value": 1}] * 2}, "e1"),
    ({"events": [{"id": "e1", "key": "a", "value": 1, "evil": 1}]}, "evil"),
    ({"events": 3}, "events"),
    ({"schedule": [{"action": "explode", "consumer": 0}]}, "schedule"),
    ({"schedule": [{"action": "deliver", "consumer": 0}]}, "needs an event, a partition and an offset"),
    ({"schedule": [{"action": "restart", "consumer": -1}]}, "negative"),
    ({"schedule": [{"action": "restart", "consumer": 0, "fault": 7}]}, "fault number 7, which does not exist"),
    ({"violations": ["final_state"]}, '"violations" must be a list of objects'),
]


@pytest.mark.parametrize(("changes", "says"), BROKEN, ids=lambda given: json.dumps(given)[:40])
def test_a_broken_file_is_one_line_that_says_what_is_wrong(tmp_path: Path, changes: dict[str, Any], says: str) -> None:
    """Read and refused, in the file's own terms."""
    path = save(verdict_of(PLAIN), tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(ReproError) as caught:
        read(path)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'{"format": 1, "te', "not JSON, or cut off"),
        (b"", "not JSON, or cut off"),
        (b"[1]", "not a repro file"),
        (b"{}", 'there is no "format"'),
        (b'{"format": 1}', "test, broker, events"),
        (b"\xff\xfe", "not UTF-8 text"),
        (b"[" * 100_000, "not JSON, or cut off"),
    ],
    ids=["cut", "empty", "list", "object", "format only", "bytes", "deep"],
)
def test_what_is_no_repro_file_is_one_line(tmp_path: Path, content: bytes, says: str) -> None:
    """Cut off, empty, something else: never a traceback of the JSON reader's."""
    path = tmp_path / "bad.json"
    path.write_bytes(content)
    with pytest.raises(ReproError, match=says):
        read(path)


def test_the_longest_id_is_read_and_a_longer_one_is_not(tmp_path: Path) -> None:
    """Of an event and of the fault at it."""
    longest, longer = (Scenario([Event("a", 1, id=id_)], Kafka(), [Duplicate(id_)]) for id_ in ("e" * 1000, "e" * 1001))
    assert read(save(verdict_of(longest), tmp_path)).faults == longest.faults
    with pytest.raises(ReproError, match=r"an id of about 1,001 characters; a repro file may have 1,000$"):
        read(save(verdict_of(longer), tmp_path))


def test_a_file_that_a_person_edited_stays_readable(tmp_path: Path) -> None:
    """Unknown fields at the top, such as a comment, do no harm."""
    path = save(verdict_of(PLAIN), tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text()) | {"comment": "seen in production"}))
    assert read(path).faults == PLAIN.faults


def test_every_kind_of_fault_has_its_place_in_the_file(tmp_path: Path) -> None:
    """With all its arguments, the mildest ones too."""
    faults = [BatchSwap("e1", 1, 1), Rehash("e3", 7, 1, 2, 1), Overtake("e2", 3), Duplicate("e1"), Redeliver("e2")]
    scenario = Scenario(PLAIN.events, Kafka(idempotent_producer=False), faults)
    assert read(save(verdict_of(scenario), tmp_path)).faults == tuple(faults)
