"""`chaoskit fuzz`: the chaos tests of a repository, for a time or until somebody stops it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import click

from chaoskit.commands.console import own_errors
from chaoskit.fuzz.job import Job
from chaoskit.fuzz.screen import Screen
from chaoskit.fuzz.session import Session, run
from chaoskit.pytest.replay import IMPORTED_ALREADY
from chaoskit.report.console import HarmlessConsole
from chaoskit.runner import fresh_seed
from chaoskit.values.duration import seconds, shown
from chaoskit.values.errors import UsageError

RESTARTS = 10_000
"""Workers that may be replaced: which test has cost how many is the job's to judge, not xdist's."""
WIDTH = 100
"""Columns in a log."""


def _time(_: Any, __: Any, given: str | None) -> float | None:
    try:
        return None if given is None else seconds(given)
    except UsageError as error:
        raise click.BadParameter(str(error)) from error


def _checked_time(context: Any, parameter: Any, given: str) -> str:
    _time(context, parameter, given)
    return given


def _workers(_: Any, __: Any, given: str) -> str:
    if not (given.isdecimal() or given in ("auto", "logical")):
        raise click.BadParameter(f"{given!r}: a number, or auto, is needed")
    return given


def _shard(_: Any, __: Any, given: str) -> tuple[int, int]:
    number, _slash, count = given.partition("/")
    if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
        raise click.BadParameter(f"{given!r}: the third of eight jobs is written 3/8")
    return int(number), int(count)


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True})
@click.option(
    "--time",
    "time_",
    metavar="TIME",
    callback=_time,
    help="How long to search, such as 30s, 10m or 1h30m. Default: until stopped.",
)
@click.option(
    "-n",
    "workers",
    metavar="N",
    default="auto",
    show_default=True,
    callback=_workers,
    help="Workers: a number, or auto for one on each core. 0: in this process.",
)
@click.option(
    "--shard",
    metavar="I/N",
    default="1/1",
    callback=_shard,
    help="This is the I-th of N jobs: with the same --seed no two of them try the same.",
)
@click.option("--seed", type=int, help="The seed of everything random. Default: a new one each time.")
@click.option(
    "--corpus",
    metavar="PLACE",
    help="Share failures through a database of Hypothesis: a directory, or redis://host:port/0. "
    "Default: that of your Hypothesis profile.",
)
@click.option(
    "--limit",
    metavar="TIME",
    default="30s",
    show_default=True,
    callback=_checked_time,
    help="The longest that one run of a test may take. What takes longer hangs, which is a failure.",
)
@click.option(
    "--report",
    metavar="DIR",
    help="Write a page, a picture and JSON lines of each failure into this directory, as soon as it is found.",
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[PYTEST ARGUMENTS]...")
def fuzz(
    time_: float | None,
    workers: str,
    shard: tuple[int, int],
    seed: int | None,
    corpus: str | None,
    limit: str,
    report: str | None,
    arguments: tuple[str, ...],
) -> None:
    """Search with all chaos tests for a time, or until it is stopped.

    All cores search every test, each with seeds of its own, in turns of a few seconds. A failure is saved and printed
    as soon as it is found, and the search goes on, for what else fails. Everything else on the command line is given
    to pytest: paths, -k, -m, or --tx for workers on other hosts.

    \b
    chaoskit fuzz --time 10m
    chaoskit fuzz --time 1h --shard 3/8 --seed 42      on eight CI jobs
    chaoskit fuzz tests/test_wallet.py -k transfer

    Exit codes: 0 all held; 1 something failed, or has shown nothing; 2 usage, no chaos test, or a file that cannot
    be imported; 3 an error of chaoskit itself.
    """
    with own_errors():
        seed = fresh_seed() if seed is None else seed
        options = ["-p", "no:cacheprovider", "--maxfail=0", f"--max-worker-restart={RESTARTS}"]
        options += IMPORTED_ALREADY
        options.append(f"--chaos-limit={limit}")
        if corpus is not None:
            options.append(f"--chaos-corpus={corpus}")
        if report is not None:
            options.append(f"--chaos-report={report}")
        if not any(argument.startswith("--tx") for argument in arguments):
            options.append(f"-n{workers}")
        elif not any(argument.startswith(("--dist", "-d")) for argument in arguments):
            options.append("--dist=load")
        sys.exit(_fuzz(Job(seed, time_, *shard), [*options, *arguments]))


def _fuzz(job: Job, arguments: list[str]) -> int:
    console = HarmlessConsole(file=sys.stdout, highlight=False)  # this stream, whatever pytest does with it
    if not console.is_terminal:
        console = HarmlessConsole(file=sys.stdout, highlight=False, width=WIDTH)
    stop = "Ctrl-C" if signal.getsignal(signal.SIGINT) != signal.SIG_IGN else f"kill {os.getpid()}"
    length = f"for {shown(job.time)}" if job.time is not None else f"until you stop it ({stop})"
    part = "" if job.shards == 1 else f", shard {job.shard} of {job.shards}"
    with TemporaryDirectory(prefix="chaoskit-fuzz-") as records, _terminated_as_interrupted():
        session = Session(attrs.evolve(job, records=records), Screen(console))
        session.screen.begins(f"chaoskit fuzz {length}, seed {job.seed}{part}")
        if stop != "Ctrl-C":
            session.screen.say(f"Ctrl-C does nothing here: what started this job ignores SIGINT. {stop} stops it")
        return run(session, arguments)


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """A CI that reaches its limit asks first, with SIGTERM: there is time for a summary."""

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
