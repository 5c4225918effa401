"""`chaoskit compare`: what changes for the chaos tests of a repository when they move to another broker."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from chaoskit.brokers.written import broker_of
from chaoskit.commands.console import own_errors, say, show_renderable, write_out
from chaoskit.pytest.comparison import Comparison, compared
from chaoskit.report import tolerance as tolerance_report
from chaoskit.report.files import why_not, write
from chaoskit.values.clock import now
from chaoskit.values.errors import UsageError
from chaoskit.values.texts import for_log
from chaoskit.values.tolerance import Tolerance, changes

EVERY = 30.0
"""Seconds between two lines in a log that say how it stands."""


def _brokers(_: Any, __: Any, given: tuple[str, ...]) -> tuple[str, ...]:
    try:
        for text in given:
            broker_of(text)
    except UsageError as error:
        raise click.BadParameter(str(error)) from error
    if len(given) < 2:
        raise click.BadParameter("two are needed: --broker RabbitMQ --broker SqsStandard")
    return given


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True})
@click.option(
    "--broker",
    "brokers",
    metavar="BROKER",
    multiple=True,
    callback=_brokers,
    help="A broker, written as in a test, such as Kafka or 'RabbitMQ(prefetch=1)'; it is not run as code. The first is "
    "the one to move from; each of the others is compared with it.",
)
@click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT",
    help="Write the comparison, with the whole tables, as Markdown for a pull request; - is standard output.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST ARGUMENTS]...")
def compare(brokers: tuple[str, ...], markdown: Path | None, arguments: tuple[str, ...]) -> None:
    """Say what changes when handlers move to another broker.

    Each chaos test is asked which kinds of fault it survives on each of the brokers, whichever it names itself. A kind
    is new where it breaks the test there but not here, and gone the other way round. The test's other options hold, and
    nothing is saved. Everything else on the command line is given to pytest: paths, -k, -m, --chaos-schedules,
    --chaos-seed, --chaos-report.

    \b
    chaoskit compare --broker RabbitMQ --broker SqsStandard tests/test_wallet.py
    chaoskit compare --broker Kafka --broker "Kafka(group='share')" --chaos-schedules 200

    Exit codes: 0 nothing breaks anew; 1 something does, or of some test nothing can be said; 2 usage, no chaos test, or
    a file that cannot be imported; 3 an error of chaoskit itself.
    """
    with own_errors():
        with _standing() as says:
            found, stopped = compared(brokers, arguments, says)
        if why := stopped or _nothing(found):
            raise click.UsageError(why)
        tolerances = list(found.tolerances.values())
        if markdown is None or str(markdown) != "-":
            show_renderable(tolerance_report.Compared(tolerances, [*found.errors.items(), *found.skipped.items()]))
            say(_in_all(tolerances, found))
        for file, error in found.broken_files.items():
            say(f"{file} cannot be imported: {error}", err=True)
        if markdown is not None:
            _write(markdown, tolerance_report.comparison_markdown(tolerances))
        sys.exit(2 if found.broken_files else int(_is_worse(tolerances) or bool(found.errors)))


def _nothing(found: Comparison) -> str:
    """Why there is nothing to compare; empty where there is."""
    if found.tolerances or found.errors:
        return ""
    if found.broken_files:
        return "; ".join(f"{file} cannot be imported: {error}" for file, error in found.broken_files.items())
    if found.skipped:
        return "every chaos test was skipped"
    return "no chaos test was found: name files or directories that have some, as for pytest"


def _is_worse(tolerances: list[Tolerance]) -> bool:
    return any(_breaks_anew(each) or any(column.why for column in each.columns) for each in tolerances)


def _breaks_anew(tolerance: Tolerance) -> bool:
    before, *others = tolerance.columns
    asked = [after for after in others if not (before.why or after.why)]
    return any(change.became == "new" for after in asked for change in changes(before, after))


def _in_all(tolerances: list[Tolerance], found: Comparison) -> str:
    anew = sum(map(_breaks_anew, tolerances))
    silent = len(found.errors) + sum(any(column.why for column in each.columns) for each in tolerances)
    tests = len(tolerances) + len(found.errors)
    of = f"{tests} chaos test{'' if tests == 1 else 's'}"
    silence = f", {silent} of which not all can be said" if silent else ""
    seeds = {each.seed for each in tolerances}
    again = f"; asked with --chaos-seed={seeds.pop()}" if len(seeds) == 1 else ""
    return f"{of}: {anew} with something new{silence}{again}"


def _write(path: Path, text: str) -> None:
    if str(path) == "-":
        write_out(text.encode())
        return
    try:
        write(path, text)
    except OSError as error:
        raise click.UsageError(why_not(path, error)) from None


@contextmanager
def _standing() -> Iterator[Callable[[str], None]]:
    """How it stands, on standard error, whatever pytest does with that: in a terminal one line that goes away again, in
    a log a line now and then."""
    with os.fdopen(os.dup(2), "w", encoding="utf-8", errors="backslashreplace") as out:
        shown_at = now()

        def says(what: str) -> None:
            nonlocal shown_at
            line = for_log(what)
            if out.isatty():
                width = os.get_terminal_size(out.fileno()).columns - 1
                out.write(f"\r\x1b[K{line if len(line) <= width else f'{line[: width - 1]}…'}")
            elif now() - shown_at >= EVERY:
                shown_at = now()
                out.write(f"{line}\n")
            out.flush()

        try:
            yield says
        finally:
            if out.isatty():
                out.write("\r\x1b[K")
