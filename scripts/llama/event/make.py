"""Making the sky map's tiles, its background and the significance, files in and a file out.

Rules do it, and `llama rebuild` does it again, perhaps in the code of an older commit: there it
gives a job as JSON, {"make": "tiles", "map_background" or "significance", the arguments: ...}, to
`python -m llama.event.make`. So jobs that this version understands, later ones must, too.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from llama.event.bursts import Errors, grb_model, marks_of, read_bursts
from llama.event.classes import class_end
from llama.event.joint_far import joint_far
from llama.event.populations import (
    OF_BURSTS,
    numbers_sha256,
    read_background,
    read_map_background,
    read_p_astro,
    with_events,
)
from llama.event.provenance import code_sha256, inputs_by_name, provenance, software
from llama.event.skymap_info import read_info
from llama.files import atomic_hdf5, dump_json, read_json, sha256_file, write_json
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
    detectors: NotRequired[dict[str, dict[str, Any]]]
    livetime_s: NotRequired[float | None]


def read_neutrinos(path: str) -> dict[str, Any]:
    """Return what a list of neutrinos says, checked."""
    return dict(as_written(read_json(path), _Listed, path, _REMEDY))


def make_tiles(source: str, output: str) -> None:
    """Write the sky map `source`, as published, as tiles: lvc_skymap.hdf5."""
    tiles = read_skymap(Path(source).read_bytes(), source)
    made_by = {"software": software(), "code_sha256": code_sha256()}
    tiles.meta.update(**made_by, input_sha256=sha256_file(source))
    tiles.save(output)


def make_map_background(
    inputs: Mapping[str, Any],
    output: str,
    search: "SearchBlock",
    population: str,
    seed: int,
    p_astro: float,
    injections: int,
    from_archive: bool,
    threads: int = 1,
    grb: Mapping[str, Any] | None = None,
    burst_sigma_deg: Errors = (),
    observing: Sequence[str] | None = None,
    gps: float | None = None,
) -> None:
    """Write map_background.hdf5 of an event.

    inputs: paths of skymap (tiles), response and events of the archive, the latter two of a
    network each a list; observing: names of its detectors that are on; gps: of the trigger;
    search: settings block; population: of the event; seed, p_astro, injections: of `background`;
    from_archive: whether the neutrinos that are compared are the archive's. grb: settings block,
    None without bursts that count; burst_sigma_deg: errors of those of its list, by the instrument
    if they were heard. The result does not depend on `threads`.
    """
    from llama.event.detectors import open_site
    from llama.event.map_background import Stream, background_of_map

    site = open_site(inputs["response"], search, observing, gps)
    stream = None
    if grb:
        stream = Stream(grb_model(grb, burst_sigma_deg), marks_of(grb, burst_sigma_deg))
    drawn = population, seed, p_astro, injections, from_archive, threads, stream
    classes, about = background_of_map(SkyTiles.load(inputs["skymap"]), site, search, *drawn)
    used = {"search": search, "population": population, "p_astro": p_astro}
    used |= {"injections": injections, "from_archive": from_archive}
    if grb:
        used["grb"] = {**grb, "sigma_deg": burst_sigma_deg}
    made = provenance(inputs_by_name(inputs), used, seed)
    about |= {"software": made["software"], "code_sha256": code_sha256()}
    about |= {"settings_sha256": str(made["settings_sha256"])}
    with atomic_hdf5(output) as file:
        for name, groups in classes.items():
            for group, values in groups.items():
                place = f"{group}/{name}".lstrip("/")
                packed = {"compression": "gzip"} if values.size else {}
                file.create_dataset(place, data=values, track_times=False, **packed)
            file[name].attrs.update({**about, "inputs": dump_json(made["inputs"])})


def make_significance(
    inputs: Mapping[str, Any],
    output: str,
    search: "SearchBlock",
    grb: Mapping[str, Any] | None,
    run: str | None,
    populations: str | None,
    backgrounds: Mapping[str, str],
    alert_rates: Mapping[str, float],
    method: str | None = None,
    near: Sequence[str] | None = None,
) -> None:
    """Write significance_*.json of an event.

    inputs: paths of skymap (tiles), distances, p_astro, neutrinos, info, response, map_background,
    events of the archive (lists for a network) and, if they count, bursts; search, grb,
    alert_rates: settings of these names, `grb` None without bursts; run: `background.run`;
    populations: file of backgrounds, if any; backgrounds: {class: sha256 of its numbers} as its
    index has it; method: of the p-value, None for the class where it has a background; near:
    classes to offer where that is missing, None for those of the file.
    """
    # tiles do not wait for the numeric core
    from llama.event.detectors import observing, open_site
    from llama.event.significance import compute_significance

    info = read_info(Path(inputs["info"]).parent)
    p_astro = read_p_astro(inputs["p_astro"])
    listed = read_neutrinos(inputs["neutrinos"])
    on = observing(listed)
    site = open_site(inputs["response"], search, on, info.trigger_gps)
    name = p_astro["population"] + class_end(info, run, on)
    background = read_background(Path(populations) if populations else None, name, near)
    digest = backgrounds.get(name) or numbers_sha256(background)
    if "weights" in background:
        background = with_events(background, site)
    own = Path(inputs["map_background"])
    own_map = with_events(read_map_background(own), site)
    bursts = read_bursts(Path(inputs["bursts"]), grb) if grb else None
    joint = with_events(read_map_background(own, OF_BURSTS), site) if grb else own_map
    maps = {}
    if any(row.get("map_sha256") for row in listed["events"]):
        from llama.event.direction_maps import load_maps

        maps = load_maps(listed["events"], Path(inputs["neutrinos"]).parent)
    significance = compute_significance(
        SkyTiles.load(inputs["skymap"]),
        info,
        p_astro,
        listed,
        site.response,
        search,
        background,
        bursts,
        own_map,
        method,
        joint,
        maps,
    )
    used = dict(search) | ({"grb": grb} if grb else {})
    found: dict[str, Any] = significance
    for one in (found, found.get("without_bursts")):
        if one:
            one |= joint_far(one["p_value"], one["p_value_effective"], info, alert_rates)
    used["alert_rates"] = dict(alert_rates)
    significance["provenance"] = provenance(inputs_by_name(inputs), used) | {
        "background_sha256": digest,
        "code_sha256": code_sha256(),
    }
    write_json(output, significance)


if __name__ == "__main__":
    from llama.errors import LlamaError

    job = json.load(sys.stdin)
    made = {"tiles": make_tiles, "map_background": make_map_background}
    make: Any = (made | {"significance": make_significance})[job.pop("make")]
    try:
        make(**job)
    except LlamaError as error:
        sys.exit(str(error))
