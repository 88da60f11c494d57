"""Making the sky map's tiles and the significance, files in and a file out.

Rules do it, and `llama rebuild` does it again, perhaps in the code of an older commit: there it
gives a job as JSON, {"make": "tiles" or "significance", the arguments: ...}, to
`python -m llama.event.make`. So jobs that this version understands, later ones must, too.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from llama.event.bursts import read_bursts
from llama.event.joint_far import joint_far
from llama.event.populations import PAstro, numbers_sha256, read_background, with_events
from llama.event.provenance import code_sha256, provenance, software
from llama.event.skymap_info import read_info
from llama.files import read_json, sha256_file, write_json
from llama.sky import SkyTiles, read_skymap
from llama.typed import as_written

if TYPE_CHECKING:
    from llama.event.parameters import SearchBlock


_REMEDY = "make it again: remove it and run snakemake"


class _Row(TypedDict):
    """A neutrino as the significance takes it, with the units of `neutrinos.table`."""

    id: object
    mjd: float
    ra: float
    dec: float
    sigma: float
    energy: NotRequired[float | None]
    gps: NotRequired[float | None]


class _Listed(TypedDict):
    events: list[_Row]
    source: NotRequired[dict[str, Any]]
    livetime_s: NotRequired[float | None]


def make_tiles(source: str, output: str) -> None:
    """Write the sky map `source`, as published, as tiles: lvc_skymap.hdf5."""
    tiles = read_skymap(Path(source).read_bytes(), source)
    made_by = {"software": software(), "code_sha256": code_sha256()}
    tiles.meta.update(**made_by, input_sha256=sha256_file(source))
    tiles.save(output)


def make_significance(
    inputs: Mapping[str, str],
    output: str,
    search: "SearchBlock",
    grb: Mapping[str, float] | None,
    run: str | None,
    populations: str | None,
    backgrounds: Mapping[str, str],
    alert_rates: Mapping[str, float] | None = None,
) -> None:
    """Write significance_*.json of an event.

    inputs: paths of skymap (tiles), distances, p_astro, neutrinos, info, response and, if they
    count, bursts and the events of the archive that a weighted background is of; search, grb:
    settings of these names, `grb` None without bursts; run: `background.run`; populations: file of
    backgrounds, if any; backgrounds: {class: sha256 of its numbers} as its index has it;
    alert_rates: settings of this name, None in jobs of versions that had none.
    """
    # tiles do not wait for the numeric core
    from llama.event.significance import background_class, compute_significance
    from llama.neutrinos.response import load_response

    info = read_info(Path(inputs["info"]).parent)
    p_astro = as_written(read_json(inputs["p_astro"]), PAstro, inputs["p_astro"], _REMEDY)
    listed = as_written(read_json(inputs["neutrinos"]), _Listed, inputs["neutrinos"], _REMEDY)
    name = background_class(info, p_astro, run)
    background = read_background(Path(populations) if populations else None, name)
    digest = backgrounds.get(name) or numbers_sha256(background)
    if "weights" in background:
        background = with_events(background, inputs.get("events"))
    significance = compute_significance(
        SkyTiles.load(inputs["skymap"]),
        info,
        p_astro,
        dict(listed),
        load_response(inputs["response"]),
        search,
        background,
        read_bursts(Path(inputs["bursts"]), grb) if grb else None,
    )
    used = dict(search) | ({"grb": grb} if grb else {})
    if alert_rates:
        found: dict[str, Any] = significance
        p = found["p_value"], found["p_value_effective"]
        significance |= joint_far(*p, info, alert_rates)
        used["alert_rates"] = dict(alert_rates)
    made_from = {Path(path).name: path for path in inputs.values()}
    significance["provenance"] = provenance(made_from, used) | {
        "background_sha256": digest,
        "code_sha256": code_sha256(),
    }
    write_json(output, significance)


if __name__ == "__main__":
    from llama.errors import LlamaError

    job = json.load(sys.stdin)
    make: Any = {"tiles": make_tiles, "significance": make_significance}[job.pop("make")]
    try:
        make(**job)
    except LlamaError as error:
        sys.exit(str(error))
