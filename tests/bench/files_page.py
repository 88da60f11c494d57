"""docs/files.md, generated from what stands here: python tests/bench/files_page.py writes it.

The tests hold it against real files (`undescribed`): every key that is found is described, and
every key that is described is found, unless its meaning begins with "only".
"""

import json
import re
from pathlib import Path
from typing import Any

from llama.catalogue.make import COLUMNS

PAGE = Path(__file__).parents[2] / "docs" / "files.md"


def _column(unit: str | None, words: str) -> str:
    return f"{words} [{unit}]" if unit else words


_INFO = {
    "graceid": "id on GraceDB or [name in a catalogue](catalogue.md), which names the directory",
    "revision": "number of the alert that counts, from 1",
    "notice": "its name, such as S190425z-2-Initial",
    "notice_time": "when it was made (UTC)",
    "alert_type": "where it came from: igwn-alert, gcn, gracedb, manual, catalogue, injection, ...",
    "alert_file": "the alert as received, in `alerts/`",
    "event_alert_file": "the alert that the event's data come from; not a retraction",
    "role": "observation or test, as the alert says",
    "retracted": "whether the newest alert takes the event back",
    "internal": "whether the alert is for LVK only",
    "significant": "false for a low-significance alert",
    "event_time": "time of the merger or burst (UTC)",
    "gps_time": "the same [GPS s]",
    "far": "false-alarm rate [Hz]",
    "group": "CBC or Burst",
    "pipeline": "search program, upper case",
    "search": "AllSky, EarlyWarning, MDC, ...",
    "instruments": "detectors that took part, such as H1",
    "skymap_filename": "name of the map on GraceDB, with its version",
    "skymap_file": "the map, if it came as a file; else null",
    "skymap_alert_file": "the alert that holds the map; else null",
    "skymap_sha256": "sha256 of the map as received",
    "neutrino_file": "the list of neutrinos, if one was given; else null",
    "gracedb_service_url": "which GraceDB",
}
_NEUTRINO = {
    "id": "name of the neutrino in this event",
    "run": "IceCube's run; null if unknown",
    "event": "IceCube's event; null if unknown",
    "subevent": "IceCube's subevent; null if unknown",
    "type": "observation, blinded, simulated, scrambled or alert",
    "gps": "time [GPS s]",
    "mjd": "time [MJD, UTC]",
    "dt": "time after the event [s]",
    "in_window": "whether it came within the window; others do not count",
    "ra": "right ascension [deg, ICRS]",
    "dec": "declination [deg]",
    "sigma": "angular uncertainty, 1 sigma of a 2-D Gaussian [deg]",
    "zenith": "zenith at the detector [deg]",
    "azimuth": "azimuth at the detector [deg]",
    "energy": "reconstructed energy [GeV]; null if unknown",
}
_MAP = {
    "direction": "only if it is more than a circle as stated: map, or circle of equal area",
    "map": "only with a [map](neutrinos.md#neutrinos-with-a-map): its file, from the event on",
    "map_name": "only with a map: what its file or URL is called",
    "map_sha256": "only with a map: sha256 of the file as it came",
    "map_area_90_deg2": "only with a map: area that holds 90 % [deg²]",
}
_PROVENANCE = {
    "provenance.software": "program, version and commit",
    "provenance.inputs.*": "sha256 of each file that it was made from",
    "provenance.settings_sha256": "hash of the settings that were used; null without",
    "provenance.seed": "seed of what was drawn; null if nothing was",
}
_CLASSES = {
    **dict.fromkeys(("BNS", "NSBH", "BBH"), "probability of this class"),
    "Terrestrial": "probability of noise",
}
_TILES = {
    "order": "HEALPix order of each tile, NESTED, along the curve",
    "ipix": "its index",
    "prob": "probability in it",
    "distmu": "parameter of the distance's density in its direction [Mpc], as in the published map",
    "distsigma": "likewise [Mpc]",
    "distnorm": "likewise [Mpc^-2]",
}
_BROKEN = {
    "names": "file of each",
    "broken": "indices of those that cannot be read",
    "problems": "what is wrong with these",
    "attribute sha256": "of all numbers in it",
}


def _below(prefix: str, keys: dict[str, str]) -> dict[str, str]:
    return {f"{prefix}{key}": meaning for key, meaning in keys.items()}


