"""A client library, imported when its adapter is used: none of them is needed to install chaoskit."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from chaoskit.values.errors import UsageError


def library(module: str, package: str) -> Any:
    """The module of this name. Raises UsageError where it is not installed, and names the package that has it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise UsageError(
            f"this adapter needs the client library itself, and {module!r} cannot be imported ({error}): "
            f"pip install {package}"
        ) from error
