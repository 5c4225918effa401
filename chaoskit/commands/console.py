"""What the commands have in common: how they print, and how they end when the fault is ours."""

from __future__ import annotations

import sys

import click
from rich.console import Console, RenderableType

from chaoskit.report.terminal import plain


class own_errors:
    """Anything unforeseen is ours: say so, with exit code 3."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, (click.ClickException, BrokenPipeError)):
            import traceback

            traceback.print_exception(error)
            click.echo("chaoskit: an error of chaoskit itself; please report it with the lines above", err=True)
            sys.exit(3)


def show_renderable(renderable: RenderableType) -> None:
    """As wide as the terminal; 100 columns in a log."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(renderable, crop=False)
    else:
        for line in plain(renderable).splitlines():
            click.echo(line)
