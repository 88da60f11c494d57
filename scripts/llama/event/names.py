"""Names: which ids become directories, which files an event has, which run it belongs to."""

from bisect import bisect_right

from llama.event.skymap_info import EventInfo
from llama.graceid import EVENT_PATTERN

_SAFE_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
# The value of Snakemake's wildcard {event}: the directory of one event, as a target names it.
EVENT_DIR_PATTERN = (
    rf"(?:events/{EVENT_PATTERN}"
    rf"|past_runs/{_SAFE_NAME}/{EVENT_PATTERN}"
    rf"|studies/{_SAFE_NAME}(?:/signal|/doublet|/quadruplet)?/shard-[0-9]+/injection-[0-9]+)"
)

# A list that an operator may put into an event's directory: it is read, never made.
BURSTS_NAME = "fermi_grbs.json"
HEARD_NAME = "heard_grbs.json"  # the list that is made where there is none by hand
MAP_BACKGROUND = "map_background.hdf5"
# Where the source is, with the neutrinos: `llama.event.combined`.
COMBINED, COINCIDENCE = "combined_skymap.multiorder.fits", "coincidence_skymap.multiorder.fits"
COMBINED_SUMMARY = "combined_skymap.json"

# First GPS second of each run. O3 and O4 dates are LVK's observing plan; O4 includes its
# engineering run ER15, whose alerts (S230518h) are counted with O4a.
_RUN_STARTS = (
    (1126051217.0, "o1"),  # 2015-09-12T00:00
    (1164556817.0, "o2"),  # 2016-11-30T16:00
    (1238166018.0, "o3"),  # 2019-04-01T15:00
    (1366556418.0, "o4"),  # 2023-04-26T15:00, ER15; O4a from 2023-05-24T15:00
    (1474848018.0, "ir1"),  # 2026-10-01T00:00, provisional: LVK has announced autumn 2026
)


def run_name(gps: float) -> str:
    """Return the LVK run of a GPS time in seconds: `o1` to `o4`, or `ir1`.

    A time between two runs belongs to the run before it, a time before O1 to `o1`.
    """
    index = bisect_right([start for start, _ in _RUN_STARTS], gps)
    return _RUN_STARTS[max(index - 1, 0)][1]


def significance_name(info: EventInfo) -> str:
    """Return the name of the event's significance file (low-significance alerts have their own)."""
    return f"significance{'' if info.significant else '_subthresh'}_lvc-i3.json"


def skymap_name(info: EventInfo) -> str:
    """Return the name of the event's copy of the sky map, compressed if the given map is."""
    return f"lvc_skymap.fits{'.gz' if (info.skymap_file or '').endswith('.gz') else ''}"


def products(info: EventInfo) -> list[str]:
    """Return the name of every file of an event, in the order they are made.

    A retracted event whose map, or whose alert, never came has only what its alerts say; every
    other event has everything, and a retraction that comes later only marks its summary.
    """
    alert = ["skymap_info.json", "flags.json"]
    gracedb = ["p_astro.json", "lvc_gracedb_event_data.json"]
    last = ["manifest.json", "index.html"]
    if info.retracted and not (info.has_skymap and info.event_alert_file):
        # A retraction that came first names neither a class nor a false-alarm rate.
        return [*alert, *gracedb[0 if info.far_hz is not None else 1 :], *last]
    figures = ["coinc_skymap_lvc-i3", "coinc_scatter_lvc-i3"]
    return [
        *alert,
        *(skymap_name(info), "lvc_skymap.hdf5", "lvc_skymap_distances.json"),
        *(*gracedb, MAP_BACKGROUND),
        *("icecube_neutrino_list.json", significance_name(info), "latency.json"),
        *(COMBINED, COINCIDENCE, COMBINED_SUMMARY),
        *(f"{figure}.{kind}" for figure in figures for kind in ("png", "pdf")),
        *("coinc_summary_i3_lvc.html", "coinc_summary_i3_lvc.pdf"),
        *("gcn_circular_draft.txt", "gcn_notice.json"),
        *last,
    ]
