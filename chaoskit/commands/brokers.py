"""`chaoskit brokers`: what each broker can and cannot do."""

from __future__ import annotations

import click
from rich.console import RenderableType

from chaoskit.brokers import BROKERS
from chaoskit.commands.console import own_errors, show_renderable
from chaoskit.report.broker_facts import facts, in_one_sentence
from chaoskit.report.brokers import listing, sheet
from chaoskit.values.errors import did_you_mean


@click.command()
@click.argument("name", required=False, metavar="[NAME]")
def brokers(name: str | None) -> None:
    """List the brokers, or describe one.

    Without NAME: each broker in one line. With NAME, such as `chaoskit brokers SqsFifo` (upper and lower case are the
    same): what it promises, what can go wrong under its default settings and what rules that out, what cannot go wrong
    and which setting would allow it, all its settings, and where these facts are from.
    """
    with own_errors():
        show_renderable(_brokers(name))


def _brokers(name: str | None) -> RenderableType:
    if name is None:
        return listing((known, in_one_sentence(broker)) for known, broker in BROKERS.items())
    by_name = {known.lower(): broker for known, broker in BROKERS.items()}
    if name.lower() not in by_name:
        raise click.UsageError(f"no broker is called {name!r}{did_you_mean(name, BROKERS)}")
    return sheet(facts(by_name[name.lower()]))
