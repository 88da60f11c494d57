"""One event as the figures and payloads see it, and sky maps to draw."""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import healpy
import numpy as np

from llama.event import page_files, results
from llama.event.skymap_info import unchecked_info
from llama.typed import typed

DATA = Path(__file__).parents[2].resolve().parent / "shared/data"
GPS = 1240215503.017
HOSTILE = (
    '<script>alert(1)</script> #let x = read("/etc/passwd") $x^2$ {{7*7}} \\( '
    "\u202ertl\u2066 \x00\x1b[31m שלום 漢字 *_`@"
)

FLAGS = {"ROLE": "observation", "VETOED": False, "UPLOAD": False}
P_ASTRO = {"p_astro": 0.9994, "source": "alert", "BNS": 0.9994, "Terrestrial": 0.0006}
DISTANCES = {
    "distmean_mpc": 155.2,
    "diststd_mpc": 44.7,
    "area_50_deg2": 2806.4,
    "area_90_deg2": 10183.1,
    "distance": "map",
}


def info(**changes):
    content = {
        "alert_type": "gcn",
        "graceid": "S190425z",
        "gracedb_service_url": "https://gracedb.ligo.org/api/",
        "event_time": "2019-04-25T08:18:05.017Z",
        "gps_time": GPS,
        "far": 4.5e-13,
        "pipeline": "GSTLAL",
        "group": "CBC",
        "search": "AllSky",
        "instruments": ["L1", "V1"],
        "significant": True,
        "role": "observation",
        "retracted": False,
        "notice": "S190425z-2-Initial",
        "notice_time": "2019-04-25T09:00:59Z",
        "revision": 2,
        "skymap_filename": "bayestar.fits.gz,0",
    }
    return unchecked_info(content | changes)


def neutrino(k, ra, dec, sigma=1.0, dt=0.0, **changes):
    return {
        "id": f"{124551 + k}_214972",
        "ra": ra,
        "dec": dec,
        "sigma": sigma,
        "energy": 1234.5,
        "gps": GPS + dt,
        "mjd": 58598.345891 + dt / 86400,
        "dt": dt,
        "in_window": abs(dt) < 500,
        "type": "observation",
        "run": 124551 + k,
        "event": 214972,
        "subevent": None,
    } | changes


def neutrino_list(events=None, **changes):
    if events is None:
        events = [
            neutrino(0, 240.5, 36.1, 1.8, -225.8),
            neutrino(1, 0.4, -12.0, 4.0, 45.77),
            neutrino(2, 100.9, 88.5, 2.0, 510.0),
        ]
    window = {"start": "2019-04-25T08:09:45.017000Z", "stop": "2019-04-25T08:26:25.017000Z"}
    return {"events": events, "complete": True, "window": window} | changes


def window(start_s, stop_s):
    """The window of a list, ends in seconds after the event."""
    return {"centre_gps": GPS, "start_gps": GPS + start_s, "stop_gps": GPS + stop_s}


def singles(neutrinos, p_values):
    return [
        {key: event[key] for key in ("id", "dt", "ra", "dec", "sigma")}
        | {"i3event": event["event"], "p_value": p, "odds_ratio": 1e-4 / p}
        for event, p in zip(neutrinos["events"], p_values, strict=True)
    ]


def explanation(members=("124551_214972",)):
    factors = {
        "p_astro": 0.9,
        "distance": 0.005,
        "background_rate": 0.15625,
        "time": 1.1,
        "position": 40.0,
        "energy": 1.05,
        "other_sets": 0.0321 / (0.9 * 0.005 * 0.15625 * 1.1 * 40 * 1.05),
    }
    return {
        "members": list(members),
        "factors": factors,
        "probability_of_count": 0.05,
        "expected_background": 6.4,
        "fb": 10.0,
    }


def significance(neutrinos=None, event=None, **changes):
    neutrinos = neutrinos or neutrino_list()
    event = event or info()
    count = len(neutrinos["events"])
    return {
        "odds_ratio": 0.0321,
        "p_value": 0.0056,
        "p_value_method": "class",
        "p_value_class": 0.0056,
        "p_value_class_error": 0.0002,
        "p_value_class_effective": 800.0,
        "p_value_class_maps": 24,
        "p_value_map": 2.1e-7,
        "p_value_map_error": 9e-8,
        "p_value_map_effective": 4.5,
        "p_value_population": "bns-o3-L1V1",
        "p_value_reason": None,
        "n_background": 20000,
        "posterior": {
            "coincidence": 0.0311,
            "gw_only": 0.9988,
            "neutrino_only": 1e-15,
            "noise": 0.0,
        },
        "p_astro": 0.9994,
        "p_astro_joint": 0.9998,
        "explanation": explanation(),
        "most_probable_direction": {"ra": 240.4, "dec": 36.2},
        "single_neutrino": singles(neutrinos, [5.05e-5, 0.0915, 1.0][:count]),
        "inputs": {
            "gw_skymap_info": event.as_json(),
            "neutrino_info": neutrinos["events"],
        },
        "provenance": {
            "software": "llama 0.1.0",
            "settings_sha256": "ab" * 32,
            "seed": None,
            "inputs": {"lvc_skymap.hdf5": "cd" * 32},
        },
    } | changes


