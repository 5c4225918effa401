"""Where records of several partitions share one numbering, the numbers of the others are not missing in one; where each
counts for itself, they are."""

from __future__ import annotations

import pytest

from chaoskit.brokers import EventHubs, Kafka, Kinesis, RabbitMQStream, Settings

RESENDS = Kafka(application_resends=True)
LOGS = [Kafka(), RESENDS, Kafka(idempotent_producer=False), Kinesis(), EventHubs(), RabbitMQStream(partitions=2)]
COPIES = [broker for broker in LOGS if broker != Kafka()]
"""An idempotent producer writes none."""


@pytest.mark.parametrize("broker", LOGS, ids=lambda broker: type(broker).__name__)
def test_numbers_that_no_two_partitions_have_are_one_numbering(broker: Settings) -> None:
    """2 is in the other partition, and nothing is missing."""
    assert broker.permits("p0/1 p1/2 p0/3 p1/4 |end")


@pytest.mark.parametrize("broker", LOGS, ids=lambda broker: type(broker).__name__)
def test_a_number_that_two_partitions_have_is_counted_in_each(broker: Settings) -> None:
    """Both have a 3, so that the 2 of the first one was never run."""
    answer = broker.permits("p0/1 p1/2 p0/3 p1/3 |end")
    assert not answer
    assert "2 comes before 3" in str(answer) or "2 must still be run" in str(answer)


@pytest.mark.parametrize("broker", COPIES, ids=lambda broker: type(broker).__name__)
@pytest.mark.parametrize("copy", ["p1/1'", "p0/2'"])
def test_a_copy_in_another_partition_does_not_make_it_two_numberings(broker: Settings, copy: str) -> None:
    """It was sent again after its key had moved."""
    assert broker.permits(f"p0/1 p1/2 p0/3 {copy} |end")


def test_without_an_end_a_hole_is_told_where_it_is_read() -> None:
    """Not only by what is not there at the end."""
    answer = Kafka().permits("p1/2 p1/3 p0/1 p0/3")
    assert not answer
    assert "word 4, `p0/3`" in str(answer)
    assert "2 comes before 3" in str(answer)
