"""`chaoskit show`: a repro file as a report."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from chaoskit.commands.console import own_errors, show_renderable
from chaoskit.errors import ReproError
from chaoskit.report.saved import saved_report
from chaoskit.repro import read


@click.command()
@click.argument("path", type=click.Path(path_type=Path))
def show(path: Path) -> None:
    """Print a repro file as a report: what differed, the delivery, why. Nothing is run."""
    with own_errors():
        sys.exit(_show(path))


def _show(path: Path) -> int:
    if path.is_dir():
        raise click.UsageError(f"{path} is a directory; show takes one repro file")
    try:
        repro = read(path)
    except ReproError as error:
        click.echo(f"{path}: {error}", err=True)
        return 2
    show_renderable(saved_report(repro))
    return 0
