"""What all blocks of settings share."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def absolute(value: Any) -> Path:
    """Return the path that `value` names from everywhere; `ValueError` for a relative one."""
    if not isinstance(value, str | Path) or not Path(value).expanduser().is_absolute():
        # a relative path would mean another place for each directory a command is typed in
        raise ValueError("should be an absolute path or start with ~")
    return Path(value).expanduser()


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


AbsolutePath = Annotated[Path, BeforeValidator(absolute)]
Number = Annotated[float, BeforeValidator(_not_bool)]
Count = Annotated[int, BeforeValidator(_not_bool)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
SlackChannel = Annotated[str, Field(pattern=r"^[CG][A-Z0-9]{7,20}$")]


def _all_required(schema: dict[str, Any]) -> None:
    schema["required"] = list(schema["properties"])


class Block(BaseModel):
    """What all blocks share: unknown keys and numbers that are not finite are refused."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        json_schema_extra=_all_required,
    )
