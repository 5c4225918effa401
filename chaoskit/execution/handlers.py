"""What a handler is, and whether its work is done when it returns."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import inspect
import types
from collections.abc import Mapping
from typing import Any

from chaoskit.execution.topics import by_topic, why_no_handlers
from chaoskit.values.settling import Done

MANAGERS = (contextlib.ContextDecorator, contextlib.AsyncContextDecorator)
"""Context managers of contextlib can be called, too, and do nothing then that anybody would want of a handler."""

PLAIN = frozenset({bool, int, float, str, bytes, dict, list, tuple, set, Done})


def why_not_done(result: Any) -> str | None:
    """Why a handler that returned this has not done its work yet; None where it may have."""
    if inspect.iscoroutine(result):
        result.close()  # else Python warns that it was never awaited, after we have reported it
        return "the handler is async: make the test `async def` and write `await deliver(handler)`"
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        name = getattr(result, "__qualname__", "the handler")
        return (
            f"the handler returned {_a(result)}, {name}, and nothing in it has run: it handles no message. "
            "A `yield` makes a function one: take it out, or call what runs it"
        )
    if isinstance(result, MANAGERS):
        return (
            "the handler returned a context manager, and nothing in it has run. One that makes a handler is what a "
            "process begins with: deliver(spawn=process)"
        )
    if isinstance(result, concurrent.futures.Future) or inspect.isawaitable(result):
        return (
            f"the handler returned {_a(result)}, whose work may not be done yet, and the message counts as handled: "
            "give deliver a handler that waits for it (`await` in an async test, or `.result()`)"
        )
    return None


def _a(result: Any) -> str:
    name = "async generator" if inspect.isasyncgen(result) else type(result).__name__
    return f"{'an' if name.lstrip('_')[0].lower() in 'aeiou' else 'a'} {name}"


def takes_nothing(function: Any) -> bool:
    # The usual case, once a run: it costs a hundredth of the rest. Attributes may say that it stands for another.
    if inspect.isfunction(function) and not function.__dict__:
        code = function.__code__
        if not code.co_argcount and not code.co_kwonlyargcount:
            return True
    try:
        inspect.signature(function).bind()
    except TypeError:
        return False
    except ValueError:  # a builtin without a signature
        return True
    return True


def remembers(handler: Any) -> bool:
    """Whether it carries something from call to call that a new process would not have: a bound method, a closure, an
    object that can be called. A plain function has only what lies outside of the test's reach."""
    if type(handler) is types.FunctionType and not handler.__dict__:  # the usual case, once a run
        return bool(handler.__closure__)
    # A decorator that wraps is a closure by itself, and says nothing of the handler.
    handler = inspect.unwrap(handler)
    if isinstance(handler, functools.partial):
        return True
    if inspect.isfunction(handler):
        return bool(handler.__closure__)
    if inspect.isbuiltin(handler) or inspect.ismethod(handler):
        return not isinstance(handler.__self__, (type, types.ModuleType, type(None)))
    return not isinstance(handler, type)


def is_manager(given: object) -> bool:
    """Whether it is a context manager. Those of contextlib can be called, too, as they are decorators."""
    return hasattr(type(given), "__enter__") or hasattr(type(given), "__aenter__")


def why_not_given(handler: object, spawn: object, state: object) -> str | None:
    """What is wrong with the arguments of `deliver`; None where nothing is."""
    if isinstance(handler, MANAGERS):
        return "deliver was given a context manager: give its function, deliver(spawn=process)"
    if spawn is None and state is None and callable(handler):
        return None
    if isinstance(handler, Mapping) and spawn is None:
        return why_no_handlers(handler) or why_not_given(by_topic(handler), spawn, state)
    if (handler is None) == (spawn is None):
        return "give deliver either a handler, deliver(handler), or a way to make one, deliver(spawn=…)"
    if is_manager(spawn):
        return (
            "spawn takes the function that makes the context manager, as each process needs one of its own: "
            "deliver(spawn=process), and not deliver(spawn=process())"
        )
    for name, value in (("handler", handler), ("spawn", spawn), ("state", state)):
        if value is not None and not callable(value):
            return (
                f"deliver({name}={value!r}): a function is needed, got {type(value).__name__}; "
                "of an object give the method, deliver(wallet.handle)"
            )
    if spawn is not None and not takes_nothing(spawn):
        return (
            "spawn takes a function without arguments that returns a handler, or a context manager that yields "
            "one: deliver(spawn=make_handler)"
        )
    return None