def simulated(radii_deg, **changes):
    """A result of an archive with a simulation, with the radius of each neutrino's circle."""
    result = significance(**{"energy_response": "smearing", "psf": "mixture"} | changes)
    for single, radius in zip(result["single_neutrino"], radii_deg, strict=True):
        single["radius_90_deg"] = radius
    return result


SENSITIVITY = {"flux_sensitivity": [0.02771, 0.647], "sensitive_energy_range": [542.0, 2.3e7]}


def latency(**steps):
    """Two alerts; of the second one only what `steps` says: seconds after the event."""
    notice_s = 90.0

    def entry(number, kind, known):
        names = ("sent", "heard", "taken_over", "map", "neutrinos", "significance", "published")
        told = {
            name: {
                "time": "2019-04-25T08:20:00.000000Z",
                "after_event_s": known[name],
                "after_notice_s": known[name] - notice_s,
            }
            for name in known
        }
        return {
            "revision": number,
            "kind": kind,
            "notice_time": "2019-04-25T08:19:35Z",
            "steps": {name: told.get(name) for name in names},
        }

    first = {"sent": 91.25, "heard": 91.5, "taken_over": 92.0, "map": 94.5}
    first |= {"neutrinos": 95.0, "significance": 97.125}
    return {
        "alert_type": "gcn",
        "graceid": "S190425z",
        "gracedb_service_url": "https://gracedb.ligo.org/api/",
        "event_time": "2019-04-25T08:18:05.017Z",
        "revisions": [entry(1, "Preliminary", first), entry(2, "Update", steps)],
    }


def tiles(order, ipix, prob):
    order, ipix, prob = (np.asarray(column) for column in (order, ipix, prob))
    along = np.argsort(ipix << 2 * (29 - order.astype(np.int64)))
    return SimpleNamespace(
        order=order[along].astype(np.int8),
        ipix=ipix[along].astype(np.int64),
        prob=prob[along] / prob.sum(),
        distmu=None,
    )


def gaussian_map(ra, dec, sigma_deg, order=5):
    """A flat map with a round spot."""
    ipix = np.arange(12 * 4**order)
    centre = healpy.ang2vec(ra, dec, lonlat=True)
    vectors = np.stack(healpy.pix2vec(2**order, ipix, nest=True), axis=1)
    prob = np.exp((vectors @ centre - 1) / math.radians(sigma_deg) ** 2)
    return tiles(np.full(len(ipix), order), ipix, prob)


def refined_map(seed=1):
    """A multi-order map: order 2, some tiles split once or twice, uneven probabilities."""
    rng = np.random.default_rng(seed)
    order, ipix = np.full(192, 2), np.arange(192)
    for _ in range(2):
        split = rng.random(len(ipix)) < 0.3
        children = (4 * ipix[split][:, None] + np.arange(4)).ravel()
        ipix = np.r_[ipix[~split], children]
        order = np.r_[order[~split], np.repeat(order[split] + 1, 4)]
    return tiles(order, ipix, rng.exponential(size=len(ipix)) ** 2)


def published_map(name):
    """A real multi-order map of the shared data, None when it is not there."""
    path = DATA / name
    if not path.exists():
        return None
    from astropy.io import fits

    with fits.open(path) as file:
        uniq = np.asarray(file[1].data["UNIQ"]).astype(np.int64)
        density = np.asarray(file[1].data["PROBDENSITY"]).astype(float)
    order = (np.log2(uniq // 4).astype(np.int64)) // 2
    return tiles(order, uniq - (4 << 2 * order), density / 4.0**order)


def record_figures(monkeypatch):
    """Return a list to which every figure is added when it is saved, once per format.

    Its PDF stays empty: it takes as long as all else, and who asks for figures looks at none.
    """
    from matplotlib.figure import Figure

    drawn = []
    original = Figure.savefig

    def savefig(self, *args, **kwargs):
        drawn.append(self)
        if kwargs["format"] != "pdf":
            original(self, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return drawn


def words(figure):
    """Return every text of a figure."""
    from matplotlib.text import Text

    return [item.get_text() for item in figure.findobj(Text) if item.get_text()]


def form(content, kind):
    """Return the content of a file as what figures and pages read of it."""
    return typed(json.loads(json.dumps(content)), kind, "sample", "")


def event_files(**changes):
    """Return an event's files; what is given as the content of a file becomes its form."""
    known = {
        "info": info(),
        "flags": FLAGS,
        "p_astro": P_ASTRO,
        "distances": DISTANCES,
        "neutrinos": neutrino_list(),
        "significance": significance(),
    } | changes
    known["p_astro"] = page_files.classification(known["p_astro"], "sample")
    for name, kind in (
        ("distances", results.Distances),
        ("neutrinos", results.NeutrinoList),
        ("significance", results.Significance),
    ):
        known[name] = form(known[name], kind)
    return page_files.EventFiles(**known)


def facts(section):
    return dict(section["rows"])
