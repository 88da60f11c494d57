"""An event, its neutrinos and an archive made here, for the tests of its significance."""

import numpy as np

from llama.event.skymap_info import unchecked_info
from llama.neutrinos.archive import Archive
from llama.neutrinos.importing import import_release
from llama.neutrinos.mock import write_mock_release
from llama.times import gps_to_mjd

GPS = 1238400000.0  # a time of the toy archive
INFO = unchecked_info({
    "alert_type": "igwn-alert", "graceid": "S190404a", "event_time": "2019-04-04T07:59:42.000000Z",
    "gps_time": GPS, "far": 3.85e-5, "pipeline": "GSTLAL", "group": "CBC", "search": "AllSky",
    "instruments": ["L1", "H1"], "significant": True, "role": "test", "retracted": False,
    "gracedb_service_url": "https://gracedb-playground.ligo.org/api/", "revision": 1,
    "notice_time": "2019-04-04T08:00:42.000000Z", "notice": "S190404a-1-Preliminary",
    "skymap_filename": "bayestar.fits.gz,0",
})  # fmt: skip
P_ASTRO = {"p_astro": 0.4, "population": "bns"}
NONE = {"class": "bns-o3-H1L1", "reason": "no background for bns-o3-H1L1; make one"}
# Parameters of the published search's ranking by GW properties, which this statistic replaces
# by p_astro and the sky map's own distances.
RETIRED = {"Egwmax", "Egwmin", "k0", "ratebggw", "rhomin", "ΔE", "δω"}


def toy_archive(directory):
    """Six days of mock neutrinos, 3000 of them, imported to `directory`."""
    write_mock_release(directory / "release", seed=3, n_events=3000, mjd_stop=58580.0)
    import_release(directory / "release", directory, "toy")
    return Archive.open(directory / "toy")


def neutrino(dt=30.0, ra=61.0, dec=24.0, sigma=0.8, energy=5e3):
    """One row of icecube_neutrino_list.json."""
    values = {"ra": ra, "dec": dec, "sigma": sigma, "energy": energy}
    identity = {"event": 7, "id": f"1_{dt}_{ra}", "type": "simulated"}
    return values | identity | {"gps": GPS + dt, "mjd": float(gps_to_mjd(GPS + dt))}


THREE = [
    neutrino(),
    neutrino(-200.0, 58.5, 26.0, 1.5, 800.0),
    neutrino(499.0, 240.0, -60.0, 0.3, 9e4),
]


def made_up_background():
    """Odds of a class, 999 of triggers and as many of single neutrinos."""
    odds, single = np.sort(np.random.default_rng(4).lognormal(-8, 4, (2, 999)))
    return {"class": "bns-o3-H1L1", "odds": odds, "single": single, "p_astro": 0.99}
