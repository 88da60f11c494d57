"""One notice of a gamma-ray burst as a VOEvent: Fermi GBM's and Swift BAT's classic ones, SVOM's.

Packet types and flags of classic notices are those of GCN's socket packet definition document.
"""

import math
import re
from dataclasses import replace

from llama.errors import LlamaError
from llama.event.burst_trigger import GBM_SYSTEMATIC_DEG, BurstNotice, place_of, unusable
from llama.neutrinos.gcn_notice import BROKEN, gps_of, ra_of, sigma_of
from llama.typed import shown
from llama.voxml import Params, params_of, parse, text

# Packet_Type: instrument, stage, the part of the probability that the radius holds
_CLASSIC = {
    "111": ("fermi_gbm", 0, 0.68),  # from the flight: with its systematic error
    "112": ("fermi_gbm", 1, 0.68),  # from the ground: statistical
    "115": ("fermi_gbm", 2, 0.68),  # final
    "61": ("swift_bat", 0, 0.9),
}
_SVOM_BURSTS, _SVOM_RETRACTION = ("201", "202", "204", "205"), "219"  # 203: a known source
_NO_BURST = (
    "Def_NOT_a_GRB",
    *(f"Target_in_{catalog}_Catalog" for catalog in ("Flt", "Gnd", "Blk")),
    "StarTrack_Lost_Lock",
)
_GRB = "4"  # Most_Likely_Index of GBM's flight software; others are flares, particles, TGFs


def sender_of(params: Params) -> str | None:
    """Return which instrument sent a VOEvent with these parameters, None for others."""
    if ("Svom_Identifiers", "Burst_Id") in params:
        return "svom"
    classic = _CLASSIC.get(params.get(("", "Packet_Type"), ""))
    return classic[0] if classic and ("", "TrigID") in params else None


def of_voevent(content: bytes, name: str) -> BurstNotice | None:
    """Return the notice in a VOEvent, None if it is of nobody, a test, or not of a burst."""
    root = parse(content)
    params = params_of(root)
    sender, packet = sender_of(params), params.get(("", "Packet_Type"), "")
    flags = {key for (_, key), value in params.items() if value.lower() == "true"}
    if sender is None or (root.get("role") or "observation").lower() != "observation":
        return None
    if sender == "svom" and packet not in (*_SVOM_BURSTS, _SVOM_RETRACTION):
        return None
    if "Test_Submission" in flags:
        return None
    _, stage, contained = _CLASSIC.get(packet, ("", 0, 0.9))
    # ECLAIRs and GRM share an id
    trigger = params["Svom_Identifiers", "Burst_Id"] if sender == "svom" else params["", "TrigID"]
    places = "{*}WhereWhen//{*}ISOTime", "{*}Who/{*}Date"
    gps, sent = (gps_of(text(root, place)) for place in places)
    number = re.fullmatch(r"\d{1,9}", params.get(("", "Pkt_Ser_Num"), ""))
    order = -math.inf if sent is None else sent, float(number[0]) if number else 0.0, name
    bare = BurstNotice(sender, (trigger[:64],), order, gps, stage=stage)
    cited = root.iterfind("{*}Citations/{*}EventIVORN")
    if packet == _SVOM_RETRACTION or any(each.get("cite") == "retraction" for each in cited):
        return replace(bare, retracted=True)
    if gps is None:
        return unusable(bare, "it has no UTC time")
    if flags.intersection(_NO_BURST) or params.get(("", "Most_Likely_Index"), _GRB) != _GRB:
        return replace(bare, other=True)
    position = root.find("{*}WhereWhen//{*}Position2D")
    if position is None:
        return bare
    try:
        if position.get("unit", "deg") != "deg":
            raise LlamaError(f"its position is in {shown(position.get('unit'))}, not in deg")
        paths = "{*}Value2/{*}C1", "{*}Value2/{*}C2", "{*}Error2Radius"
        ra, dec, radius = (float(text(position, path) or "nan") for path in paths)
        sigma = sigma_of({"ra_dec_error": radius, "containment_probability": contained})
        if sender == "fermi_gbm" and stage:
            sigma = math.hypot(sigma, GBM_SYSTEMATIC_DEG)
        return replace(bare, place=place_of(ra_of(ra), dec, sigma))
    except BROKEN as error:
        return unusable(bare, str(error))
