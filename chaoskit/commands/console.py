"""What the commands have in common: how they print, and how they end when the fault is ours."""

from __future__ import annotations

import sys
import traceback

import click
from rich.console import RenderableType

from chaoskit.report.console import HarmlessConsole
from chaoskit.report.terminal import plain
from chaoskit.values.texts import for_log, one_line


class own_errors:
    """Anything unforeseen is ours: say so, with exit code 3."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, click.ClickException):
            error.message = one_line(error.message, LONGEST_MESSAGE)  # type: ignore[misc]
        elif isinstance(error, Exception) and not isinstance(error, BrokenPipeError):
            say("".join(traceback.format_exception(error)), err=True, end="")
            say("chaoskit: an error of chaoskit itself; please report it with the lines above", err=True)
            sys.exit(3)


LONGEST_MESSAGE = 1_000
"""Characters of what was wrong with a command: names of files may be in it, and what is in a zip file."""


def say(text: str = "", *, err: bool = False, end: str = "\n") -> None:
    """Print lines: nothing else in a command does, so that no text of a stranger's does anything there."""
    click.echo(f"{for_log(text)}{end}", nl=False, err=err)


def write_out(content: bytes) -> None:
    """A report on standard output, to the letter: it was asked for as a file is, and made harmless as its format has
    it."""
    click.echo(content, nl=False)


def command_to_github(line: str) -> None:
    """An annotation. Texts in it have GitHub's own escapes."""
    click.echo(line)


def show_renderable(renderable: RenderableType) -> None:
    """As wide as the terminal; 100 columns in a log."""
    console = HarmlessConsole(highlight=False)
    if console.is_terminal:
        console.print(renderable, crop=False)
    else:
        for line in plain(renderable).splitlines():
            say(line)
