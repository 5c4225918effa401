"""Which broker brings out which bug, and by which least delivery: every_broker.md, made by running every handler.

`python -m quality.table --write`, from the folder tests, makes it anew; without --write it says what has changed.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from types import ModuleType

from chaoskit import Verdict, check
from chaoskit.brokers import Settings
from chaoskit.report.broker_facts import as_written
from handlers import name
from handlers.buggy import BUGGY, ledger_offset_guard
from quality.brokers import DEFAULTS, VARIANTS, carries_offset

PAGE = Path(__file__).with_name("every_broker.md")
SEED = 1
SCHEDULES = 1000

ABOUT = f"""# Which broker brings out which bug

The handlers of `tests/handlers/buggy`, searched on every broker with its defaults and on the variants that promise
something else: {SCHEDULES:,} schedules, seed {SEED}. Made by `make docs`; `test_broker_table.py` compares.

`2/1 Overtake`: found, and shrunk to two events and one fault. `×`: across keys, so that the broker never fixed the
order. `-`: held. `none`: the broker makes no fault. An empty cell: the handler needs an offset, and there is none.

"""


ODD = {
    "Where payments of one key stay in order": """a high-water mark, an overdraft and the ids that are forgotten hold on
`SqsFifo()`, its SNS and Lambda, `PubSub(ordering=True)` and `JetStream(max_ack_pending=1)`: whatever comes again, the
first times are in order.""",
    '`Outbox(cursor="id")`': """a cursor passes over what commits late, so that the first times are in order; an
overwrite that a swap breaks on `Outbox()` is broken by a second relay.""",
    "`Debezium()`, `Kinesis()` and an offset guard": """what is published again has a new offset, so that one event is
enough.""",
    '`Kafka(group="parallel")` and an offset guard': """it is broken by two keys in one partition that do not wait for
each other. On six partitions growth has to bring them together: hence three faults.""",
    '`Kafka(group="share")`': """a single member is handed its records in order; only what it held when its lock ran out
comes late. With two members all that breaks an order is found.""",
    "`RabbitMQ(single_active_consumer=True)`": """the copy of what the delivery limit dropped comes behind newer
messages (`Lose` and `Resend`); and of two consumers that are taken for dead the second holds a part of what came back,
which goes behind the rest when it comes back again.""",
}
"""What one would not expect at first, and why it is so."""


def notes() -> str:
    reported = "".join(f"- {what}: {' '.join(why.split())}\n" for what, why in ODD.items())
    return f"\n## What is odd\n\n{reported}"


def applies(handler: ModuleType, broker: Settings) -> bool:
    """Whether the handler finds in a message what it needs."""
    return handler is not ledger_offset_guard or carries_offset(broker)


def searched(handler: ModuleType, broker: Settings) -> Verdict:
    return check(handler.test, handler.EVENTS, broker, schedules=SCHEDULES, seed=SEED)


def cell(handler: ModuleType, broker: Settings) -> str:
    if not applies(handler, broker):
        return ""
    if not broker.kinds():
        return "none"
    verdict = searched(handler, broker)
    if verdict.status != "violated":
        return "-" if verdict.status == "held" else "?"
    assert verdict.scenario is not None
    events, faults = verdict.scenario.events, verdict.scenario.faults
    kinds = " ".join(dict.fromkeys(sorted(type(fault).__name__ for fault in faults)))
    across = {"within": "", "across keys": " ×", "not decided": " (not decided)"}[verdict.label or "not decided"]
    return f"{len(events)}/{len(faults)} {kinds}{across}"


def line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def row(broker: Settings) -> str:
    return line([f"`{as_written(broker)}`", *(cell(handler, broker) for handler in BUGGY)])


def head() -> str:
    names = [name(handler) for handler in BUGGY]
    return line(["", *names]) + line(["---"] * (len(names) + 1))


def page() -> str:
    return ABOUT + head() + "".join(row(broker) for broker in (*DEFAULTS, *VARIANTS)) + notes()


def main() -> int:
    before = PAGE.read_text(encoding="utf-8") if PAGE.exists() else ""
    after = page()
    if "--write" in sys.argv:
        PAGE.write_text(after, encoding="utf-8")
        return 0
    sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "pinned", "now", n=0))
    return 0 if before == after else 1


if __name__ == "__main__":
    sys.exit(main())
