"""Notices of gamma-ray bursts, in the form of GCN's schemas, and an archive `gcn/` of such."""

import json
from pathlib import Path
from typing import Any

from llama.event.heard_bursts import HeardBursts, heard_bursts
from llama.times import gps_to_iso, iso_to_gps

TRIGGER = "2026-11-20T10:00:03.250"
GPS = iso_to_gps(TRIGGER) - 2.25  # of the event
TOPICS = {
    "fermi_gbm": "gcn.notices.fermi.gbm",
    "swift_bat": "gcn.classic.voevent.SWIFT_BAT_GRB_POS_ACK",
    "swift_guano": "gcn.notices.swift.bat.guano",
    "einstein_probe_wxt": "gcn.notices.einstein_probe.wxt.alert",
    "svom": "gcn.notices.svom.voevent.eclairs",
}
GRB = {
    "efficiency": 0.0,
    "rate_hz": 7.5e-6,
    "delay_min_s": -1.0,
    "delay_max_s": 5.0,
    "instruments": {
        "fermi_gbm": {"efficiency": 0.4, "rate_hz": 7.5e-6},
        "swift_guano": {"efficiency": 0.1, "rate_hz": 1e-6},
        "svom": {"efficiency": 0.1, "rate_hz": 4e-6},
    },
}
_SCHEMA = "https://gcn.nasa.gov/schema/main/gcn/notices/"


def gbm(**changes: Any) -> dict[str, Any]:
    """A ground position: times without Z, containment 0.68, statistical error only."""
    return {
        "$schema": f"{_SCHEMA}fermi/gbm/trigger.schema.json",
        "mission": "Fermi",
        "instrument": "GBM",
        "id": ["123", "bn261120417"],
        "alert_type": "update",
        "alert_tense": "current",
        "record_number": 3,
        "alert_datetime": "2026-11-20T10:01:00",
        "trigger_time": TRIGGER,
        "ra": 40.0,
        "dec": 20.0,
        "ra_dec_error": 3.0,
        "containment_probability": 0.68,
        "systematic_included": False,
        **changes,
    }


def guano(**changes: Any) -> dict[str, Any]:
    """A position with its systematic error, of 90 %."""
    return {
        "$schema": f"{_SCHEMA}swift/bat/Guano.schema.json",
        "mission": "Swift",
        "instrument": "BAT-GUANO",
        "id": ["888"],
        "alert_type": "update",
        "alert_tense": "current",
        "record_number": 3,
        "systematic_included": True,
        "alert_datetime": "2026-11-20T12:00:00Z",
        "trigger_time": "2026-11-20T10:00:04.000Z",
        "ra": 40.4,
        "dec": 20.1,
        "ra_dec_error": 0.5,
        "classification": {"GRB": 1},
        **changes,
    }


def wxt(**changes: Any) -> dict[str, Any]:
    """Neither type nor time of the notice, nor a containment: 90 %."""
    return {
        "$schema": f"{_SCHEMA}einstein_probe/wxt/alert.schema.json",
        "instrument": "WXT",
        "id": ["017"],
        "trigger_time": f"{TRIGGER}Z",
        "ra": 40.1,
        "dec": 20.1,
        "ra_dec_error": 0.05,
        **changes,
    }


