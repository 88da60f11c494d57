"""One notice of IceCube's gold, bronze and cascade alerts, in JSON or in the classic XML."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from llama.errors import LlamaError
from llama.files import first_sign
from llama.neutrinos.given import CIRCLE, PER_SIGMA, check_rows, is_url
from llama.neutrinos.table import Row
from llama.times import gps_to_mjd, iso_to_gps
from llama.typed import shown
from llama.voxml import params_of, parse, text

# what reading a notice that is not as it should be may end in
BROKEN = (
    *(LlamaError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError),
    RecursionError,
)
MAX_BYTES = 16_000_000  # a notice has some 5 kB, with a map inside 1 MB
_YEAR_S = 365.25 * 86400
_STREAMS = {"173": "gold", "174": "bronze", "176": "cascade"}  # Packet_Type of classic notices
_SIGNS = (b"icecube", b"track alert", b"amon")  # one of them is in each of IceCube's notices
_SURE_SIGNS = (b"single_neutrino_alerts", b"track alert", b"icecube_gold", b"icecube_bronze")
_SCHEMA, _TOPIC = "icecube/single_neutrino_alerts", "icecube.gold_bronze_track_alerts"
_CLASSIC_TOPIC, _CASCADE_TOPIC = "voevent.ICECUBE_", "voevent.ICECUBE_CASCADE"
_TYPES = ("initial", "update", "retraction")
_OTHER_ROLES = ("test", "utility", "prediction")
_TRUE = ("true", "1", "yes")
TENSES = ("current", "archival")
OTHER_TENSES = ("test", "injection", "planned", "commanded")  # nothing has happened
_OFFSET = re.compile(r"(.+[T ].+?)([+-])(\d\d):?(\d\d)")

Key = tuple[int, int] | str


@dataclass(frozen=True)
class Notice:
    """One notice of one alert.

    key: run and event, or what else names the alert, None if nothing does. order: time of the
    notice (GPS), revision, file. gps: of the neutrino, None if not said. row: None for a
    retraction, and for what cannot be used; `problem` then says why. others: further neutrinos of
    the alert; sender: icecube or km3net.
    """

    key: Key | None
    order: tuple[float, float, str]
    gps: float | None
    row: Row | None = None
    problem: str | None = None
    others: tuple[Row, ...] = ()
    sender: str = "icecube"


def may_be_notice(content: bytes) -> bool:
    """Return whether content, or a part of it, has one of the words that IceCube's notices have."""
    lower = content.lower()
    return any(sign in lower for sign in _SIGNS)


def read_notice(content: bytes, name: str, cascades: bool = False) -> Notice | None:
    """Return the notice in a file called `name`, None if it holds anything else.

    cascades: whether those count, too.
    """
    # only such notices come on these topics, so that what cannot be read there is one
    is_ours = _TOPIC in name or _CLASSIC_TOPIC in name
    if not content.strip() or not (is_ours or may_be_notice(content)):
        return None
    if _CASCADE_TOPIC in name and not cascades:
        return None
    start = first_sign(content)
    try:
        if len(content) > MAX_BYTES:
            raise LlamaError("larger than 16 MB")
        if start == b"{":
            return _of_json(json.loads(content), name, cascades)
        if start == b"<":
            return _of_voevent(content, name, cascades)
        raise LlamaError("neither JSON nor XML")
    except BROKEN as error:
        # an alert of LVK with an IceCube coincidence has such words too, and is read elsewhere
        lower = content.lower()
        if is_ours or any(sign in lower for sign in _SURE_SIGNS):
            return unusable(name, str(error))
    return None


def unusable(name: str, why: str, notice: Notice | None = None) -> Notice:
    """Return what stands for a notice that cannot be used, with its key and time if known."""
    notice = notice or Notice(None, (-math.inf, 0.0, name), None)
    sender = {"icecube": "IceCube", "km3net": "KM3NeT"}[notice.sender]
    problem = f"notice {name} of {sender} cannot be used: {why.removeprefix(f'{name}, row 1: ')}"
    # one line that any file can hold, whatever the file's name and the error quote
    safe = " ".join(problem.encode("utf-8", "backslashreplace").decode().split())
    return replace(notice, problem=safe[:300])


