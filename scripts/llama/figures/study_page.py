"""The summary page of a study, from sensitivity.json and its three figures."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from llama.figures.page import Facts, Page, Picture, Rows, Table, provenance_rows, write_page
from llama.figures.text import MISSING, clean, number, p_text

Record = Mapping[str, Any]

_PER_DECADE = 2  # rows of the tables
_FEW = 10  # background injections, by which a p-value is a third off

_FIGURES = (
    (
        "Detection efficiency",
        "Left: fraction of sources found against their energy. Right: the same against their "
        "distance as well.",
        "Left: fraction of the sources of this class that are found, for both criteria; bands are "
        "one standard deviation. Right: the same for p < 0.01 and sources at different distances. "
        "Lines: the energy of which half are found (dashed: joint false-alarm rate).",
    ),
    (
        "Distribution of p-values",
        "Fraction of injections with at most a p-value, for background and for sources.",
        "One half of the background against the other: where p-values are what they say, the black "
        "line stays in the band of 3 standard deviations. On the right, on logarithmic axes, "
        "triggers with one, two and four neutrinos of a source as well.",
    ),
    (
        "By number of neutrinos and area of the map",
        "Odds ratios and fraction with p below 0.01 against the number of neutrinos and the "
        "90 % area of the sky map.",
        "Above: odds ratios (quantiles; odds of 0 are not drawn). Below: fraction with p < 0.01, "
        "which is 0.01 for background as a whole (grey line); arrows: none, from the limit of 1 σ. "
        "Horizontal bars are bins.",
    ),
)


def write_study_summary(
    study: Record,
    figures: Sequence[str | Path],
    html: str | Path,
    pdf: str | Path,
) -> None:
    """Write the page of a study; figures: efficiency, P-P plot and distributions as PNG."""
    pictures = [Picture(*words, png) for words, png in zip(_FIGURES, figures, strict=True)]
    write_page("study", study_content(study), pictures, html, pdf)


class StudyTable(Table):
    """A section of a sentence and a table."""

    heading: str
    text: str


class StudyPage(Page):
    """The page as plain lists and strings."""

    result: Facts
    study: Facts
    tables: list[StudyTable]
    provenance: Facts


def study_content(study: Record) -> StudyPage:
    """Return what the page says."""
    name, made = clean(study["study"], 60), study.get("provenance") or {}
    return {
        "title": f"{name}: what the search can see",
        "marks": ["SIMULATION"],
        "lead": _lead(study),
        "result": {"heading": "Result", "rows": _result(study)},
        "study": {"heading": "Study", "rows": _study(study)},
        "tables": [_energies(study), _distances(study)],
        "provenance": {
            "heading": "Provenance",
            "rows": [
                *provenance_rows({k: v for k, v in made.items() if k != "inputs"}),
                ("Shards", f"{len(made.get('inputs') or {}):,}, hashes in sensitivity.json"),
                ("Make it again", f"snakemake studies/{name}/all"),
            ],
        },
    }


def _lead(study: Record) -> str:
    threshold = study["thresholds"][0]
    if threshold["reason"]:
        return f"Nothing can be found: {clean(threshold['reason'], 300)}."
    half, most = (threshold[f"e_iso_{k}"]["value_erg"] for k in (50, 90))
    if half is None:
        return "Not even half of the brightest sources of this class are found with p < 0.01."
    words = f"Half of the sources of this class are found with p < 0.01 if they emit {_erg(half)}"
    words += f", 90 % if they emit {_erg(most)}" if most is not None else ""
    return words + " in neutrinos (isotropic equivalent)."


def _erg(value: float | None) -> str:
    return MISSING if value is None else f"{value:.1e} erg"


def _result(study: Record) -> Rows:
    rows = []
    for threshold in study["thresholds"]:
        criterion = clean(threshold["criterion"])
        if threshold["reason"]:
            rows.append((criterion, clean(threshold["reason"], 300)))
            continue
        rows += [(f"{k} % found, {criterion}", _range(threshold[f"e_iso_{k}"])) for k in (50, 90)]
        shares = [
            _share(threshold[f"efficiency_{kind}"]) for kind in ("signal", "doublet", "quadruplet")
        ]
        rows.append((f"Found with 1, 2, 4 neutrinos, {criterion}", ", ".join(shares)))
        if (few := threshold["background_effective"]) < _FEW:
            words = f"only {few:.1f} background injections, in effect, have such a p-value"
            rows.append((f"Uncertain: {criterion}", words))
    return rows


def _range(energy: Record) -> str:
    low, value, high = (energy[f"{name}_erg"] for name in ("low", "value", "high"))
    if value is None:
        return "no energy is enough"
    return f"{_erg(value)} (1 σ: {number(low, '.1e')} to {number(high, '.1e')})"


def _share(share: Record) -> str:
    return f"({100 * share['value']:.1f} ± {100 * share['error']:.1f}) %"


def _study(study: Record) -> Rows:
    counts, check = study["injections"], study["uniformity"]
    joint = next(t for t in study["thresholds"] if t["name"] == "joint_far")
    zero = check["zero_odds"]
    broken = f", {study['broken_skymaps']:,} left out" if study["broken_skymaps"] else ""
    kinds = f"{counts['signal']:,}, {counts['doublet']:,}, {counts['quadruplet']:,}"
    return [
        ("Background injections", f"{counts['background']:,}, {clean(study['sampling'])}"),
        ("With 1, 2, 4 neutrinos of a source", kinds),
        ("Sky maps", f"{study['skymaps']:,}{broken}"),
        ("p_astro of every trigger", f"{study['p_astro']:.4g}"),
        (
            "Gravitational-wave triggers",
            f"{study['triggers_per_year']:g} per year: joint FAR of 1 per 100 years is "
            f"p = {joint['p_value']:.2g}",
        ),
        (
            "p-values of held-out background",
            f"{check['n_tested']:,} against {check['n_reference']:,}: Kolmogorov-Smirnov "
            f"p = {p_text(check['ks_p_value'])}; odds 0 in {zero[1]:,} against {zero[0]:,} "
            f"({check['zero_odds_sigma']:+.1f} σ)",
        ),
    ]


def _energies(study: Record) -> StudyTable:
    energies = np.array(study["e_iso_erg"])
    usable = [t for t in study["thresholds"] if not t["reason"]]
    values = [np.array(t["efficiency"]["value"]) for t in usable]
    rows = [
        [
            f"{energies[k]:.1e}",
            *(_percent(t["efficiency"]["value"][k], t["efficiency"]["error"][k]) for t in usable),
        ]
        for k in _shown(energies, values)
    ]
    return {
        "heading": "Efficiency against energy",
        "text": "A source that emits an isotropic-equivalent energy E in neutrinos gives a Poisson "
        "number of them, which depends on its distance and declination; both are drawn from the "
        "sky maps. A source that gives none counts as not found, three neutrinos count as two, "
        "more than four as four, so that efficiencies are rather too low than too high.",
        "caption": "Fraction of sources found, in percent, ± 1 σ of the injections",
        "header": ["E (erg)", *(clean(t["criterion"]) for t in usable)],
        "rows": rows,
    }


def _distances(study: Record) -> StudyTable:
    energies, found = np.array(study["e_iso_erg"]), study["by_distance"][0]
    edges, value, error = found["distance_mpc"], found["value"], found["error"]
    shown = _shown(energies, [np.array(of_bin) for of_bin in value])[::_PER_DECADE]
    return {
        "heading": "Efficiency against distance",
        "text": "The same for p < 0.01, for sources in bins of their distance, each with equally "
        "many; the nearest and the farthest percent are left out.",
        "caption": "Fraction of sources found with p < 0.01, in percent, ± 1 σ of the injections",
        "header": ["Distance (Mpc)", *(f"{energies[k]:.0e} erg" for k in shown)],
        "rows": [
            [f"{low:.0f} to {high:.0f}", *(_percent(value[b][k], error[b][k]) for k in shown)]
            for b, (low, high) in enumerate(itertools.pairwise(edges))
        ],
    }


def _shown(energies: Any, curves: list[Any]) -> list[int]:
    """Return every fifth energy, from where the first curve rises to where the last is flat."""
    step = 10 // _PER_DECADE
    if not curves:
        return []
    rising = np.any([(c > 0.001) & (c < 0.995 * c.max()) for c in curves], axis=0)
    where = np.flatnonzero(rising)
    if where.size == 0:
        return list(range(0, energies.size, step))
    first, last = where[0] // step * step, -(-where[-1] // step) * step
    return [k for k in range(first, last + 1, step) if k < energies.size]


def _percent(value: float, error: float) -> str:
    return f"{100 * value:.1f} ± {100 * error:.1f}"
