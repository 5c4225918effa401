"""A broker is read from what one would write for it, and nothing of that is run."""

from __future__ import annotations

import pytest

from chaoskit import Kafka, RabbitMQ, SqsStandard, UsageError
from chaoskit.brokers import Settings
from chaoskit.brokers.written import broker_of
from chaoskit.report.broker_facts import as_written
from quality.brokers import DEAD_LETTERS, DEFAULTS, LOSSY, VARIANTS

EVERY = (*DEFAULTS, *VARIANTS, *LOSSY, *DEAD_LETTERS)


@pytest.mark.parametrize("broker", EVERY, ids=as_written)
def test_what_is_written_for_a_broker_is_read_as_it(broker: Settings) -> None:
    assert broker_of(as_written(broker)) == broker


@pytest.mark.parametrize(
    ("text", "broker"),
    [
        ("Kafka", Kafka()),
        (" RabbitMQ ( prefetch = 1 , ) ", RabbitMQ(prefetch=1)),
        ("RabbitMQ(queue_type='classic', message_ttl=None)", RabbitMQ(queue_type="classic")),
        ("SqsStandard()\n", SqsStandard()),
    ],
)
def test_it_may_be_written_in_many_ways(text: str, broker: Settings) -> None:
    assert broker_of(text) == broker


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Kafak", "no broker is called 'Kafak'; did you mean 'Kafka'?"),
        ("kafka", "did you mean 'Kafka'?"),
        ("Kafka(partitons=1)", "Kafka has no setting 'partitons'; did you mean 'partitions'?"),
        ("Kafka(partitions='six')", "a whole number, 1 or more, is needed"),
        ("Kafka(group='shared')", "not known; did you mean 'share'?"),
        ("Kafka(6)", "settings are given by name"),
        ("Kafka(**{'partitions': 1})", "has no setting '**'"),
        ("Kafka(partitions=1", "cannot be read as a broker: write it as in Python"),
        ("Kafka(partitions=1, partitions=2)", "Kafka(partitions=…) is given twice"),
        ("", "cannot be read as a broker"),
        ("chaoskit.Kafka()", "is no broker"),
        ("[Kafka()]", "is no broker"),
        ("Kafka()()", "is no broker"),
        ("Kafka(partitions=__import__('sys').exit())", "nothing is run here"),
        ("Kafka(partitions=open('x'))", "nothing is run here"),
        ("Kafka(key_serializer=lambda key: b'')", "nothing is run here"),
        ("Kafka(topic=[])", "a number, a text, True, False or None is needed"),
        ("Kafka(partitions=" + "9" * 900 + "-" * 90 + "1)", "more than 1,000 characters"),
        ("(" * 900, "cannot be read as a broker"),
        ("-" * 999 + "1", "broker"),
        ("Kafka(partitions=" + "-" * 900 + "1)", "partitions"),
        ("Kafka\0", "cannot be read as a broker"),
    ],
)
def test_what_cannot_be_read_is_told_in_a_line(text: str, says: str) -> None:
    with pytest.raises(UsageError) as error:
        broker_of(text)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert "\0" not in str(error.value)
