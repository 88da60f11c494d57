"""What is wrong with given settings, in sentences, with the lines that put it right."""

import difflib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from llama.settings.block import Block
from llama.settings.model import Settings, block_of
from llama.settings.render import defaults, yaml_lines
from llama.settings.search import LOWER_END

Place = tuple[str, ...]  # ("search", "fb")

_NO_LONGER = "it belongs to a signal-to-noise model that this statistic does without"
_SMOOTHING = "the background's smoothing is fixed when an archive is imported"
_BY_EVENT = "each alert says it"
# Names in the original LLAMA's published output and documents: the reason why one is gone, or what
# it is called now and the factor from its unit to ours.
_OLD: dict[str, str | tuple[Place, float]] = {
    "k0": _NO_LONGER,
    "rhomin": _NO_LONGER,
    "Egwmin": _NO_LONGER,
    "Egwmax": _NO_LONGER,
    "ratebggw": "each alert's FAR takes its place",
    "ΔE": _SMOOTHING,
    "δω": _SMOOTHING,
    "delta_E": _SMOOTHING,
    "delta_omega": _SMOOTHING,
    "population": _BY_EVENT,
    "instruments": _BY_EVENT,
    "sensitivity": "background.run takes its place",
    "nu51_100": (("search", "nu_51_100"), 1.0),
    "n51_100": (("search", "nu_51_100"), 1.0),
    "εmin": (("search", "epsilon_min_gev"), 1.0),
    "εmax": (("search", "epsilon_max_gev"), 1.0),
    # Mpc^-3 s^-1, with the year of 365 days that its published value was made with
    "ndotgwnu": (("search", "ndotgwnu_gpc3_yr"), 1e9 * 365 * 86400),
}


@dataclass(frozen=True)
class Problem:
    """One sentence, and the right value of each setting that has to be written anew."""

    sentence: str
    remedy: dict[Place, Any] = field(default_factory=dict)


def find_problems(raw: dict[str, Any]) -> list[Problem]:
    """Return everything that is wrong with `raw`, the nested data of a settings file."""
    found = [_explain(detail, raw) for detail in _errors(raw)]
    # what stands under a wrong name is not missing as well
    mended = {place for problem in found for place in problem.remedy}
    found += (
        Problem(f"{'.'.join(place)} is missing", {place: _pick(defaults(), place)})
        for place in _missing(Settings, raw, ())
        if place not in mended
    )
    # a remedy can lie beyond the other end of its range; then both ends are given anew
    for detail in _errors(repaired(raw, found)) if found else ():
        upper = _setting(detail["loc"])
        lower = (*upper[:-1], LOWER_END[upper[-1]])
        remedy = {place: _pick(defaults(), place) for place in (lower, upper)}
        found.append(Problem(f"{'.'.join(lower)} does not fit that", remedy))
    return found


def repaired(raw: dict[str, Any], problems: list[Problem]) -> dict[str, Any]:
    """Return all settings: the defaults, over them what is right in `raw`, over it the remedies."""
    settings = defaults()
    for place in _leaves(Settings, ()):
        given = _pick(raw, place)
        if given is not None:
            _put(settings, place, valid_or_default(place, given))
    for problem in problems:
        for place, value in problem.remedy.items():
            _put(settings, place, value)
    return settings


def lines_to_paste(problems: list[Problem]) -> str:
    """Return the YAML, in the file's order and indentation, that mends `problems`."""
    chosen: dict[str, Any] = {}
    for problem in problems:
        for place, value in problem.remedy.items():
            _put(chosen, place, value)
    return yaml_lines(chosen).lstrip("\n")


def valid_or_default(place: Place, value: Any) -> Any:
    """Return `value` as it is stored if it is valid for the setting at `place`, else a right one.

    Of a table, such as the studies, the rows that are valid remain.
    """
    if not _errors(_nest(place, value)):
        return _pick(Settings.model_validate(_nest(place, value)).model_dump(mode="json"), place)
    rows = value.items() if isinstance(value, dict) and not _block(place) else ()
    valid = {key: row for key, row in rows if not _errors(_nest(place, {key: row}))}
    model = _block(place[:-1]) or Settings
    examples = model.model_fields[place[-1]].examples
    return valid or (examples[0] if examples else _pick(defaults(), place))


