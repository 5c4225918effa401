"""What a producer has that says which values it sends, as a strategy of these values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis.strategies import SearchStrategy

from chaoskit.strategies.classes import fields_of, of_type
from chaoskit.strategies.json_schema import of_json_schema
from chaoskit.strategies.schemas import is_avro, is_protobuf, of_avro, of_protobuf
from chaoskit.values.errors import UsageError, did_you_mean


def values_of(source: Any, function: str, name: str) -> SearchStrategy[Any]:
    """The strategy itself; values of a type, instances of a class among them; or dicts of a JSON schema or an Avro
    schema. Raises UsageError for anything else."""
    if isinstance(source, SearchStrategy):
        return source
    if is_protobuf(source):
        return of_protobuf(source)
    if is_avro(source):
        return _not_endless(of_avro(source), function, name)
    if isinstance(source, Mapping) and source:
        if not _KEYWORDS & {*source}:
            raise UsageError(
                f"{function}({name}={source!r}): this is no schema, as it has no keyword of one; of a value that is "
                "always the same write st.just(…), of one with several parts st.fixed_dictionaries(…)"
            )
        return _not_endless(of_json_schema(source), function, name)
    if isinstance(source, (str, bytes, int, float, list, tuple, Mapping)) or source is None:
        raise UsageError(
            f"{function}({name}={source!r}): a Hypothesis strategy is needed, such as st.sampled_from([...]), or a "
            "class of the values, or their JSON or Avro schema"
        )
    if not isinstance(source, type) and fields_of(type(source)) is not None:
        raise UsageError(f"{function}({name}={source!r}): its class is needed, {type(source).__qualname__}")
    drawn = of_type(source)
    drawn.validate()  # what it cannot make is an error here, and not when it is drawn
    return drawn


_KEYWORDS = frozenset(
    {
        "$defs", "$ref", "$schema", "additionalProperties", "allOf", "anyOf", "const", "contains", "definitions",
        "enum", "exclusiveMaximum", "exclusiveMinimum", "format", "if", "items", "maxItems", "maxLength",
        "maxProperties", "maximum", "minItems", "minLength", "minProperties", "minimum", "multipleOf", "not",
        "oneOf", "pattern", "patternProperties", "prefixItems", "properties", "propertyNames", "required", "type",
        "uniqueItems",
    }
)  # fmt: skip
"""Of a JSON schema: one of them says what there is."""


def _not_endless(drawn: SearchStrategy[Any], function: str, name: str) -> SearchStrategy[Any]:
    if drawn.is_empty:
        raise UsageError(f"{function}({name}=…): nothing has this schema: it is made of itself without end")
    return drawn


def must_have_field(source: Any, path: str) -> None:
    """Raises UsageError for a class that has no such field, before the first stream is drawn."""
    fields = fields_of(source)
    names = [each.name for each in fields or ()]
    name = path.partition(".")[0]
    if fields is not None and name not in names:
        raise UsageError(f"{source.__qualname__} has no field {name!r} to take the key from{did_you_mean(name, names)}")
