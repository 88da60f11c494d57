"""The neutrinos around the event, icecube_neutrino_list.json."""

import sys
from pathlib import Path

from llama.event.provenance import provenance
from llama.event.skymap_info import read_info
from llama.files import write_json
from llama.neutrinos.archive import Archive
from llama.neutrinos.event_list import make_list, note_late_data
from llama.neutrinos.given import given_detectors, given_scrambled, read_given
from llama.neutrinos.network_list import make_network_list, open_stream
from llama.neutrinos.sources import open_sources
from llama.script import logged
from llama.stats.window import Window
from llama.times import now_gps

with logged(snakemake.log[0]):
    info = read_info(Path(snakemake.input.info).parent)
    texts = {str(path): Path(path).read_bytes() for path in snakemake.input.given}
    given = [read_given(text, path, info.gps_time) for path, text in texts.items()]
    archive = Path(snakemake.params.archive)
    settings = {key: snakemake.params[key] for key in ("blinded", "rate_hz")}
    asked = {
        "now_gps": now_gps(),
        "given": given[0] if given else None,
        "given_name": info.neutrino_file or "",
        "given_scrambled": next(map(given_scrambled, texts.values()), None),
        "online": snakemake.params.online,
        "window": Window(*snakemake.params.window_s),
        "blinded": settings["blinded"],
    }
    if snakemake.params.streams:
        told = {"given_detectors": next(map(given_detectors, texts.values()), None)}
        streams = {name: open_stream(*one) for name, one in snakemake.params.streams.items()}
        neutrinos = make_network_list(info.graceid, info.gps_time, streams, **asked, **told)
        settings |= {"streams": snakemake.params.streams}
    else:
        neutrinos = make_list(
            info.graceid,
            info.gps_time,
            archive=Archive.open(archive) if (archive / "archive.json").exists() else None,
            sources=open_sources(snakemake.params.sources, Path(), archive.name),
            rate_hz=settings["rate_hz"],
            **asked,
        )
    # a list that somebody has written must have its maps; others are taken without
    if any("map" in event for event in neutrinos["events"]):
        from llama.event.direction_maps import take_maps  # it compiles

        neutrinos["unusable"] += take_maps(
            neutrinos["events"],
            Path(snakemake.output[0]).parent,
            neutrino_file=info.neutrino_file,
            online=snakemake.params.fetch_maps,
        )
        neutrinos["complete"] &= not neutrinos["unusable"]
    # of skymap_info.json only what is named here: a later alert that says the same outdates nothing
    made_from = {Path(path).name: path for path in snakemake.input.given}
    settings |= {"window_s": snakemake.params.window_s}
    settings |= {"graceid": info.graceid, "gps_time": info.gps_time}
    neutrinos["provenance"] = provenance(made_from, settings, neutrinos["seed"])
    history = Path(snakemake.log[0]).with_name("neutrino_lists.jsonl")
    late = note_late_data(history, info.graceid, neutrinos)
    write_json(snakemake.output[0], neutrinos)
    said = [late] if late else []
    said += [f"{info.graceid}: {sentence}" for sentence in neutrinos["unusable"]]
    if said:
        text = "".join(f"{sentence}\n" for sentence in said)
        Path(snakemake.log[0]).write_text(text, encoding="utf-8")
        sys.stderr.write(text)
