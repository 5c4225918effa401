"""What `chaoskit brokers` and docs/brokers.md say of each broker is complete and true."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
import pytest

from chaoskit.brokers import BROKERS, Celery, Kafka, Kinesis, RabbitMQ, RabbitMQStream, Settings, SnsSqs
from chaoskit.brokers.fields import assignments
from chaoskit.brokers.impossible import Impossible
from chaoskit.report.broker_facts import EXAMPLE, Facts, facts
from chaoskit.values.errors import UsageError
from chaoskit.values.faults import ALL_KINDS, BatchSwap, FaultKind, Lose, Rehash

FACTS: dict[str, Facts] = {name: facts(broker) for name, broker in BROKERS.items()}

OTHER_WORDS = {"InOrder", "Anything"}
"""Brokers of which some kinds are impossible under all settings, and say so in words of their own."""


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest) -> type[Settings]:
    return BROKERS[request.param]


def changed(broker: type[Settings]) -> Iterator[Settings]:
    """The broker with its defaults, and with each setting changed alone, where that is allowed."""
    yield broker()
    for setting in facts(broker).settings:
        words = re.findall(r'"(\w+)"', setting.allowed)
        flags = [True, False] if setting.allowed == "True or False" else []
        numbers = [1, 2, 5] if "int" in setting.allowed else []
        for value in [*words, *flags, *numbers]:
            try:
                yield broker(**{setting.name: value})
            except UsageError:
                continue


def test_each_setting_has_a_text(broker: type[Settings]) -> None:
    """Words about it, as a sentence ends."""
    texts = [setting.text for setting in FACTS[broker.__name__].settings]
    assert all(text.endswith(".") and len(text) > 5 for text in texts), texts


def test_what_a_broker_is_fits_in_a_line(broker: type[Settings]) -> None:
    """One sentence of at most 80 characters, beside the longest name."""
    known = FACTS[broker.__name__]
    assert known.summary.endswith(".")
    assert len(known.summary) <= 82, known.summary
    assert "`" not in known.summary + known.about


@pytest.mark.parametrize(
    ("idle", "sentence"),
    [
        (lambda: Kafka(group="share", on_error="skip"), 'on_error has no effect with group="share"'),
        (lambda: Kafka(max_record_locks=3), 'max_record_locks has no effect with group="consumer"'),
        (lambda: Kafka(group="parallel", commit_every=2), 'commit_every has no effect with group="parallel"'),
        (lambda: Kinesis(consumer="lambda", workers=2), 'workers has no effect with consumer="lambda"'),
        (lambda: Kinesis(batch_size=3), 'batch_size has no effect with consumer="kcl"'),
        (lambda: Celery(reject_on_worker_lost=True), "reject_on_worker_lost has no effect with acks_late=False"),
        (lambda: SnsSqs(max_number_of_messages=3), "max_number_of_messages has no effect with fifo=False"),
    ],
)
def test_a_setting_that_nothing_reads_is_an_error(idle: Callable[[], Settings], sentence: str) -> None:
    """Who sets it expects something of it."""
    with pytest.raises(UsageError, match=re.escape(sentence)):
        idle()


def test_the_default_is_among_what_is_allowed(broker: type[Settings]) -> None:
    """A flag is True or False, a word one of those listed, a number a number."""
    for setting in FACTS[broker.__name__].settings:
        value = ast.literal_eval(setting.default)
        if isinstance(value, bool):
            assert setting.allowed == "True or False"
        elif isinstance(value, str):
            assert setting.allowed == "str" or setting.default in setting.allowed
        else:
            assert ("None" if value is None else "int") in setting.allowed


def test_each_kind_of_fault_is_either_possible_or_not(broker: type[Settings]) -> None:
    """Each kind is told once."""
    known = FACTS[broker.__name__]
    reported = [*(each.kind for each in known.possible), *known.impossible]
    assert sorted(reported, key=ALL_KINDS.index) == list(ALL_KINDS)


def test_each_example_really_happened(broker: type[Settings]) -> None:
    """The handler saw something else than the four events in order, and the sentence says what."""
    for possible in FACTS[broker.__name__].possible:
        assert possible.happened, f"no run of {EXAMPLE.ids} shows {possible.kind.__name__}"
        assert possible.order != EXAMPLE.ids
        assert set(possible.order) <= set(EXAMPLE.ids)


def test_every_broker_has_words_for_what_it_can_do(broker: type[Settings]) -> None:
    """Whatever single setting is changed: what becomes possible is told, and with all its names filled in."""
    for settings in changed(broker):
        for kind in settings.kinds():
            assert settings.ruled_out_by(kind)
        for text in _sentences(settings):
            assert not re.search(r"None|\{|\}|nothing(?! brings it back)", text), f"{settings}: {text}"


def _sentences(settings: Settings) -> Iterator[str]:
    model = settings.model(EXAMPLE)
    for kind, (position, id_) in itertools.product(settings.kinds(), enumerate(EXAMPLE.ids)):
        choices = model.arguments(kind, position)
        for arguments in () if choices is None else itertools.product(*(some[:2] for some in choices)):
            fault = kind(id_, *arguments)
            schedule = model.schedule([fault], list(model.play([fault])), ())
            if schedule.delivered != EXAMPLE.ids:
                yield from (text for _, text in settings.explain(schedule, EXAMPLE.events))


def test_what_is_said_to_make_a_fault_possible_makes_it_possible(broker: type[Settings]) -> None:
    """Each reason names the settings that would allow the fault, or says that none would; and they do."""
    for settings in changed(broker):
        for kind, why in settings.impossible().items():
            assert all(text in str(why) for text in assignments(why.allowed_by)), why
            if not why.allowed_by:
                assert "no setting makes it possible" in str(why) or broker.__name__ in OTHER_WORDS, why
                continue
            assert makes_possible(settings, kind, why.allowed_by), f"{settings} {kind.__name__}: {why}"


def makes_possible(settings: Settings, kind: FaultKind, named: Mapping[str, Any], steps: int = 3) -> bool:
    """All that is named together, or any of it alone; what it says next is followed, too."""
    for some in (named, *({name: value} for name, value in named.items())):
        try:
            after = attrs.evolve(settings, **some)
        except UsageError:
            continue
        why = after.impossible().get(kind)
        if why is None or (steps > 0 and after != settings and makes_possible(after, kind, why.allowed_by, steps - 1)):
            return True
    return False


class OurKafka(Kafka):
    """As somebody writes it who knows that a topic never grows."""

    def impossible(self) -> Any:
        return {**super().impossible(), Rehash: "ours never grows"}


def test_a_class_of_ones_own_may_give_its_reason_as_a_sentence() -> None:
    """What Kafka itself cannot do stays as it is said."""
    assert OurKafka().why_impossible(Rehash) == "ours never grows"
    assert OurKafka().why_impossible(BatchSwap) == Kafka().why_impossible(BatchSwap) is not None


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (Impossible("it waits"), "it waits; no setting makes it possible"),
        (Impossible("it waits", {"limit": 2}), "it waits; limit=2 makes it possible"),
        (
            Impossible("it waits", {"mode": "fast", "limit": 2, "strict": False}),
            'it waits; mode="fast" with limit=2 and strict=False makes it possible',
        ),
        (
            Impossible("it waits", {"limit": 2, "mode": "fast"}, "{mode}, or {limit}, does"),
            'it waits; mode="fast", or limit=2, does',
        ),
    ],
)
def test_a_reason_is_a_sentence_made_of_its_settings(reason: Impossible, sentence: str) -> None:
    assert str(reason) == sentence


def test_reasons_that_are_the_same_are_told_once() -> None:
    """Celery acknowledges before a task runs, which rules out three kinds."""
    shared = [kinds for why, kinds in FACTS["Celery"].reasons() if "before it runs" in why]
    assert [[kind.__name__ for kind in kinds] for kinds in shared] == [["Duplicate", "Redeliver", "Zombie"]]


def test_a_plain_stream_does_not_grow() -> None:
    """One partition is a plain stream; a super stream of two can get a third."""
    plain, two = RabbitMQStream(partitions=1), RabbitMQStream(partitions=2)
    assert "partitions=2" in (plain.why_impossible(Rehash) or "")
    assert Rehash in two.kinds()
    assert not plain.permits("1 2 |grow 2 1")
    assert two.permits("p0/1 |grow 3 p2/2")


def test_librdkafka_with_one_request_in_flight_reorders() -> None:
    """It has built the next request when the first one fails; the Java client mutes the partition."""
    java = Kafka(idempotent_producer=False, max_in_flight=1)
    librdkafka = Kafka(idempotent_producer=False, max_in_flight=1, retry_order="sequence")
    assert "librdkafka" in (java.why_impossible(BatchSwap) or "")
    assert BatchSwap in librdkafka.kinds()
    assert "max.in.flight" not in librdkafka.ruled_out_by(BatchSwap)
    assert "max.in.flight" in Kafka(idempotent_producer=False).ruled_out_by(BatchSwap)
    assert "idempotent_producer=True" in librdkafka.ruled_out_by(BatchSwap)


def test_without_a_delivery_limit_nothing_is_dropped_at_it() -> None:
    """A quorum queue loses a message at its limit; without one, as in a classic queue, it does not."""
    assert Lose in RabbitMQ().kinds()
    assert Lose not in RabbitMQ(delivery_limit=None).kinds()
    with pytest.raises(UsageError, match=r"delivery_limit=0"):
        RabbitMQ(delivery_limit=0)
