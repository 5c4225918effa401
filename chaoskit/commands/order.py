"""`chaoskit order`: what total order, order per key and no order would cost on a recorded stream."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import click

from chaoskit.brokers.written import broker_of
from chaoskit.commands.console import own_errors, say, write_out
from chaoskit.report.files import why_not, write
from chaoskit.report.ordering import ordering_data, ordering_page, ordering_svg
from chaoskit.throughput.cost import OrderingCost
from chaoskit.throughput.measure import ordering_cost
from chaoskit.throughput.recorded import recorded
from chaoskit.values.errors import UsageError

STANDARD_OUTPUT = Path("-")


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="FILE")
@click.option(
    "--broker",
    default="Kafka",
    metavar="BROKER",
    help="The broker that keeps the order, such as SqsFifo or 'Kafka(partitions=12)'. Default: Kafka.",
)
@click.option("--handler-ms", type=float, required=True, help="How long the handler takes for one message, in ms.")
@click.option("--consumers", type=int, default=32, help="Simulate 1 to this many consumers. Default: 32.")
@click.option(
    "--key",
    default="key",
    metavar="FIELD",
    help="The field that holds the key, with dots for nested fields, such as value.from. Default: key.",
)
@click.option(
    "--arrivals",
    type=float,
    metavar="PER_SECOND",
    help="Messages per second, arriving at random: also simulate how long they wait on average.",
)
@click.option("--svg", metavar="OUT", type=click.Path(path_type=Path), help="Write the plot as a picture.")
@click.option(
    "--page", metavar="OUT", type=click.Path(path_type=Path), help="Write the answer and the plot as an HTML page."
)
@click.option("--json", "json_", metavar="OUT", type=click.Path(path_type=Path), help="Write all of it as JSON.")
def order(
    path: Path,
    broker: str,
    handler_ms: float,
    consumers: int,
    key: str,
    arrivals: float | None,
    svg: Path | None,
    page: Path | None,
    json_: Path | None,
) -> None:
    """Say what total order, order per key and no order cost on a recorded stream.

    FILE is a recording, one object per line (.jsonl) or a list of objects (.json), of which only the keys are read;
    or how many messages each key had, with the columns key and count (.csv). The answer is how much can run at once,
    how hot the hottest key is, the messages a second that 1, 2, 3, ... consumers handle, and where more of them stop
    helping: a simulation with the serialization point of the broker (a partition, a message group, a session).
    With --svg, --page or --json it is written to OUT instead: a file, which is overwritten, or - for standard output.
    """
    with own_errors():
        try:
            found = recorded(path, key)
            cost = ordering_cost(
                found.events,
                broker_of(broker),
                handler_ms=handler_ms,
                consumers=consumers,
                arrivals_per_second=arrivals,
            )
        except UsageError as error:
            raise click.UsageError(str(error)) from error
        if found.note:
            say(found.note, err=(svg, page, json_) != (None, None, None))
        if svg is page is json_ is None:
            say(str(cost))
        _write(cost, {ordering_svg: svg, ordering_page: page, _as_json: json_})


def _write(cost: OrderingCost, outs: Mapping[Callable[[OrderingCost], str], Path | None]) -> None:
    given = [out for out in outs.values() if out is not None]
    if len(set(given)) < len(given):
        raise click.UsageError("the picture, the page and the JSON cannot be one file")
    for text, out in outs.items():
        if out == STANDARD_OUTPUT:
            write_out(text(cost).encode())
        elif out is not None:
            try:
                write(out, text(cost))
            except OSError as error:
                raise click.UsageError(why_not(out, error)) from error


def _as_json(cost: OrderingCost) -> str:
    return json.dumps(ordering_data(cost), indent=1) + "\n"