def svom(packet: str = "204", **changes: str) -> bytes:
    """A VOEvent of ECLAIRs, GRM or, of packet 219, a retraction."""
    said = {"id": "sb26112001", "time": TRIGGER, "date": "2026-11-20T10:02:00+00:00"} | changes
    place = """<Position2D unit="deg"><Value2><C1>40.2</C1><C2>19.9</C2></Value2>
    <Error2Radius>0.15</Error2Radius></Position2D>""".replace("deg", said.get("unit", "deg"))
    return f"""<?xml version='1.0' encoding='UTF-8'?>
<voe:VOEvent role="{said.get("role", "observation")}" version="2.0" ivorn="ivo://org.svom/fsc#x"
  xmlns:voe="http://www.ivoa.net/xml/VOEvent/v2.0">
  <Who><Date>{said["date"]}</Date></Who>
  <What><Param name="Packet_Type" value="{packet}"/><Param name="Pkt_Ser_Num" value="1"/>
    <Group name="Svom_Identifiers"><Param name="Burst_Id" value="{said["id"]}"/></Group></What>
  <WhereWhen><ObsDataLocation><ObservationLocation><AstroCoords>
    <Time><TimeInstant><ISOTime>{said["time"]}</ISOTime></TimeInstant></Time>
    {"" if packet in ("201", "219") else place}
  </AstroCoords></ObservationLocation></ObsDataLocation></WhereWhen>
</voe:VOEvent>""".encode()


def classic(packet: str = "111", flag: str = "", **changes: str) -> bytes:
    """A classic VOEvent: 111, 112, 115 of GBM's flight, ground and final position, 61 of BAT's."""
    said = {
        "id": "123",
        "time": TRIGGER,
        "date": "2026-11-20T10:00:30",
        "ra": "40.0",
        "dec": "20.0",
        "radius": "3.0",
        "class": "4",
        "cite": "followup",
    } | changes
    likely = f'<Param name="Most_Likely_Index" value="{said["class"]}"/>' if packet == "111" else ""
    return f"""<?xml version = '1.0' encoding = 'UTF-8'?>
<voe:VOEvent role="{said.get("role", "observation")}" version="2.0"
  ivorn="ivo://nasa.gsfc.gcn/{"SWIFT#BAT_GRB" if packet == "61" else "Fermi#GBM"}_Pos_x"
  xmlns:voe="http://www.ivoa.net/xml/VOEvent/v2.0">
  <Who><Date>{said["date"]}</Date></Who>
  <What><Param name="Packet_Type" value="{packet}"/><Param name="Pkt_Ser_Num" value="5"/>
    <Param name="TrigID" value="{said["id"]}"/>{likely}
    <Param name="Trigger_ID" value="0x0"/><Group name="Trigger_ID">
      <Param name="Def_NOT_a_GRB" value="{str(flag == "Def_NOT_a_GRB").lower()}"/>
      <Param name="{flag or "Test_Submission"}" value="{str(bool(flag)).lower()}"/></Group></What>
  <WhereWhen><ObsDataLocation><ObservationLocation><AstroCoords>
    <Time><TimeInstant><ISOTime>{said["time"]}</ISOTime></TimeInstant></Time>
    <Position2D unit="deg"><Value2><C1>{said["ra"]}</C1><C2>{said["dec"]}</C2></Value2>
    <Error2Radius>{said["radius"]}</Error2Radius></Position2D>
  </AstroCoords></ObservationLocation></ObsDataLocation></WhereWhen>
  <Citations><EventIVORN cite="{said["cite"]}">ivo://nasa.gsfc.gcn/x</EventIVORN></Citations>
</voe:VOEvent>""".encode()


def raw(notice: Any) -> bytes:
    return notice if isinstance(notice, bytes) else json.dumps(notice).encode()


def hear(output: Path, *heard: tuple[str, Any], gps: float = GPS) -> None:
    """Put (instrument or topic, notice) into the archive, as if heard on the day of `gps`."""
    day = output / "gcn" / gps_to_iso(gps)[:7] / gps_to_iso(gps)[8:10]
    day.mkdir(parents=True, exist_ok=True)
    for name, notice in heard:
        number = len(list(day.iterdir()))
        topic = TOPICS.get(name, name)
        (day / f"{topic}-0-{number:09d}-{'0' * 16}.json").write_bytes(raw(notice))


def bursts_of(output: Path, grb: Any = GRB, gps: float = GPS) -> HeardBursts | None:
    return heard_bursts(output, gps, grb, list(TOPICS.values()))
