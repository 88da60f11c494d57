"""JSON as typed forms (`msgspec.Struct`): checked once at the door, every error one sentence.

What a value must be stands in the `Meta(description=...)` of its type, for the sentence.
"""

import re
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

import msgspec

from llama.errors import LlamaError

Form = TypeVar("Form", bound=msgspec.Struct)


def typed(content: object, form: type[Form], where: str, remedy: str) -> Form:
    """Return a JSON object as `form`, its values checked; `LlamaError` names what is wrong.

    where: file, for the sentence; remedy: what to do. Keys that the form lacks are not looked at.
    """
    if not isinstance(content, Mapping):
        raise LlamaError(f"{where} is not a JSON object; {remedy}")
    fields = msgspec.structs.fields(form)
    missing = [f.encode_name for f in fields if f.required and f.encode_name not in content]
    if missing:
        raise LlamaError(f"{where} lacks {', '.join(missing)}; {remedy}")
    try:
        return msgspec.convert(content, form)
    except msgspec.ValidationError as error:
        said, _, path = str(error).rpartition(" - at `$")
        found = re.match(r"\.(\w+)", path)
        key = found[1] if found else ""
        types = [field.type for field in fields if field.encode_name == key]
        what = _description(types[0]) if types else None
        raise LlamaError(
            f"{where} has {key} = {str(content.get(key))[:40]!r}, which is not "
            f"{what or f'possible ({said})'}; {remedy}"
        ) from error


def _description(kind: Any) -> str | None:
    """Return how a type, or the part of a union that has one, is described."""
    for meta in getattr(kind, "__metadata__", ()):
        if isinstance(meta, msgspec.Meta) and meta.description:
            return meta.description
    return next(filter(None, map(_description, get_args(kind))), None)