# {file: (what it is, {key: meaning})}
EVENT: dict[str, tuple[str, dict[str, str]]] = {
    "skymap_info.json": (
        "What event and map this is; written by `skymap_info` and `llama run`.",
        _INFO,
    ),
    "flags.json": (
        "Who may see it; set them with `llama flags`.",
        {
            "ROLE": "test or observation: only an observation can reach real destinations",
            "UPLOAD": "true lets results go out",
            "ICECUBE_UPLOAD": "true lets files for IceCube be written",
            "VETOED": "true stops every result; withdrawals are still sent",
            "BLINDED_NEUTRINOS": "true hides odds and p-value; the event then counts as a test",
            "ONLINE": "false keeps LLAMA from asking and telling servers",
            "MANUAL": "kept for the record",
            "P_VALUE": "class or map: what `p_value` is from; auto is the class if it has a "
            "background, and what has gone out stays",
        },
    ),
    "alerts/<n>-<Kind>.heard.json": (
        "When the listener heard an alert; only for those that were heard.",
        {
            "record": "its name in `spool/` and `gcn/`",
            "topic": "Kafka topic",
            "kafka_time_ms": "Kafka's time of the record [Unix ms]",
            "heard_at": "when it was heard (UTC)",
            "taken_over_at": "when `llama run` took it over (UTC)",
            "archive": "its raw bytes, below the output directory",
        },
    ),
    "heard_grbs.json": (
        "Gamma-ray bursts that instruments' notices told, from a week before; only where "
        "[instruments count](messengers.md) and no list was given by hand.",
        {
            "instruments": "whose bursts count",
            "events[].graceid": "instrument and trigger",
            "events[].gps_time": "time [GPS s]",
            "events[].ra": "right ascension [deg, ICRS]",
            "events[].dec": "declination [deg]",
            "events[].sigma": "1 sigma of a 2-D Gaussian, with the systematic error [deg]",
            "events[].instrument": "who located it best",
            "events[].notice": "the newest notice with a position, in `gcn/`",
            "events[].also": "other triggers that are the same burst",
            "unusable": "a sentence for each notice within the delays that cannot be used",
        }
        | _PROVENANCE,
    ),
    "p_astro.json": (
        "How probably the wave is real, and of which class.",
        _CLASSES
        | {
            "p_astro": "probability of being astrophysical that is used",
            "p_astro_alert": "1 − Terrestrial of the alert; null without usable classes",
            "p_astro_far": "from the false-alarm rate; null without (`search.far_signal_rate_hz`)",
            "source": "which of both is used: alert or far",
            "reason": "why the alert's classes were not enough; else null",
            "class": "most probable class, such as BNS or MassGap; null without classes",
            "population": "bns, nsbh, bbh, cbc (any other class) or burst: chooses the background; "
            "MassGap counts as NSBH or BBH",
        }
        | _PROVENANCE,
    ),
    "lvc_gracedb_event_data.json": (
        "The alert in the form of the original LLAMA.",
        {key: _INFO[key] for key in ("graceid", "notice", "far", "group", "pipeline", "search")}
        | {key: _INFO[key] for key in ("instruments", "significant", "retracted")}
        | {
            "gpstime": "time of the event [GPS s]",
            "classification.*": "probabilities of the classes",
            "properties.*": "such as HasNS",
            "external_coinc": "LVK's own coincidence, if the alert has one; else null",
            "labels": "GraceDB's labels, if they are known",
            "extra.*": "what else the alert says; of a catalogue's event which map was chosen",
            "left_out": "fields of the alert that cannot be used, and why",
            "urls.*": "addresses in the alert",
        }
        | _PROVENANCE,
    ),
    "lvc_skymap.hdf5": (
        "The sky map as tiles. A map without distance has no `dist...`.",
        _TILES
        | {
            "attribute input_sha256": "sha256 of the map as published",
            "attribute prob_sum": "sum of the published probabilities, before they were normalised",
            **{
                f"attribute {key}": "only if the published map says so"
                for key in (
                    *("creator", "object", "instruments", "date_obs"),
                    *("distmean_mpc", "diststd_mpc"),
                )
            },
            "attribute software": "program, version and commit",
            "attribute code_sha256": "sha256 of the package's code",
        },
    ),
    "map_background.hdf5": (
        "Background of the event's sky map, weighted ([method.md](method.md)).",
        {
            **{
                group: meaning
                for place, words in (("", ""), ("without_energy/", ", with energies hidden"))
                for group, meaning in (
                    (f"{place}map", f"odds of the injections, ascending{words}"),
                    (f"{place}single/map", f"odds of their neutrinos alone, ascending{words}"),
                    (f"weights/{place}map", "weights of these injections"),
                    (f"weights/{place}single/map", "weights of these neutrinos"),
                )
            },
            "*bursts": "only with [bursts](messengers.md): the same with those of chance; of no "
            "neutrinos alone",
            "bursts attribute *": "only with bursts: the same",
            "map attribute n": "number of injections; one in ten has its energies hidden",
            "map attribute p_astro": "p_astro of each trigger",
            "map attribute rate_hz": "rate of background neutrinos [Hz]",
            "map attribute seed": "seed",
            "map attribute sampling": "weighted",
            "map attribute archive": "identity of the neutrino archive",
            "map attribute inputs": "sha256 of each input, by its name (JSON)",
            "map attribute settings_sha256": "hash of the settings that were used",
            "map attribute software": "program, version and commit",
            "map attribute code_sha256": "sha256 of the package's code",
        },
    ),
    "lvc_skymap_distances.json": (
        "Size and distance of the map.",
        {
            "area_50_deg2": "area of the 50 % region [deg²]",
            "area_90_deg2": "area of the 90 % region [deg²]",
            "tiles": "number of tiles",
            "distance": "map, or assumed for maps without",
            "distmean_mpc": "mean distance, as the map's header says [Mpc]",
            "diststd_mpc": "its standard deviation [Mpc]",
            "tiles_distmean_mpc": "mean distance, computed from the tiles [Mpc]",
            "tiles_diststd_mpc": "its standard deviation [Mpc]",
        }
        | _PROVENANCE,
    ),
    "icecube_neutrino_list.json": (
        "The neutrinos about the event ([neutrinos.md](neutrinos.md)).",
        {
            "window.start": "begin (UTC)",
            "window.stop": "end (UTC)",
            "window.start_gps": "begin [GPS s]",
            "window.stop_gps": "end [GPS s]",
            "window.centre_gps": "time of the event [GPS s]",
            "window.half_width_s": "half of its length [s]",
            "window_state": "closed, or open when the list was made",
            "complete": "whether every source says that no more will come, and all of it is usable",
            "unusable": "data of a source that cannot be used, one sentence each",
            "livetime_s": "time of the window in which the detector observed [s]; null if unknown",
            "retrieved_at": "when the sources were asked (UTC)",
            "seed": "of scrambled neutrinos; else null",
            "source.*": "the sources, or the file that was given; `scrambled` if its neutrinos are "
            "[moved](catalogue.md#neutrinos-that-never-came): from which archive, with which seed",
            "detectors.*": "only with [several detectors](neutrinos.md#several-detectors): whether "
            "each was on, or why not, and its part of the list",
            "events[].detector": "only with several detectors: which of them",
        }
        | _below("events[].", _NEUTRINO | _MAP)
        | {
            "events[].map_url": "only with a map that was fetched: from where",
            "events[].map_problem": "only if a map cannot be used: why",
            "events[].sigma_stated": "only with a map: the list's sigma; `sigma` is that of the "
            "circle with the map's 90 % area",
        }
        | _PROVENANCE,
    ),
    "significance_lvc-i3.json": (
        "The result ([method.md](method.md)). A low-significance alert has "
        "`significance_subthresh_lvc-i3.json`.",
        {
            "odds_ratio": "a common source over everything else",
            "p_value": "how often chance does as well: p_value_class, or without it p_value_map; "
            "with [bursts](messengers.md) the latter",
            "p_value_method": "class or map, which of the two it is; null if it is null",
            "p_value_reason": "why it is null; else null",
            "p_value_map": "for this sky map, by the event's own background; null if there is none",
            "p_value_map_error": "its standard error; likewise",
            "p_value_map_effective": "effective number of injections that decide it; likewise",
            "p_value_map_reason": "why it is null; else null",
            "n_map_background": "injections of the event's own background",
            "p_value_class": "for a sky map of its class; null without a background of that",
            "p_value_class_error": "its standard error; likewise",
            "p_value_class_effective": "effective number of injections that decide it; likewise",
            "p_value_class_reason": "why it is null; else null",
            "p_value_class_near": "if it has no background: the nearest classes that have one",
            "p_value_class_maps": "sky maps in the class's background; null if it is not known",
            "p_value_population": "the class",
            "p_value_error": "standard error of the p-value",
            "p_value_effective": "effective number of injections that decide it, (Σ w)² / Σ w²",
            "n_background": "its number of injections",
            "p_value_p_astro": "p_astro of the background's triggers",
            "p_value_odds": "the odds taken to that p_astro, which are compared",
            "p_value_without_energy": "whether both are without energies, since one is not known",
            "p_value_circles": "neutrinos with a map, which p-values take as circles of equal area",
            "alert_kind": "kind of alert, such as significant CBC; null if none was sent",
            "alert_rate_per_year": "so many alerts of this kind there are [1/yr]",
            "joint_far_per_year": "p-value times that rate; null without",
            "joint_far_hz": "the same [Hz]",
            "joint_far_is_limit": "whether it is less than that: no injection reaches the odds",
            "joint_far_reason": "why there is none; else null",
            "p_astro": "as in p_astro.json; 1e-30 for 0, which is a rounded value",
            "p_astro_joint": "the same, with the neutrinos taken into account",
            "p_h_0": "1: noise and background neutrinos, to which the others relate",
            "p_h_s1": "Λ_s: a common source",
            "p_h_s2": "Λ_cgw: a real wave, neutrinos from the background",
            "p_h_c": "Λ_cgw + Λ_cν: chance coincidences with something real",
            "posterior.coincidence": "probability of a common source",
            "posterior.gw_only": "of a real wave alone",
            "posterior.neutrino_only": "of noise and a cosmic neutrino",
            "posterior.noise": "of neither",
            "most_probable_direction.ra": "where the joint map is highest [deg]",
            "most_probable_direction.dec": "likewise [deg]",
            "energy_response": "smearing (simulation), or area at the reconstructed energy; of "
            "each detector where there are several",
            "psf": "mixture (simulation), or gaussian; likewise",
            "unlike_background": "how its neutrinos differ from the background's, in words",
            "distance": "map, or assumed",
            "assumed_distance.horizon_mpc": "only if assumed: how far sources may be [Mpc]",
            "assumed_distance.farther_mpc": "only if assumed: ten times that",
            "assumed_distance.odds_ratio_farther": "only if assumed: the odds with it",
            "single_neutrino[].i3event": "IceCube's event",
            **_below(
                "single_neutrino[].",
                {k: _NEUTRINO[k] for k in ("id", "dt", "ra", "dec", "sigma")} | _MAP,
            ),
            "single_neutrino[].detector": "only with several detectors: which of them",
            "single_neutrino[].radius_90_deg": "radius that holds 90 % of its point spread (`psf`) "
            "at its declination [deg]; null if no source gives such a neutrino",
            "single_neutrino[].odds_ratio": "odds of this neutrino alone",
            "single_neutrino[].p_value": "how often a whole window of chance has odds as high as "
            "those of this neutrino alone; the smallest first",
            "single_neutrino[].p_value_error": "its standard error",
            "single_neutrino[].p_value_effective": "effective number of injections that decide it",
            "single_neutrino[].p_value_neutrino": "how often those of a neutrino of chance are; "
            "null without such odds in the background",
            "explanation.members": "the neutrinos that give most of the odds",
            "explanation.factors.*": "the odds as a product ([pages.md](pages.md#explained-odds))",
            "explanation.probability_of_count": "that a source towards us gives so many neutrinos",
            "explanation.expected_background": "neutrinos expected by chance in the window",
            "explanation.fb": "beaming factor",
            "dump.largest_set": "most neutrinos that were taken together",
            "dump.sets[].neutrinos": "a set of neutrinos, the best first, 50 at most",
            "dump.sets[].lambda_s": "its part of Λ_s",
            "neutrino_flux_sensitivity_range.flux_sensitivity": "lowest and highest in "
            "the 90 % region [GeV cm^-2]",
            "neutrino_flux_sensitivity_range.sensitive_energy_range": "energies that give "
            "90 % of the events [GeV]",
            "inputs.gw_skymap_info.*": "skymap_info.json as it was",
            "inputs.neutrino_info[].*": "the neutrinos as they were",
            "inputs.search_parameters.*": "block `search` of the settings, and the class",
            "inputs.neutrino_source.*": "only of scrambled neutrinos: the archive and seed",
            "inputs.burst_info[].*": "only with [bursts](messengers.md): the list as it was",
            "inputs.grb_parameters.*": "only with bursts: the model of the list",
            "inputs.grb_instruments.*": "only with bursts that were heard: whose count",
            "without_bursts.*": "only with bursts: odds, p-value, joint FAR of the neutrinos alone",
            "provenance.background_sha256": "of the background's numbers; null without",
            "provenance.code_sha256": "sha256 of the package's code",
        }
        | _PROVENANCE,
    ),
    "combined_skymap.json": (
        "Where the source is with the neutrinos ([method.md](method.md#the-combined-sky-map)): "
        "sizes of `combined_skymap.multiorder.fits`, which is given that the wave is real, and of "
        "`coincidence_skymap.multiorder.fits`, given a common source. `snakemake EVENT/regions` "
        "writes their 50 and 90 % regions into `regions/`, as MOCs and for DS9 and Aladin.",
        {
            f"{map_}.{key}": f"{words}{only}"
            for map_, only in (
                ("gw", "; of the wave's own map"),
                ("combined", "; given that the wave is real"),
                ("coincidence", "; given a common source"),
            )
            for key, words in (
                ("area_50_deg2", "area of the 50 % region [deg²]"),
                ("area_90_deg2", "area of the 90 % region [deg²]"),
                ("tiles", "number of tiles"),
                ("distmode_mpc", "most probable distance [Mpc]; null without"),
                ("distmean_mpc", "mean distance, as the header says [Mpc]; null without"),
                ("diststd_mpc", "its standard deviation [Mpc]; null without"),
            )
        }
        | _PROVENANCE,
    ),
    "latency.json": (
        "How fast it went ([running.md](running.md#how-fast-it-went)).",
        {
            "graceid": _INFO["graceid"],
            "event_time": _INFO["event_time"],
            "revisions[].revision": "number of the alert",
            "revisions[].kind": "Preliminary, Initial, Update, Retraction, ...",
            "revisions[].notice_time": "when it was made (UTC)",
            "revisions[].steps.*": "each step's `time`, `after_event_s`, `after_notice_s`; or null",
        }
        | _PROVENANCE,
    ),
    "gcn_notice.json": (
        "The notice as GCN's schema lvk_nu_track_search has it. Numbers are rounded.",
        {
            "$schema": "address of the schema",
            "type": "name of the notice",
            "ref_ID": "id on GraceDB",
            "reference.*": "the alert",
            "record_number": "revision",
            "alert_datetime": "date of the list of neutrinos (UTC)",
            "alert_tense": "current, or test",
            "alert_type": "initial, update or retraction",
            "trigger_time": "time of the event (UTC)",
            "observation_start": "begin of the window (UTC)",
            "observation_stop": "end of the window (UTC)",
            "observation_livetime": "only if known: time observed within the window [s]",
            "pval_bayesian": "p-value of this analysis",
            "pval_generic": "null: that of IceCube's other analysis",
            "n_events_coincident": "only if there are p-values: number of neutrinos listed",
            "coincident_events[].id": "name of the neutrino",
            "coincident_events[].event_dt": "time after the event [s]",
            "coincident_events[].event_pval_bayesian": "its p-value alone",
            "coincident_events[].event_pval_generic": "null",
            "coincident_events[].localization.ra": "right ascension [deg]",
            "coincident_events[].localization.dec": "declination [deg]",
            "coincident_events[].localization.ra_dec_error": "its radius_90_deg, with",
            "coincident_events[].localization.containment_probability": "so much probability: 0.9",
            "coincident_events[].localization.systematic_included": "false",
            "most_probable_direction.ra": "only with two neutrinos or more [deg]",
            "most_probable_direction.dec": "only with two neutrinos or more [deg]",
            "neutrino_flux_sensitivity_range.*": "as in the significance file",
            "additional_info": "what energies and point spread are from, the joint false-alarm "
            "rate, and where the source is if neutrinos are listed; not in a retraction",
        },
    ),
    "manifest.json": (
        "All products, and what they were made from.",
        {
            "made_at": "when (UTC)",
            "command": "what makes it all again",
            "software": "program, version and commit",
            "code_sha256": "sha256 of the package's code",
            "versions.*": "of Python's libraries",
            "settings.*": "all settings",
            "settings_sha256": "their hash",
            "products.*": "for each product and each alert `bytes`, `mtime` [Unix s] and `sha256`",
            "made_by.*": "version and code of the two products that take longest",
            "external.*": "background and detector response: name and sha256",
        },
    ),
    "receipts/<channel>.json": (
        "What was sent, or why not ([publishing.md](publishing.md)).",
        {
            "channel": "slack, gracedb, gcn, icecube, webhook or circular",
            "destination": "where to; null for none",
            "audience": "real or test",
            "status": "sent, updated, withdrawn or refused",
            "reasons": "why it was refused",
            "sent_at": "when the last message went (UTC)",
            "remote_id": "its id there",
            "payload_sha256": "sha256 of what was sent",
            "revision": "of the alert that it is about",
            "notice": "name of that alert",
            "history[].*": "the same of all messages, with key, kind and what it refers to",
            "standing[].*": "messages that have not been withdrawn, with their channel",
        },
    ),
    "upper_limit_lvc-i3.json": (
        "On request ([studies.md](studies.md#upper-limit-of-one-event)).",
        {
            "e_iso_erg": "limit of the isotropic-equivalent energy [erg]; null without",
            "e_iso_low_erg": "lower end of its statistical error [erg]",
            "e_iso_high_erg": "upper end [erg]",
            "reason": "why there is none; else null",
            "confidence": "level of confidence",
            "odds_ratio": "observed odds",
            "p_value": "observed p-value",
            "p_astro": "of the event",
            "injections.*": "injections of each kind",
            "exceeding.*": "share of sources with so many neutrinos that exceed the observed odds",
            "distance_mpc.*": "quantiles of the distance of the sources [Mpc]",
            "distance": "map, or assumed",
            "expected_from_1e51_erg": "mean count from 1e51 erg",
            "spectrum": "of the neutrinos",
            "energy_range_gev": "in which the energy is counted [GeV]",
        }
        | _PROVENANCE,
    ),
    "upper_limit_lvc-i3.hdf5": (
        "Its injections.",
        {
            "<kind>/odds": "odds of sources with one, two or four neutrinos at the event's p_astro",
            "<kind>/expected": "neutrinos that each source gives on average from 1e51 erg",
        },
    ),
}
CATALOGUE: dict[str, tuple[str, dict[str, str]]] = {
    "<run>/catalogue.json": (
        "The events of a run as one search ([catalogue.md](catalogue.md)). `catalogue.ecsv` is "
        "`events` as a table with units.",
        {f"events[].{name}": _column(*about) for name, about in COLUMNS.items()}
        | {
            "run": "current_run, or past_runs/<name>",
            "n_events": "number of events",
            "n_tested": "number of those with a p-value",
            "p_value_method": "map: all p-values are for the sky map of each event",
            "left_out.*": "other events of the run, with the reason",
            "best_event.*": "event with the smallest p-value, and that after all trials",
            "counts[].*": "how many events have a p-value at most each level, by chance and here",
            "binomial_scan.k": "number of smallest p-values that are the least probable",
            "binomial_scan.events": "these events",
            "binomial_scan.local": "binomial p-value of these alone",
            "binomial_scan.p_value": "after the scan over all k",
            "p_value_band.*": "2 sigma band of the ordered p-values of chance",
            "summed_odds.sum": "sum of log(1 + odds)",
            "summed_odds.p_value": "how often chance has such a sum",
            "summed_odds.p_value_error": "its standard error",
            "stacked_limit.e_iso_erg": "energy in neutrinos that not all mergers emit [erg]",
            "stacked_limit.energies_erg": "energies [erg]",
            "stacked_limit.fractions": "at most such a fraction of mergers emits each; null: any",
            "stacked_limit.confidence": "level of confidence",
            "share_neutrinos": "pairs of events so close in time that they share neutrinos",
        }
        | _PROVENANCE,
    ),
}
ARCHIVE: dict[str, tuple[str, dict[str, str]]] = {
    "archive/<name>/archive.json": (
        "What was imported. An older configuration has all of these files in a directory of its "
        "own, as `archive/<name>/IC79`.",
        {
            "name": "name of the archive; of an older configuration, <name>/IC79",
            "source": "where it was imported from",
            "identity": "changes when a number does",
            "simulated": "true for a mock",
            "seasons": "seasons of the release",
            "event_seasons": "those whose events are in it",
            "left_out_seasons": "those whose events are in no archive of the import",
            "effective_area_season": "the one whose effective area is used",
            "smearing": "smearing matrix: own, public IC86, or null",
            "smearing_reason": "its file, or why it is not the release's own",
            "unlike": "a sentence for each season that does not fit the others",
            "events": "number of events",
            "first_gps": "the first [GPS s]",
            "last_gps": "the last [GPS s]",
            "livetime_s": "uptime [s]",
            "counts.*": "rows of each file: kept, and left out why",
            "background": "only of other detectors: sidereal mean, where that is all that is known",
            "site": "only of detectors that see the sky turn: latitude and longitude [deg]",
            "drawn": "only of a table of rates: true, its events are drawn and never happened",
            "inputs.*": "sha256 of each file",
            "software_version": "version that imported it",
        },
    ),
    "archive/<name>/events.hdf5": (
        "Its events, ascending in time.",
        {
            "events/gps": "time [GPS s]",
            "events/mjd": "time [MJD, UTC]",
            "events/ra_deg": "right ascension [deg, ICRS]",
            "events/dec_deg": "declination [deg]",
            "events/sigma_deg": "angular uncertainty, 1 sigma [deg]",
            "events/energy_gev": "reconstructed energy [GeV]",
            "events/zenith_deg": "zenith at the detector [deg]",
            "events/azimuth_deg": "azimuth at the detector [deg]",
            "events/run": "IceCube's run, −1 if unknown; likewise",
            "events/event": "event",
            "events/subevent": "subevent",
            "uptime": "begin and end of each good run [GPS s]",
            "effective_areas/*": "of each season, over the edges of its bins",
        },
    ),
    "archive/<name>/response.hdf5": (
        "The detector, over log10(E/GeV) and sin(dec). Integrals are trapezoids. Of one that sees "
        "the sky turn, the group `local` has the same over sin(altitude); so in `detector.hdf5`.",
        {
            "log10_energy": "nodes in log10(E/GeV), x",
            "sin_dec": "nodes in sin(dec), s",
            "effective_area_cm2": "[x, s] effective area [cm²]",
            "flux_area_cm2_gev": "[s] its integral over E^-2 dE [cm² GeV^-1]",
            "area_relative": "[s] that over its mean over the sky",
            "signal_per_dex": "[x, s] density in x of neutrinos of an E^-2 source",
            "background_per_dex": "[x, s] density in x and s of the archive's events",
            "attribute season": "season of the effective area",
            "attribute rate_hz": "rate of the archive's events [Hz]",
            "attribute sigma_floor_deg": "the smallest error that they state [deg]",
        },
    ),
    "archive/<name>/detector.hdf5": (
        "What a smearing matrix makes of it, over log10(proxy/GeV), log10(AngErr/deg) and "
        "sin(dec), on the nodes in `llama.neutrinos.detector`; there if `smearing` is not null.",
        {
            "signal_per_dex": "[x, s] density in x of neutrinos of an E^-γ source",
            "signal_angerr": "[x, a, s] density in a of those with a proxy",
            "weights": "[x, a, component, s] of the point-spread function",
            "background_per_dex": "[x, s] density in x and s of the archive's events",
            "background_angerr": "[x, a, s] density in a of those with a proxy",
            "true_per_dex": "[x, s] density of the true energy",
            "area_relative": "[s] as in `response.hdf5`; likewise",
            "flux_area_cm2_gev": "[s] effective area over E^-2 dE [cm² GeV^-1]",
            "attribute season": "season of the effective area",
            "attribute gamma": "γ",
            "attribute rate_hz": "rate of the archive's events [Hz]",
            "attribute sigma_floor_deg": "the smallest error that they state [deg]",
        },
    ),
    "archive/<name>/smearing.hdf5": (
        "The release's own smearing matrix: cells of true energy and declination.",
        {
            "log10_energy": "edges in log10(E/GeV)",
            "dec_deg": "edges in declination [deg]",
            "edges": "[E, dec, axis, bin] edges of log10(proxy/GeV), angle and AngErr [deg]",
            "events": "[E, dec, proxy, angle, AngErr] simulated events",
            "attribute source": "file that it was read from",
        },
    ),
    "populations.hdf5": (
        "Backgrounds of the p-values; names of classes are split at the first two hyphens.",
        {
            "<population>/<run>/<detectors>": "odds of all injections, ascending",
            "single/<population>/<run>/<detectors>": "odds of all their neutrinos alone, ascending",
            "without_energy/<population>/<run>/<detectors>": "of one in ten, with energies hidden",
            "without_energy/single/<population>/<run>/<detectors>": "of their neutrinos, likewise",
            "weights/<population>/<run>/<detectors>": "only weighted: weights of the injections; "
            "weights/single, weights/without_energy, weights/without_energy/single likewise",
            "maps/<population>/<run>/<detectors>": "only weighted: sky map of each injection; "
            "maps/without_energy likewise",
            "<population>/<run>/<detectors> attribute n": "number of injections",
            "<population>/<run>/<detectors> attribute p_astro": "p_astro of each trigger",
            "<population>/<run>/<detectors> attribute seed": "seed",
            "<population>/<run>/<detectors> attribute settings_sha256": "hash of the settings",
            "<population>/<run>/<detectors> attribute n_maps": "only if known: number of sky maps "
            "that were drawn from",
            "<population>/<run>/<detectors> attribute sampling": "only weighted: weighted",
            "<population>/<run>/<detectors> attribute archive": "only weighted: identity of the "
            "neutrino archive",
        },
    ),
    "populations.json": (
        "Its index.",
        {
            "<class>.n": "number of injections",
            "<class>.p_astro": "p_astro of each trigger",
            "<class>.seed": "seed",
            "<class>.settings_sha256": "hash of the settings",
            "<class>.n_maps": "only if known: number of sky maps that were drawn from",
            "<class>.sampling": "only weighted: weighted",
            "<class>.archive": "only weighted: identity of the neutrino archive",
            "<class>.sha256": "of the numbers",
        },
    ),
}
STUDY: dict[str, tuple[str, dict[str, str]]] = {
    "studies/<class>/skymaps/part-<n>.hdf5": (
        "Part of the bank of sky maps; map k of the part is in `maps/k`, with detectors that see "
        "the sky turn with the time of its injections as attribute `gps`.",
        _below("maps/<k>/", _TILES)
        | {
            "maps/<k>/weights": "w_n of each prepared tile for n = 0 to 4 neutrinos",
            "maps/<k>/prepared_order": "order of the prepared tiles, wide ones divided",
            "maps/<k>/prepared_ipix": "their index",
            "attribute weights": "hash of the settings that the weights depend on",
        }
        | _BROKEN,
    ),
    "studies/<class>/skymaps.hdf5": (
        "The bank: links to all parts.",
        {
            "maps/<k>": "link to map k",
            "broken_files": "files that cannot be read",
            "without_distance": "indices of maps without distance",
            "attribute maps": "number of maps",
            "attribute broken_maps": "how many of them cannot be read",
            "attribute injections": "most that there can be; −1 for no limit",
            "attribute weights": "hash of the settings that the weights depend on",
        }
        | _BROKEN,
    ),
    "studies/<class>/<kind>/shard-<n>.hdf5": (
        "Injections; the kind is background, signal, doublet or quadruplet.",
        {
            "injections": "one row each:",
            "injections.odds": "odds ratio",
            "injections.neutrinos": "number of neutrinos in the window",
            "injections.skymap": "index in `skymaps`",
            "injections.lambda_s": "Λ_s, likewise",
            "injections.lambda_cgw": "Λ_cgw",
            "injections.lambda_cnu": "Λ_cν",
            "injections.weight": "only weighted: weight of the injection",
            "injections.ra_deg": "only with a source: right ascension [deg], and",
            "injections.dec_deg": "only with a source: declination [deg]",
            "injections.distance_mpc": "only with a source: distance [Mpc]",
            "injections.expected": "only with a source: neutrinos expected from 1e51 erg",
            "single": "odds of each neutrino alone, injection after injection",
            "odds_without_energy": "odds of one injection in ten with its energies hidden",
            "single_without_energy": "of their neutrinos, likewise",
            "injections_without_energy": "only weighted: rows of these, as of `injections`",
            "skymaps": "files of the maps",
            "attribute kind": "kind of injections; weighted of weighted background",
            "attribute archive": "only weighted: identity of the neutrino archive",
            "attribute first": "number of the first one",
            "attribute n_maps": "number of the maps that are drawn from, without broken ones",
            "attribute seed": "seed; −1 for pairs",
            "attribute p_astro": "p_astro of each trigger",
            "attribute settings_sha256": "hash of the settings",
            "attribute software": "program, version and commit",
        },
    ),
    "studies/<class>/<kind>/plan.json": (
        "How many shards there should be beside it, written before the first one is made.",
        {"injections": "number of injections", "shard_size": "injections in each shard"},
    ),
    "studies/<class>.txt.json": (
        "Beside a table: what it should contain.",
        {
            "rows": "number of injections in the table",
            "sha256": "of the table",
            "injections": "number of injections planned; null if unknown",
        },
    ),
    "studies/<class>/sensitivity.json": (
        "What a study can see ([studies.md](studies.md#what-it-can-see)).",
        {
            "study": "class",
            "injections.*": "number of injections of each kind",
            "sampling": "how the background was drawn, plain or weighted",
            "skymaps": "number of maps in use",
            "broken_skymaps": "number of maps that cannot be read",
            "p_astro": "of each trigger",
            "triggers_per_year": "of the class",
            "e_iso_erg": "energies of the curves [erg]",
            "thresholds[].name": "p_value or joint_far",
            "thresholds[].criterion": "the same in words",
            "thresholds[].p_value": "largest p-value that is found",
            "thresholds[].reason": "why none can be; else null",
            "thresholds[].background_effective": "effective number of background injections with "
            "at most that p-value",
            "thresholds[].efficiency.*": "share that is found at each energy, and its error",
            "thresholds[].efficiency_signal.*": "of sources with one neutrino",
            "thresholds[].efficiency_doublet.*": "with two",
            "thresholds[].efficiency_quadruplet.*": "with four",
            "thresholds[].e_iso_50.*": "energy of which half is found [erg], with its error",
            "thresholds[].e_iso_90.*": "energy of which 90 % are found [erg], with its error",
            "by_distance[].*": "efficiencies in bins of distance, for each threshold",
            "uniformity.*": "p-values of one half of the background against the other",
            "cumulative.*": "share of each kind with at most a p-value",
            "by_neutrinos[].*": "odds and share found in bins of the number of neutrinos",
            "by_area_90_deg2[].*": "likewise in bins of the map's 90 % area",
        }
        | _PROVENANCE,
    ),
}
CHAPTERS = {
    "Event directory": EVENT,
    "Catalogues": CATALOGUE,
    "Archives and backgrounds": ARCHIVE,
    "Studies": STUDY,
}


