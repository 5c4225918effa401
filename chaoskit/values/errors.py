"""What chaoskit raises. Errors are for the user's mistakes; our own are assertions."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from chaoskit.values.texts import one_line


class ChaosError(Exception):
    """Something has to be changed before chaoskit can answer. The message says what, and to what."""


class UsageError(ChaosError):
    """A chaos test, a `deliver` call or a setting that cannot mean what it says."""


class StreamError(UsageError):
    """Events that are not a stream: wrong types, ids that repeat, a `seq` that the producer never stamped."""


class ImpossibleFault(UsageError):
    """A fault that the broker cannot make under its settings."""


class StaleState(ChaosError):
    """The test's state outlives a run, or cannot be compared, so that its runs say nothing."""


class NotDeterministic(ChaosError):
    """The same schedule gave two different results."""


class CodecError(ChaosError):
    """A value that has no encoding in a repro file, or an encoding that cannot be read."""


class ReproError(ChaosError):
    """A repro file that cannot be replayed, with the reason: one line of at most 300 characters, of which none is a
    control character, whatever the file is made of."""

    def __init__(self, reason: str) -> None:
        super().__init__(one_line(reason))


class NotSettled(Exception):
    """A broker did not take a settlement, as the message is settled already: what its client raises then. A handler
    may catch it."""

    def __init__(self, verb: str, why: str) -> None:
        super().__init__(f"message.{verb}(): {why}")


class Died(BaseException):
    """Raised in the context manager of `deliver(spawn=…)` where its consumer process dies: `with` and `finally` close
    what a system closes by itself, such as a connection, whose transaction is then rolled back. A handler never sees
    it. It is no Exception, so that nothing takes it for an error that it can handle."""

    def __init__(self) -> None:
        super().__init__("the consumer process died")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`"; did you mean 'x'?"` for the nearest known name, or the list of them."""
    names = sorted(known)
    near = get_close_matches(name, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(map(repr, names))}"
