"""`chaoskit init`: the first chaos test, the workflow and the ignore rules of a repository."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from chaoskit.brokers import BROKERS
from chaoskit.commands.console import own_errors, say
from chaoskit.generate.plan import Edit, InitPlan, carry_out, plan, repository
from chaoskit.values.errors import UsageError, did_you_mean


@click.command()
@click.argument("handler", required=False, metavar="[HANDLER]")
@click.option(
    "--broker",
    metavar="NAME",
    help="The broker that delivers its messages. Default: that of its framework, or else Kafka.",
)
@click.option("--yes", is_flag=True, help="Write it without asking.")
@click.option("--dry-run", is_flag=True, help="Show it and ask nothing.")
def init(handler: str | None, broker: str | None, yes: bool, dry_run: bool) -> None:
    """Set up this repository: a first chaos test, a workflow for GitHub Actions, the ignore rules.

    HANDLER is the function or method that takes a message: shop.wallet:handle, shop.wallet:Wallet.handle or
    src/shop/wallet.py:Wallet.handle; or what AWS Lambda, arq, Celery, Django, Dramatiq, FastAPI, FastStream, Flask,
    Huey or RQ calls; or a loop over a client's consumer, or a callback that a client calls (aio-pika, aiokafka,
    boto3, confluent-kafka, kafka-python, pika). Its source is read and never imported. The test is a first guess, and
    marks what could not be guessed. Without HANDLER no test is written, and the functions that look like a handler are
    listed.

    The command shows everything that it would write, and asks first; without a terminal, --yes writes it. No existing
    file is overwritten or changed, except that .gitignore may get a line at its end.
    """
    with own_errors():
        if yes and dry_run:
            raise click.UsageError("--yes writes and --dry-run does not: give one of them")
        here = Path.cwd().resolve()
        try:
            sys.exit(_init(plan(repository(here), here, handler, _broker(broker)), handler, broker, yes, dry_run))
        except UsageError as error:
            raise click.UsageError(str(error)) from error


def _broker(name: str | None) -> str | None:
    if name is None:
        return None
    by_name = {known.lower(): known for known in BROKERS}
    if name.lower() not in by_name:
        raise click.UsageError(f"no broker is called {name!r}{did_you_mean(name, BROKERS)}")
    return by_name[name.lower()]


def _init(found: InitPlan, handler: str | None, broker: str | None, yes: bool, dry_run: bool) -> int:
    for change in found.changes:
        _show(change, with_text=not yes)
    for note in found.notes:
        say(f"\nNote: {note}")
    say()
    if found.is_done:
        say("Nothing to do.")
    elif dry_run:
        say("Nothing was written: --dry-run.")
    elif not yes and not sys.stdin.isatty():
        words = ["chaoskit", "init", *([handler] if handler else []), "--yes"]
        words += ["--broker", broker] if broker else []
        say(f"Nothing was written: there is no terminal to ask in. `{shlex.join(words)}` writes it.")
    elif yes or click.confirm("Write this?"):
        carry_out(found)
        say(f"Written. Next: pytest {found.test} --chaos-self-check" if found.test else "Written.")
    else:
        say("Nothing was written.")
    return 0


_WORDS = {"create": "create  {}", "append": "append  {}", "keep": "keep    {} (is there, and stays as it is)"}


def _show(change: Edit, *, with_text: bool) -> None:
    say(_WORDS[change.kind].format(change.path))
    for line in change.text.splitlines() if with_text else ():
        say(f"    | {line}".rstrip())
