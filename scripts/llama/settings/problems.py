"""What is wrong with given settings, in sentences, with the lines that put it right."""

import difflib
import re
from dataclasses import dataclass, field

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from llama.settings.block import Block, Nested, Place, merged, nest, pick
from llama.settings.model import Settings, block_at, block_of, leaves
from llama.settings.render import defaults, yaml_lines
from llama.settings.search import LOWER_END

# A token, or user and password of an address, that was taken for a setting.
_SECRET = re.compile(r"(xox[a-z]-|dop_v1_|://(?=[^\s/@]*@))[^\s'\"@,}]*")
_NO_LONGER = "it belongs to a signal-to-noise model that this statistic does without"
_SMOOTHING = "the background's smoothing is fixed when an archive is imported"
# Names in the original LLAMA's published output and documents: the reason why one is gone, or what
# it is called now and the factor from its unit to ours.
_OLD: dict[str, str | tuple[Place, float]] = {
    **dict.fromkeys(("k0", "rhomin", "Egwmin", "Egwmax"), _NO_LONGER),
    "ratebggw": "each alert's FAR takes its place",
    **dict.fromkeys(("ΔE", "δω", "delta_E", "delta_omega"), _SMOOTHING),
    **dict.fromkeys(("population", "instruments"), "each alert says it"),
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
    remedy: dict[Place, object] = field(default_factory=dict)


def find_problems(raw: Nested, below: Nested | None = None) -> list[Problem]:
    """Return everything that is wrong with `raw`, nested data of one source.

    `below` has every setting that `raw` may leave as it is; without it, the defaults.
    """
    found = [_explain(detail, raw) for detail in _errors(merged(below or defaults(), raw))]
    # a remedy can lie beyond the other end of its range; then both ends are given anew
    for detail in _errors(repaired(raw, found)) if found else ():
        upper = _setting(detail["loc"])
        if upper[-1] not in LOWER_END:
            continue
        lower = (*upper[:-1], LOWER_END[upper[-1]])
        remedy = {place: pick(defaults(), place) for place in (lower, upper)}
        found.append(Problem(f"{'.'.join(lower)} does not fit that", remedy))
    return found


def repaired(raw: Nested, problems: list[Problem]) -> Nested:
    """Return all settings: the defaults, over them what is right in `raw`, over it the remedies."""
    settings = defaults()
    for place in leaves():
        given = pick(raw, place)
        if given is not None:
            settings = merged(settings, nest(place, valid_or_default(place, given)))
    return merged(settings, _remedies(problems))


def lines_to_paste(problems: list[Problem]) -> str:
    """Return the YAML, in the file's order and indentation, that mends `problems`."""
    return yaml_lines(_remedies(problems)).lstrip("\n")


def valid_or_default(place: Place, value: object) -> object:
    """Return `value` as it is stored if it is valid for the setting at `place`, else a right one.

    Of a table, such as the studies, the rows that are valid remain.
    """
    if not _errors(nest(place, value)):
        settings = Settings.model_validate(nest(place, value))
        return pick(settings.model_dump(mode="json", exclude_unset=True), place)
    rows = value.items() if isinstance(value, dict) and not block_at(place) else ()
    valid: dict[str, object] = {}
    for key, row in rows:
        if not _errors(nest(place, valid | {key: row})):
            valid[key] = row
    model = block_at(place[:-1]) or Settings
    examples = model.model_fields[place[-1]].examples
    return valid or (examples[0] if examples else pick(defaults(), place))


def _remedies(problems: list[Problem]) -> Nested:
    chosen: Nested = {}
    for problem in problems:
        for place, value in problem.remedy.items():
            chosen = merged(chosen, nest(place, value))
    return chosen


def _errors(raw: Nested) -> list[ErrorDetails]:
    try:
        Settings.model_validate(raw)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def _explain(detail: ErrorDetails, raw: Nested) -> Problem:
    location = detail["loc"]
    if detail["type"] != "extra_forbidden":  # else it is the name that was given
        location = tuple(part for part in location if part != "[key]")
    place, name = _setting(location), ".".join(map(str, location))
    block = block_at(place)
    if block and place == location[:-1]:
        return _unknown(block, place, str(location[-1]), raw)
    right = valid_or_default(place, pick(raw, place))
    shown = _SECRET.sub(r"\1***", repr(detail["input"]))
    shown = shown if len(shown) <= 40 else shown[:37] + "..."
    example = next(iter(right), "") if isinstance(right, dict) else right
    expected = detail["msg"].removeprefix("Value error, ").replace("Input should", "should")
    what = {
        "extra_forbidden": "is not a setting",
        "missing": "is missing",
        "string_pattern_mismatch": f"is {shown}, but should look like {example}",
        "model_type": f"is {shown}, but should be a block of settings",
    }.get(detail["type"], f"is {shown}, but {expected.split(',')[0]}")
    return Problem(f"{name} {what}", {place: right})


def _unknown(block: type[Block], above: Place, key: str, raw: Nested) -> Problem:
    name, value = ".".join((*above, key)), pick(raw, (*above, key))
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
        there = {place[-1]: place for place in leaves()}
        near = [
            names[match]
            for names in (here, there)
            for match in difflib.get_close_matches(key, names, n=1, cutoff=0.7)
        ]
        if not near:
            return Problem(f"{name} is not a setting; delete it")
        place = near[0]
        sentence = f"{name} is not a setting, it looks like {'.'.join(place)}; delete it"
    if pick(raw, place) is not None:  # the right name is there too, and stays as it is
        return Problem(sentence)
    return Problem(sentence, {place: valid_or_default(place, value)})


def _setting(location: tuple[int | str, ...]) -> Place:
    place: Place = ()
    model: type[Block] | None = Settings
    for part in location:
        if model is None or part not in model.model_fields:
            break
        place = (*place, str(part))
        model = block_of(model, str(part))
    return place
