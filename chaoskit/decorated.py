"""A test as it is given to `check` and `run`: a plain function, or one that `@chaos` decorates, with its fixtures."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import attrs

from chaoskit.execution.event_loop import leaves_no_task, own_loop
from chaoskit.execution.execute import Body, Deliver
from chaoskit.values.errors import UsageError
from chaoskit.values.names import name_of


@attrs.frozen(eq=False)
class Given:
    """A test that is called with `deliver` alone. `terms` is what `@chaos` was given; None for a plain function."""

    body: Body
    is_async: bool
    terms: Any
    name: str


@contextmanager
def called_with_deliver(test: Any) -> Iterator[Given]:
    """`test` as something that takes `deliver` alone, its coroutine run to the end.

    A decorated test may be wrapped in functools.partial, which gives it its fixtures, and may be a method of an
    instance. Raises UsageError where it needs more than it is given.
    """
    function, positional, named = _taken_apart(test)
    if not hasattr(function, "chaos_terms"):
        if not callable(test):
            raise UsageError(f"test={test!r}: a function of `deliver` is needed, got {type(test).__name__}")
        with own_loop(leaves_no_task(test)) as run:
            yield Given(lambda deliver: run(deliver), inspect.iscoroutinefunction(test), None, name_of(function))
        return
    given = _arguments(function, positional, named)
    inner = function.hypothesis.inner_test
    with own_loop(inner) as run:

        def body(deliver: Deliver) -> Any:
            return run(**given, deliver=deliver)

        yield Given(body, inspect.iscoroutinefunction(inner), function.chaos_terms, name_of(inspect.unwrap(inner)))


def _taken_apart(test: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """The function below partials and bound methods, and what these give it."""
    positional: tuple[Any, ...] = ()
    named: dict[str, Any] = {}
    while True:
        if isinstance(test, functools.partial):
            positional, named = test.args + positional, test.keywords | named
            test = test.func
        elif inspect.ismethod(test):
            positional = (test.__self__, *positional)
            test = test.__func__
        else:
            return test, positional, named


def _arguments(function: Callable[..., Any], positional: tuple[Any, ...], named: dict[str, Any]) -> dict[str, Any]:
    """By name: `deliver` may stand anywhere among them."""
    signature = inspect.signature(function)
    try:
        return dict(signature.bind(*positional, **named).arguments)
    except TypeError as error:
        parameters = signature.parameters
        lacking = [name for name in list(parameters)[len(positional) :] if name not in named]
        name = getattr(function, "__name__", "test")
        if "self" in lacking:
            hint = f"give the method of an instance, {function.__qualname__.rpartition('.')[0]}().{name}"
        else:
            hint = f"give what it takes: functools.partial({name}, {', '.join(f'{p}={p}' for p in lacking)})"
        raise UsageError(f"{name} cannot be called: {error}; {hint if lacking else f'it takes {signature}'}") from None