def _errors(raw: dict[str, Any]) -> list[ErrorDetails]:
    try:
        Settings.model_validate(raw)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _explain(detail: ErrorDetails, raw: dict[str, Any]) -> Problem:
    location = tuple(part for part in detail["loc"] if part != "[key]")
    place, name = _setting(location), ".".join(map(str, location))
    block = _block(place)
    if block and place == location[:-1]:
        return _unknown(block, place, str(location[-1]), raw)
    right = valid_or_default(place, _pick(raw, place))
    shown = repr(detail["input"])
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    if detail["type"] == "extra_forbidden":
        what = "is not a setting"
    elif detail["type"] == "missing":
        what = "is missing"
    elif detail["type"] == "string_pattern_mismatch":
        example = next(iter(right)) if isinstance(right, dict) else right
        what = f"is {shown}, but should look like {example}"
    elif detail["type"] == "model_type":
        what = f"is {shown}, but should be a block of settings"
    else:
        expected = detail["msg"].removeprefix("Value error, ").replace("Input should", "should")
        what = f"is {shown}, but {expected.split(',')[0]}"
    return Problem(f"{name} {what}", {place: right})


def _unknown(block: type[Block], above: Place, key: str, raw: dict[str, Any]) -> Problem:
    name, value = ".".join((*above, key)), _pick(raw, (*above, key))
    old = _OLD.get(key)
    if isinstance(old, str):
        return Problem(f"{name} of the original LLAMA is gone ({old}); delete it")
    if old:
        place, factor = old
        if factor != 1 and isinstance(value, int | float):
            value = float(f"{value * factor:.12g}")
        sentence = f"{name} of the original LLAMA is now {'.'.join(place)}; delete it"
    else:
        here = {field: (*above, field) for field in block.model_fields}
        there = {place[-1]: place for place in _leaves(Settings, ())}
        near = [
            names[match]
            for names in (here, there)
            for match in difflib.get_close_matches(key, names, n=1, cutoff=0.7)
        ]
        if not near:
            return Problem(f"{name} is not a setting; delete it")
        place = near[0]
        sentence = f"{name} is not a setting, it looks like {'.'.join(place)}; delete it"
    if _pick(raw, place) is not None:  # the right name is there too, and stays as it is
        return Problem(sentence)
    return Problem(sentence, {place: valid_or_default(place, value)})


def _missing(model: type[Block], raw: dict[str, Any], above: Place) -> Iterator[Place]:
    for name in model.model_fields:
        block = block_of(model, name)
        if name not in raw:
            yield (*above, name)
        elif block and isinstance(raw[name], dict):
            yield from _missing(block, raw[name], (*above, name))


def _leaves(model: type[Block], above: Place) -> Iterator[Place]:
    for name in model.model_fields:
        block = block_of(model, name)
        if block:
            yield from _leaves(block, (*above, name))
        else:
            yield (*above, name)


def _setting(location: tuple[int | str, ...]) -> Place:
    """Return that part of pydantic's `location` which names a setting or a block."""
    place: Place = ()
    model: type[Block] | None = Settings
    for part in location:
        if model is None or part not in model.model_fields:
            break
        place = (*place, str(part))
        model = block_of(model, str(part))
    return place


def _block(place: Place) -> type[Block] | None:
    """Return the block at `place`; None if a plain value is there."""
    model: type[Block] | None = Settings
    for name in place:
        model = block_of(model, name) if model else None
    return model


def _nest(place: Place, value: Any) -> dict[str, Any]:
    for name in reversed(place):
        value = {name: value}
    return dict(value)


def _pick(nested: Any, place: Place) -> Any:
    for name in place:
        nested = nested.get(name) if isinstance(nested, dict) else None
    return nested


def _put(nested: dict[str, Any], place: Place, value: Any) -> None:
    *above, name = place
    for block in above:
        nested = nested.setdefault(block, {})
    nested[name] = value