def page() -> str:
    """Return the text of docs/files.md."""
    text = """# Files and their keys

Generated by `python tests/bench/files_page.py`; the tests compare it with files that were made.
JSON is UTF-8 without NaN; HDF5 holds little-endian numbers. Times are UTC unless they are GPS,
`a.b` is key b inside of a, `a[].b` key b of each entry of a. What lies where is in the
[manual](manual.md#how-data-is-organized), the spool in [listening.md](listening.md#what-it-keeps),
simulated populations in [populations.md](populations.md).
"""
    for title, files in CHAPTERS.items():
        text += f"\n## {title}\n"
        for name, (what, keys) in files.items():
            text += f"\n### `{name}`\n\n{what}\n\n| key | meaning |\n|---|---|\n"
            text += "".join(f"| `{key}` | {meaning} |\n" for key, meaning in keys.items())
    return text


def undescribed(name: str, path: Path) -> tuple[set[str], set[str]]:
    """Return the keys of a file that are not described, and those described that it lacks.

    name: that of the file on the page; path: of the file, JSON or HDF5.
    """
    (keys,) = (files[name][1] for files in CHAPTERS.values() if name in files)
    found = (
        _json_keys(json.loads(path.read_bytes())) if path.suffix == ".json" else _hdf5_keys(path)
    )
    patterns = {key: _pattern(key) for key in keys}
    unknown = {k for k in found if not any(p.fullmatch(k) for p in patterns.values())}
    missing = {
        key
        for key, pattern in patterns.items()
        if not keys[key].startswith("only") and not any(pattern.fullmatch(k) for k in found)
    }
    return unknown, missing


