"""What a log broker can do, as facts: the only thing that the judge of logs knows about a broker."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import attrs

from chaoskit.traces.log.layout import Item, PassesOver
from chaoskit.traces.tokens import Trace

if TYPE_CHECKING:
    from chaoskit.traces.log.lane import Lane
    from chaoskit.traces.machine import Machine

OnError: TypeAlias = Literal["retry", "stop", "skip", "retry_topic"]

Unwritable: TypeAlias = tuple[int, str]
"""Index of a write that cannot have been made, and why."""

Check: TypeAlias = Callable[["LogRules", Trace], tuple[int, tuple[str, ...]] | None]
"""Something that holds in a whole trace: the first word against it, and the sentences, or nothing."""


@attrs.frozen(kw_only=True)
class Writes:
    """How records get into a unit of the log; `producer.py` and `relay.py` make them."""

    refuses: Callable[[LogRules, Sequence[Item], dict[int, str]], Unwritable | None] = attrs.field(kw_only=False)
    """The first write that cannot be made; the texts are the payloads at the ranks of the produced order."""
    reorders: bool = False
    """The log need not be in the produced order."""
    overtaken_by: int | None = None
    """So many batches land before one whose attempt failed; None: any number."""
    records_per_batch: int = 1
    copies_change_unit: bool = False
    """What is sent again may go to another unit, as the topic grew since."""
    any_changes_unit: bool = False
    """So may what is sent: of two units that have it, a source does not tell which one was the first."""
    sends_again_after_restart: bool = False
    """Only a restart makes it send a record again."""
    passes_over: PassesOver | None = None
    """Rows that are never sent: those below the cursor that became visible late, or what a lost slot had."""


@attrs.frozen(kw_only=True)
class LogRules:
    """The facts of one broker under its settings; the defaults are those of a Kafka consumer group.

    The `*_hint` texts name the setting that would allow what is refused; empty where there is none.
    """

    unit_word: str = "partition"
    commit_word: str = "committed offset"

    writes: Writes
    order_hint: str = ""
    copy_hint: str = ""

    reads: Callable[[Lane], Machine[Any]]
    """How a unit is read: with a cursor, key beside key, or by invoked batches."""
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
    resets_back: bool = False
    """Somebody may set its position, or lose it so that reading starts where it did at first."""
    reset_hint: str = ""
    new_units_at_latest: bool = False
    """A unit that came by growth, and of which nothing is committed, is read from its end."""
    parallel_keys: bool = False
    """Batches of one unit run side by side, each key in order."""
    units: int | None = None
    grows: Literal["never", "up", "any"] = "up"
    checks: tuple[Check, ...] = ()
    """What holds for this broker alone, across its units."""
