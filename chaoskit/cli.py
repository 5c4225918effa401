"""The command line."""

from __future__ import annotations

import click

from chaoskit.commands.brokers import brokers
from chaoskit.commands.compare import compare
from chaoskit.commands.fuzz import fuzz
from chaoskit.commands.init import init
from chaoskit.commands.order import order
from chaoskit.commands.replay import replay
from chaoskit.commands.show import show
from chaoskit.version import __version__


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="chaoskit")
def main() -> None:
    """Run message handlers under every delivery that their broker can really make.

    Exit codes: 0 held, fixed or no longer possible; 1 violated, still fails, changed, breaks anew or unknown; 2 usage,
    unreadable or cannot replay; 3 an error of chaoskit itself. Of several files the worst counts.
    """


for command in (init, fuzz, replay, show, brokers, compare, order):
    main.add_command(command)