def _pattern(key: str) -> re.Pattern[str]:
    text = re.escape(key).replace(r"\*", ".*")
    # an object or list that is null or empty has no keys
    text = re.sub(r"((?:\\\[\\\])?\\\.)(\.\*)$", r"(?:\1\2)?", text)
    return re.compile(re.sub(r"<\w+>", "[^/.]+", text))


def _json_keys(value: Any, prefix: str = "") -> set[str]:
    if isinstance(value, dict) and value:
        inner = (_json_keys(v, f"{prefix}.{k}" if prefix else k) for k, v in value.items())
        return set().union(*inner)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return set().union(*(_json_keys(item, f"{prefix}[]") for item in value))
    return {prefix}


def _hdf5_keys(path: Path) -> set[str]:
    import h5py

    found: set[str] = set()

    def add(name: str, item: Any) -> None:
        found.update(f"{name} attribute {key}".strip() for key in item.attrs)
        if isinstance(item, h5py.Dataset):
            found.add(name)
            found.update(f"{name}.{column}" for column in item.dtype.names or ())

    with h5py.File(path) as file:
        add("", file)
        file.visititems(add)
        if "maps" in file:  # links are not visited
            found.update(
                f"maps/{k}"
                for k in file["maps"]
                if file["maps"].get(k, getlink=True).__class__ is h5py.ExternalLink
            )
    return found - {""}


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
