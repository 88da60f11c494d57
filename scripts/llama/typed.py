"""JSON as typed forms (`msgspec.Struct`): checked once at the door, every error one sentence.

The sentence takes from the `Meta(description=...)` of a value's type what it must be, and of a
number in a row of a table what to do.
"""

import functools
import math
import re
from collections.abc import Mapping
from typing import Any, TypeVar, cast, get_args

import msgspec
from msgspec import Meta, Struct, ValidationError

from llama.errors import LlamaError

Form = TypeVar("Form", bound=Struct)
Kind = TypeVar("Kind")


def typed(content: object, form: type[Form], where: str, remedy: str) -> Form:
    """Return a JSON object as `form`, its values checked; `LlamaError` names what is wrong.

    where: file, for the sentence; remedy: what to do. Keys that the form lacks are not looked at.
    """
    if not isinstance(content, Mapping):
        raise LlamaError(f"{where} is not a JSON object; {remedy}")
    missing = [key for key in _required(form) if key not in content]
    if missing:
        raise LlamaError(f"{where} lacks {', '.join(missing)}; {remedy}")
    try:
        return convert(content, form)
    except ValidationError as error:
        key, said = _wrong_key(error)
        raise LlamaError(
            f"{where} has {key} = {_text(content.get(key))[:40]!r}, which is not "
            f"{meta_of(form, key).description or f'possible ({said})'}; {remedy}"
        ) from error


def convert(content: object, kind: type[Kind]) -> Kind:
    """Return content of JSON as `msgspec.convert` does; `ValidationError` whatever is wrong.

    Half a surrogate pair, which msgspec cannot read, is escaped where it is in the way.
    """
    try:
        try:
            return msgspec.convert(content, kind)
        except UnicodeEncodeError:
            return msgspec.convert(_escaped(content), kind)
    except (RecursionError, OverflowError) as error:
        raise ValidationError(str(error)) from error


def as_written(content: object, kind: type[Kind], where: str, remedy: str) -> Kind:
    """Return content of JSON as it is, if it can be `kind`; else `LlamaError` for the file.

    kind: a TypedDict, say, whose unknown keys are kept.
    """
    try:
        convert(content, kind)
    except ValidationError as error:
        raise LlamaError(f"{where} is not as LLAMA writes it ({error}); {remedy}") from error
    return cast(Kind, content)


def _escaped(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, Mapping):
        return {_escaped(key): _escaped(item) for key, item in value.items()}
    return [_escaped(item) for item in value] if isinstance(value, list) else value


def _text(value: object) -> str:
    """Return `str` of a value, however deep its lists are."""
    try:
        return str(value)
    except RecursionError:
        return "lists in lists"


def numbers_of(row: Mapping[str, object], form: type[Struct], where: str) -> dict[str, float]:
    """Return the numbers, or texts of numbers, that `form` names, each in its range.

    `LlamaError` tells what is wrong `where`. None is as good as no key.
    """
    keys = form.__struct_encode_fields__
    numbers = {key: as_number(row[key]) for key in keys if row.get(key) is not None}
    for key in _required(form):
        if key not in numbers:
            raise LlamaError(f"{where} has no {key}; {meta_of(form, key).description}")
    try:
        msgspec.convert(numbers, form)
    except ValidationError as error:
        key, _ = _wrong_key(error)
        what = f"{shown(row[key])} is not a finite number"
        if math.isfinite(numbers[key]):
            what = f"{numbers[key]:.15g} is out of range"
        raise LlamaError(f"{where}: {key} {what}; {meta_of(form, key).description}") from error
    return numbers


@functools.cache
def _required(form: type[Struct]) -> tuple[str, ...]:
    return tuple(f.encode_name for f in msgspec.structs.fields(form) if f.required)


def as_number(value: object) -> float:
    """Return what a value of JSON or CSV is as a number, NaN if it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def shown(value: object) -> str:
    """Return a value as a sentence quotes it: not longer than 43 characters."""
    text = str(value) if isinstance(value, int | float) else repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def meta_of(form: type[Struct], key: str) -> Meta:
    """Return the range and the description of a form's key, an empty one if it has none."""
    types = [field.type for field in msgspec.structs.fields(form) if field.encode_name == key]
    return next(filter(None, map(_meta, types)), Meta())


def _meta(kind: Any) -> Meta | None:
    """Return what describes a type, or the part of a union that is described."""
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, Meta) and meta.description:
            return meta
    return next(filter(None, map(_meta, get_args(kind))), None)


def _wrong_key(error: ValidationError) -> tuple[str, str]:
    said, _, path = str(error).rpartition(" - at `$")
    found = re.match(r"\.(\w+)", path)
    return found[1] if found else "", said
