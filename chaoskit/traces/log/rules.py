"""What a log broker can do, as facts: the only thing that the judge of logs knows about a broker."""

from __future__ import annotations

from typing import Literal, TypeAlias

import attrs

Writes: TypeAlias = Literal["exact", "window", "slots", "request", "capture", "outbox"]
"""How records get into a unit of the log.

`exact`: once, in the produced order. `window`: batches in flight on one connection, a failed one goes back to the
queue (Kafka without idempotence). `slots`: sends that are retried one by one, so many outstanding (Event Hubs,
stream publishers). `request`: a request of which any subset is accepted and the rest sent again (PutRecords).
`capture`: a source that restarts at its last flush and sends the suffix again (Debezium). `outbox`: a relay that
publishes batches of rows and marks them afterwards.
"""

Reads: TypeAlias = Literal["cursor", "parallel", "lambda"]
"""`cursor`: one owner per unit, a position, a commit. `parallel`: keys of one unit run side by side, completed
records are not replayed. `lambda`: batches that are invoked again as a whole until they succeed."""

OnError: TypeAlias = Literal["retry", "stop", "skip", "retry_topic"]


@attrs.frozen(kw_only=True)
class LogRules:
    """The facts of one broker under its settings; the defaults are those of a Kafka consumer group.

    The `*_hint` texts name the setting that would allow what is refused; empty where there is none.
    """

    unit_word: str = "partition"
    commit_word: str = "committed offset"

    writes: Writes = "exact"
    max_in_flight: int = 5
    """Batches (`window`), sends (`slots`), records of one request (`request`) or transactions (`outbox`) that are
    under way at once."""
    records_per_batch: int = 1
    newest_first: bool = True
    """What returns from a lost connection is sent again newest first (Java), or else in the produced order."""
    overlapping_failures: bool = False
    """A second batch may fail while the retry of the first is under way. False: one disturbance after another."""
    application_resends: bool = False
    order_hint: str = ""
    copy_hint: str = ""
    cursor_skips: bool = False
    """`outbox` and `capture`: rows below the cursor that became visible late, or a lost slot, are never sent."""
    visibility_order: bool = False
    """`outbox`: rows are published in the order in which they became visible."""
    again_by_id: bool = True
    """`outbox`: a batch that is published again is in the order of ids; else in that in which it was published."""
    relays: int = 1

    reads: Reads = "cursor"
    on_error: OnError = "retry"
    max_attempts: int | None = 10
    """After so many failures the consumer may give a record up; None: never."""
    commit_ahead: bool = False
    ahead_hint: str = ""
    commits_go_back: bool = True
    commit_every: int | None = None
    """The consumer commits after every so many records, so no replay is longer; None: it may commit anywhere."""
    max_poll_records: int = 500
    poll_word: str = "max_poll_records"
    repeats_in_place: bool = True
    """The client may seek back to the record it has just delivered."""
    zombies: bool = True
    redelivers: bool = True
    """What was run comes again as the same record (`r`). False: only as a new one, because a relay sends it again."""
    dead_letters: bool = True
    """A record can be set aside while its successors go on."""
    dead_hint: str = ""
    start_at_latest: bool = False
    """A consumer that finds no commit starts at the end of the log."""
    new_units_at_latest: bool = False
    """A unit that came by growth, and of which nothing is committed, is read from its end."""
    parent_first: bool = False
    units: int | None = None
    grows: Literal["never", "up", "any"] = "up"

    batch_size: int = 100
    bisect: bool = False
    report_item_failures: bool = False
    maximum_retry_attempts: int = -1
    parallel_keys: bool = False
    """Batches of one shard run side by side, each key in order."""
