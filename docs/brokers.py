"""Makes the parts of docs/brokers.md and of the README that are about brokers, from the brokers themselves.

A part stands between `<!-- brokers: NAME -->` and `<!-- end -->`. Without --write it only says whether it is true.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from chaoskit.brokers import (
    BROKERS,
    InOrder,
    JetStream,
    Kafka,
    Kinesis,
    LambdaSqs,
    PubSub,
    Pulsar,
    RabbitMQ,
    ServiceBus,
    Settings,
    SnsSqs,
    SqsFifo,
    SqsStandard,
)
from chaoskit.brokers.fields import assignments
from chaoskit.brokers.systems import FAMILIES
from chaoskit.models.queue.model import QueueSettings
from chaoskit.report.broker_facts import Facts, as_written, facts
from chaoskit.values.faults import ALL_KINDS

PAGES = (Path(__file__).parent / "brokers.md", Path(__file__).parent.parent / "README.md")
PART = re.compile(r"<!-- brokers: (\w+) -->\n.*?<!-- end -->\n", re.DOTALL)

EXAMPLES: tuple[tuple[Settings, str], ...] = (
    (Kafka(), "5 6 ⚡ 6r 7"),
    (Kafka(), "|c=5 5 6 ⚡ 6r 7"),
    (Kafka(), "log: 1 3 2"),
    (Kafka(idempotent_producer=False), "log: 1 3 2"),
    (SqsStandard(), "1 |ack 1 2 1r"),
    (SqsFifo(), "[1 2 3] |ack 1 ⚡ |expire 2 [2r 3r 4]"),
    (SqsFifo(), "1! 2 1r"),
    (SqsFifo(), "|put 1 1 |t=299s |put 1' 1'"),
    (RabbitMQ(), "A:1- B:2 B:3 A:1"),
    (PubSub(ordering=True), "1! 2 3 1r 2r 3r 4"),
    (InOrder(), "1 2 3 2r"),
)


def with_facts(text: str) -> str:
    """The page with the facts of today."""

    def part(match: re.Match[str]) -> str:
        lines = "\n".join(PARTS[match[1]]())
        return f"<!-- brokers: {match[1]} -->\n{lines}\n<!-- end -->\n"

    return PART.sub(part, text)


def kinds() -> Iterator[str]:
    """What each kind of fault is: the first sentence of its docstring."""
    yield from head(["fault", "is"])
    for kind in ALL_KINDS:
        text = " ".join((kind.__doc__ or "").split())
        yield row([code(kind.__name__), f"{text.partition('. ')[0].rstrip('.')}."])


def families() -> Iterator[str]:
    """The brokers by what they are."""
    yield from head(["", ""])
    for family in dict.fromkeys(FAMILIES.values()):
        yield row([family, ", ".join(code(kind.__name__) for kind, its in FAMILIES.items() if its == family)])


def table() -> Iterator[str]:
    """Which kind of fault each broker can make."""
    yield from head(["", *(kind.__name__ for kind in ALL_KINDS)])
    for broker in BROKERS.values():
        known = facts(broker)
        cells = {possible.kind: "✔" for possible in known.possible}
        cells |= {kind: ", ".join(map(code, why.allowed_by)) or "✘" for kind, why in known.impossible.items()}
        yield row([f"[{known.name}](#{known.name.lower()})", *(cells[kind] for kind in ALL_KINDS)])


def examples() -> Iterator[str]:
    """What some brokers say to some traces."""
    yield from head(["broker", "trace", "answer"])
    for broker, trace in EXAMPLES:
        yield row([code(as_written(broker)), code(trace), str(broker.permits(trace))])


IN_ORDER = {"message": "nothing", "group": "a group", "queue": "the queue"}


def stages() -> Iterator[str]:
    """How each queue is run with its default settings."""
    yield from head(
        ["", "consumers", "kept in order", "handed out", "comes back", "to", "window", "handler raises", "at the limit"]
    )
    for name, broker in BROKERS.items():
        how = broker().stages()
        if not isinstance(how, QueueSettings):
            continue
        policy = how.leasing
        yield row(
            [
                f"[{name}](#{name.lower()})",
                str(policy.consumers),
                IN_ORDER[policy.lock],
                "in order" if policy.in_order else "in any order",
                policy.brings,
                "anew" if policy.renewed else policy.returns,
                "" if policy.window > 1_000_000 else f"{policy.window:,}",
                policy.refused,
                policy.gives_up,
            ]
        )


SERIALIZATION: tuple[Settings, ...] = (
    Kafka(group="share"),
    Kafka(group="parallel"),
    Kinesis(consumer="lambda", parallelization_factor=4),
    Pulsar(subscription_type="Failover", partitions=6),
    Pulsar(subscription_type="Shared"),
    Pulsar(subscription_type="Key_Shared"),
    SqsFifo(send_batch=10),
    SnsSqs(fifo=True),
    LambdaSqs(fifo=True),
    PubSub(ordering=True),
    RabbitMQ(queues=6, single_active_consumer=True),
    JetStream(partitions=6, max_ack_pending=1),
    ServiceBus(sessions=True),
)
"""Settings under which a broker has another serialization point than by default."""


def serialization() -> Iterator[str]:
    """What each broker handles one message at a time."""
    yield from head(["", "one at a time", "so that", "order per key", "total order"])
    of_a_kind = (broker for kind in BROKERS.values() for broker in (kind(), *_variants(kind)))
    for broker in of_a_kind:
        at = broker.serialization
        per_key = "✔" if at.keeps_keys else ", ".join(map(code, assignments(at.allowed_by))) or at.instead
        total = "✘" if at.why_not_total else "one consumer" if at.unit == "queue" else f"one {at.name}"
        why = ". ".join(filter(None, (at.fact, at.quota)))
        yield row([code(as_written(broker)), at.lane, why, f"with {at.takes}" if at.takes else per_key, total])


def _variants(kind: type[Settings]) -> list[Settings]:
    return [broker for broker in SERIALIZATION if type(broker) is kind]


def sections() -> Iterator[str]:
    """All about each broker."""
    yield ""
    for broker in BROKERS.values():
        yield from section(facts(broker))


def section(known: Facts) -> Iterator[str]:
    yield from (f"### {known.name}", "", " ".join(filter(None, (known.summary, known.about))), "")
    yield from (f"- {guarantee}" for guarantee in known.guarantees)
    yield ""
    if known.possible:
        yield from head(["by default", "handled", "what happened", "what rules it out"])
        for possible in known.possible:
            order = " ".join(map(str, possible.order))
            yield row([code(possible.kind.__name__), order, f"{possible.happened}.", f"{possible.ruled_out_by}."])
        yield ""
    if known.impossible:
        yield from head(["not by default", "why"])
        for why, kinds in known.reasons():
            yield row([", ".join(code(kind.__name__) for kind in kinds), f"{why}."])
        yield ""
    yield from head(["setting", "default", "can be", ""])
    for setting in known.settings:
        yield row([code(setting.name), code(setting.default), setting.allowed, setting.text])
    yield from ("", f"Sources: {'; '.join(known.sources)}.", "")


def head(cells: Sequence[str]) -> Iterator[str]:
    yield row(cells)
    yield "|" + "---|" * len(cells)


def row(cells: Iterable[str]) -> str:
    return "|" + "|".join(f" {cell.replace('|', BAR)} " if cell else " " for cell in cells) + "|"


BAR = "\\|"


def code(text: str) -> str:
    return f"`{text}`"


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    "families": families,
    "kinds": kinds,
    "table": table,
    "examples": examples,
    "stages": stages,
    "serialization": serialization,
    "sections": sections,
}


def main() -> int:
    old = [page for page in PAGES if with_facts(page.read_text(encoding="utf-8")) != page.read_text(encoding="utf-8")]
    for page in old:
        if "--write" in sys.argv:
            page.write_text(with_facts(page.read_text(encoding="utf-8")), encoding="utf-8")
        else:
            print(f"{page.name} is not what the brokers say today: make docs")
    return int(bool(old) and "--write" not in sys.argv)


if __name__ == "__main__":
    sys.exit(main())
