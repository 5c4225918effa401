"""What cattrs does for repro files: it refuses what it does not know. Whoever neither writes nor reads one does without
it."""

from __future__ import annotations

from typing import Any

import cattrs
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override
from cattrs.strategies import configure_tagged_union

from chaoskit.codec import encode
from chaoskit.values.errors import ReproError, StreamError
from chaoskit.values.event import Event, EventId
from chaoskit.values.faults import Fault


def _event_id(value: Any, _: Any) -> EventId:
    if isinstance(value, bool) or not isinstance(value, (str, int)):  # True is an int, too
        raise ValueError(f"{value!r} is not an event id")
    return value


# cattrs would call `int`, and so read 1.5 as 1 and "1" as a number: a file that somebody has edited must not mean
# something else.
def _exactly(value: Any, kind: type) -> Any:
    if type(value) is not kind:
        raise ValueError(f"{value!r} is not {kind.__name__}")
    return value


def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, omit_if_default=False)

    for kind in (int, bool, str):
        converter.register_structure_hook(kind, _exactly)
    converter.register_structure_hook_func(lambda t: t == EventId, _event_id)
    converter.register_structure_hook_func(
        lambda t: t == EventId | None, lambda value, t: None if value is None else _event_id(value, t)
    )
    # A step has a number there, which `read_step` looks up.
    converter.register_structure_hook_func(lambda t: t == Fault | None, lambda value, _: value)
    # By a name that a reader of the file understands, and not by which fields there are: several kinds have the same.
    configure_tagged_union(Fault, converter, tag_name="fault")
    converter.register_structure_hook(
        Event,
        make_dict_structure_fn(
            Event,
            converter,
            key=override(struct_hook=lambda value, _: value),
            value=override(struct_hook=lambda value, _: value),
            _cattrs_forbid_extra_keys=True,
        ),
    )
    converter.register_unstructure_hook(
        Event,
        make_dict_unstructure_fn(
            Event, converter, key=override(unstruct_hook=encode), value=override(unstruct_hook=encode)
        ),
    )
    return converter


CONVERTER = _converter()


def structured(data: Any, kind: Any, name: str) -> Any:
    try:
        return CONVERTER.structure(data, kind)
    except (cattrs.BaseValidationError, StreamError, TypeError, ValueError) as error:
        found = (
            cattrs.transform_error(error, path="") if isinstance(error, cattrs.BaseValidationError) else [str(error)]
        )
        raise ReproError(f'"{name}": ' + "; ".join(found[:2])) from error