def _of_json(notice: Mapping[str, object], name: str, cascades: bool) -> Notice | None:
    stream = _stream(notice, name, cascades)
    tense = notice.get("alert_tense") or TENSES[0]
    if stream is None or tense in OTHER_TENSES:
        return None
    kind = notice.get("alert_type") or _TYPES[0]
    kind = kind[0] if isinstance(kind, list) and len(kind) == 1 else kind
    retracted = str(kind).lower() == "retraction"
    gps, sent = (gps_of(notice.get(key)) for key in ("trigger_time", "alert_datetime"))
    if sent is None:  # a retraction ends the alert, others are as old as can be
        sent = math.inf if retracted else -math.inf if gps is None else gps
    order = (sent, number_of(notice.get("record_number")) or 0.0, name)
    bare = Notice(_key(notice), order, gps)
    if tense not in TENSES:
        return unusable(name, f"its alert_tense {shown(tense)} is not known", bare)
    if retracted:
        if bare.key is None and gps is None:
            return unusable(name, "it does not say which alert it retracts", bare)
        return bare
    if gps is None:
        said = shown(notice.get("trigger_time"))
        return unusable(name, f"its trigger_time {said} is not a UTC time", bare)
    energy = None if (tev := notice.get("nu_energy")) is None else number_of(tev)
    try:
        refuse_other_unit(notice, "nu_energy", "TeV")
        row = {
            "ra": ra_of(notice.get("ra")),
            "dec": notice.get("dec"),
            "sigma": sigma_of(notice),
            "energy": energy and energy * 1e3,
            "p_astro": number_of(notice.get("p_astro")),
            "far_hz": number_of(notice.get("far")),
            "map": url if is_url(url := notice.get("healpix_url")) else None,
        }
        if isinstance(error := notice.get("ra_dec_error"), list) and len({*error[:2]}) == 2:
            row["direction"] = CIRCLE
        whole = _row(row, bare.key, gps, stream, name)
    except BROKEN as error:
        return unusable(name, str(error), bare)
    problem = None
    if str(kind).lower() not in _TYPES:
        problem = f"notice {name} of IceCube: alert_type {shown(kind)} is taken as an alert"
    if tev is not None and whole["energy"] is None:
        problem = f"notice {name} of IceCube: nu_energy {shown(tev)} is taken as not known"
    if notice.get("healpix_url") and "map" not in whole:
        problem = _no_map(name, "healpix_url", notice["healpix_url"])
    return Notice(bare.key, order, gps, whole, problem)


def _stream(notice: Mapping[str, object], name: str, cascades: bool) -> str | None:
    """Return gold or bronze, track if it does not say which, None if it is another notice.

    Also cascade, if these count.
    """
    pipeline = str(notice.get("pipeline") or "").lower()
    if "cascade" in pipeline and (_TOPIC in name or _SCHEMA in str(notice.get("$schema"))):
        return "cascade" if cascades else None
    only_tracks = _TOPIC in name and "cascade" not in pipeline
    for stream in ("gold", "bronze"):
        if stream in pipeline and ("track" in pipeline or only_tracks):
            return stream
    ours = only_tracks or (_SCHEMA in str(notice.get("$schema")) and not pipeline)
    return "track" if ours else None


def _key(notice: Mapping[str, object]) -> Key | None:
    for value in (notice.get("id"), notice.get("event_name")):
        names = [v for v in (value if isinstance(value, list) else [value]) if v not in (None, "")]
        for name in names:
            if found := re.match(r"(\d+)_(\d+)(?:_|$)", str(name).strip()):
                return int(found[1]), int(found[2])
        if names:
            return str(names[0])
    return None


def gps_of(value: object) -> float | None:
    """Return GPS seconds of an ISO time, which may have an offset from UTC, None if it is none."""
    said = str(value).strip().upper()
    offset = _OFFSET.fullmatch(said)
    try:
        if offset is None:
            return iso_to_gps(said)
        ahead_s = 3600.0 * int(offset[3]) + 60.0 * int(offset[4])
        return iso_to_gps(offset[1]) - math.copysign(ahead_s, float(f"{offset[2]}1"))
    except LlamaError:
        return None  # the caller says so


def number_of(value: object) -> float | None:
    return (
        float(value)
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e300
        else None
    )


def refuse_other_unit(notice: Mapping[str, object], key: str, unit: str) -> None:
    """Raise if a notice states another unit for the energy `key` than its schema does."""
    names = f"{key}_unit", f"{key}_units", "energy_unit", "energy_units"
    said = [notice[name] for name in names if notice.get(name)]
    if any(str(each).strip().lower() != unit.lower() for each in said):
        raise LlamaError(f"it states energies in {shown(said[0])}, its schema in {unit}")


