"""What all blocks of settings share, and nested settings before they are checked."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Place: TypeAlias = tuple[str, ...]  # ("search", "fb")
Nested: TypeAlias = dict[str, object]  # blocks in blocks, as YAML and JSON have them


def merged(below: Nested, above: Nested) -> Nested:
    """Return `below` with what `above` says: blocks and tables key by key, all else anew."""
    result = dict(below)
    for name, value in above.items():
        there = result.get(name)
        if isinstance(there, dict) and isinstance(value, dict):
            value = merged(there, value)
        result[name] = value
    return result


def pick(nested: object, place: Place) -> object:
    """Return what is at `place`, None if nothing is."""
    for name in place:
        nested = nested.get(name) if isinstance(nested, dict) else None
    return nested


def nest(place: Place, value: object) -> Nested:
    """Return `value` within the blocks above `place`."""
    *above, name = place
    nested: Nested = {name: value}
    for block in reversed(above):
        nested = {block: nested}
    return nested


def absolute(value: Any) -> Path:
    """Return the path that `value` names from everywhere; `ValueError` for a relative one."""
    try:
        path = Path(value).expanduser()
    except (TypeError, RuntimeError):  # ~ of a user that does not exist
        path = Path()
    # a relative path would mean another place for each directory a command is typed in
    if not path.is_absolute() or "\0" in str(path):
        raise ValueError("should be an absolute path or start with ~")
    return path


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


AbsolutePath = Annotated[Path, BeforeValidator(absolute)]
Number = Annotated[float, BeforeValidator(_not_bool)]
Count = Annotated[int, BeforeValidator(_not_bool)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
SlackChannel = Annotated[str, Field(pattern=r"^[CG][A-Z0-9]{7,20}$")]


class Block(BaseModel):
    """What all blocks share: unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )
