"""A Kafka producer: in which order it writes what it retries, as the models run it and as the judge reads it."""

from __future__ import annotations

import attrs

from chaoskit.brokers.impossible import Impossible, Reasons
from chaoskit.models.producer import Home, Producer
from chaoskit.traces.log.producer import exact, resent, window
from chaoskit.traces.log.rules import Writes
from chaoskit.values import faults
from chaoskit.values.errors import UsageError


@attrs.frozen
class KafkaProducer:
    """Its settings: those of `Kafka` that speak of sending."""

    idempotent: bool
    max_in_flight: int
    records_per_batch: int
    newest_first: bool
    application_resends: bool

    def check(self) -> None:
        """Raise UsageError for settings that contradict."""
        # The broker keeps the last 5 batches of a producer, by which it knows the sequence.
        if self.idempotent and self.max_in_flight > 5:
            raise UsageError(
                f"Kafka(idempotent_producer=True, max_in_flight={self.max_in_flight}): an idempotent producer has at "
                "most 5 requests in flight (the client refuses more); set idempotent_producer=False or "
                "max_in_flight=5"
            )

    @property
    def under_way(self) -> int:
        """Batches of a partition that may fail or overtake a retry. The Java client mutes a partition; librdkafka has
        built one more request (`queue.buffering.backpressure.threshold`) than it has sent."""
        ahead = not self.newest_first and not self.idempotent
        return self.max_in_flight + ahead

    def impossible(self) -> Reasons:
        no: Reasons = {}
        if self.idempotent:
            no[faults.BatchSwap] = Impossible(
                "an idempotent producer keeps its batches in order", {"idempotent_producer": False}
            )
        elif self.under_way == 1:
            no[faults.BatchSwap] = Impossible(
                "with one batch in flight nothing overtakes a retry of the Java client",
                {"max_in_flight": 2, "retry_order": "sequence"},
                "{max_in_flight} or more makes it possible, and so does librdkafka ({retry_order})",
            )
        if self.idempotent and not self.application_resends:
            no[faults.Resend] = Impossible(
                "an idempotent producer's retries are not stored twice",
                {"idempotent_producer": False, "application_resends": True},
                "{idempotent_producer} makes it possible, or {application_resends} where the application itself sends "
                "again",
            )
        return no

    def stage(self, home: Home, partitions: int) -> Producer:
        """The producer as the models run it."""
        return Producer(
            home,
            partitions,
            self.records_per_batch,
            self.under_way,
            self.newest_first,
            retries_copy=not self.idempotent,
        )

    def writes(self) -> Writes:
        """The orders in which its records may lie in a partition, for the judge."""
        if self.application_resends:
            return resent(self.records_per_batch)
        if self.idempotent:
            return exact()
        return window(self.under_way, self.records_per_batch, self.newest_first)