def ra_of(ra: object) -> object:
    """Return right ascension from 0 to 360; it may be given from -180."""
    return ra + 360.0 if isinstance(ra, int | float) and -180.0 <= ra < 0.0 else ra


def sigma_of(notice: Mapping[str, object]) -> float:
    """Return 1 sigma [deg] of a radius, or of an ellipse: its axes, and its position angle."""
    error = notice.get("ra_dec_error")
    axes = [a for a in (error if isinstance(error, list) else [error])[:2] if a is not None]
    radii = [number_of(axis) or 0.0 for axis in axes]
    if not axes or min(radii) == 0.0:
        raise LlamaError(f"its ra_dec_error {shown(error)} is not a radius above 0")
    contained = notice.get("containment_probability")
    contained = 0.9 if contained is None else number_of(contained)
    if contained is None or not 0 < contained < 1:
        raise LlamaError("its containment_probability is not between 0 and 1")
    return math.sqrt(radii[0] * radii[-1]) / math.sqrt(-2 * math.log1p(-contained))


def _of_voevent(content: bytes, name: str, cascades: bool) -> Notice | None:
    root = parse(content)
    params = params_of(root)
    top = {param: value for (group, param), value in params.items() if not group}
    flags = {param: value for (group, param), value in params.items() if group == "Trigger_ID"}
    packet = top.get("Packet_Type", "").strip()
    stream, role = _STREAMS.get(packet), (root.get("role") or "observation").lower()
    test = any(flags.get(flag, "").lower() in _TRUE for flag in ("Test", "InternalTest"))
    if test or role in _OTHER_ROLES or (stream is None and _CLASSIC_TOPIC not in name):
        return None
    if stream == "cascade" and not cascades:
        return None
    gps, sent = (
        gps_of(text(root, place)) for place in ("{*}WhereWhen//{*}ISOTime", "{*}Who/{*}Date")
    )
    retracted = flags.get("Retraction", "").lower() in _TRUE
    if sent is None:
        sent = math.inf if retracted else -math.inf if gps is None else gps
    key = (int(top["run_id"]), int(top["event_id"])) if "run_id" in top else None
    bare = Notice(key, (sent, _read(top, "Rev") or 0.0, name), gps)
    if role != "observation":
        return unusable(name, f"its role {shown(role)} is not known", bare)
    if retracted and key is not None:
        return bare
    if stream is None:
        return unusable(name, f"its Packet_Type {shown(packet)} is not 173, 174 or 176", bare)
    if gps is None or key is None:
        return unusable(name, "it has no time or no event_id", bare)
    energy, far = _read(top, "energy"), _read(top, "FAR")
    try:
        row = {
            "ra": text(root, "{*}WhereWhen//{*}Position2D/{*}Value2/{*}C1"),
            "dec": text(root, "{*}WhereWhen//{*}Position2D/{*}Value2/{*}C2"),
            "sigma": float(top["src_error_90"]) / PER_SIGMA["r90"],
            "energy": energy and energy * 1e3,  # TeV, whatever old descriptions say
            "p_astro": _read(top, "signalness"),
            "far_hz": far and far / _YEAR_S,
            "map": url if is_url(url := top.get("skymap_fits")) else None,
        }
        problem = None
        if energy is None and "energy" in top:
            said = shown(top["energy"])
            problem = f"notice {name} of IceCube: energy {said} is taken as not known"
        if top.get("skymap_fits") and row["map"] is None:
            problem = _no_map(name, "skymap_fits", top["skymap_fits"])
        return Notice(key, bare.order, gps, _row(row, key, gps, stream, name), problem)
    except BROKEN as error:
        return unusable(name, str(error), bare)


def _no_map(name: str, key: str, url: object) -> str:
    return f"notice {name} of IceCube: {key} {shown(url)} is not an HTTPS address: not used"


def _read(params: Mapping[str, str], name: str) -> float | None:
    try:
        return number_of(float(params[name]))
    except (KeyError, ValueError):
        return None  # the statistic can do without


def _row(row: Mapping[str, object], key: Key | None, gps: float, stream: str, name: str) -> Row:
    numbers = {"run": key[0], "event": key[1]} if isinstance(key, tuple) else {}
    whole = dict(row) | numbers | {"gps": gps, "mjd": float(gps_to_mjd(gps)), "type": "alert"}
    if isinstance(key, str):
        whole["id"] = key
    if not whole["energy"]:
        whole["energy"] = None
    return check_rows([whole | {"stream": stream, "notice": name}], name)[0]
