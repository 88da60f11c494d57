"""IceCube's gold and bronze notices, and an archive `gcn/` of such."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llama.neutrinos.gcn import GcnSource
from llama.times import iso_to_gps

TRIGGER = "2023-04-16T05:22:26.150574Z"
GPS = iso_to_gps(TRIGGER)
WINDOW = (GPS - 400.0, GPS + 600.0)


def notice(**changes: Any) -> dict[str, Any]:
    """A notice in the form of GCN's own example."""
    return {
        "$schema": "https://gcn.nasa.gov/schema/main/gcn/notices/icecube/"
        "single_neutrino_alerts.schema.json",
        "mission": "IceCube",
        "pipeline": "Bronze Track Alert",
        "record_number": 0,
        "id": ["137840_57034692"],
        "alert_datetime": "2023-04-16T05:23:00.0Z",
        "alert_type": "initial",
        "alert_tense": "current",
        "ra": 345.82,
        "dec": 9.01,
        "ra_dec_error": 0.858386,
        "containment_probability": 0.9,
        "trigger_time": TRIGGER,
        "nu_energy": 127.29,
        "p_astro": 0.34064,
        "far": 8.029e-8,
        **changes,
    }


REVISED = notice(record_number=1, alert_datetime="2023-04-16T07:00:00Z", ra=345.0, dec=9.5)
RETRACTED = notice(
    alert_type="retraction", alert_datetime="2023-04-16T09:00:00Z", ra=None, ra_dec_error=None
)


def voevent(**changes: str) -> bytes:
    """A classic notice of the same event, in AMON's form."""
    values = {
        "role": "observation",
        "packet": "173",
        "retraction": "false",
        "test": "false",
        "date": "2023-04-16T05:23:10",
        "rev": "0",
        "map": "",
    } | changes
    skymap = f'<Param name="skymap_fits" value="{values["map"]}"/>' if values["map"] else ""
    return f"""<?xml version = '1.0' encoding = 'UTF-8'?>
<voe:VOEvent ivorn="ivo://nasa.gsfc.gcn/AMON#ICECUBE_GOLD_Event" role="{values["role"]}"
  version="1.1" xmlns:voe="http://www.ivoa.net/xml/VOEvent/v1.1">
  <Who><Date>{values["date"]}</Date></Who>
  <What>
    <Param name="Packet_Type" value="{values["packet"]}"/>
    <Param name="run_id" value="137840"/>
    <Param name="event_id" value="57034692"/>
    <Param name="Rev" value="{values["rev"]}"/>
    <Param name="signalness" value="0.5"/>
    <Param name="FAR" value="2.0" unit="yr^-1"/>
    <Param name="energy" value="150.0" unit="TeV"/>
    <Param name="src_error_90" value="1.0" unit="deg"/>{skymap}
    <Group name="Trigger_ID">
      <Param name="Test" value="{values["test"]}"/>
      <Param name="Retraction" value="{values["retraction"]}"/>
      <Param name="InternalTest" value="false"/>
    </Group>
  </What>
  <WhereWhen><ObsDataLocation><ObservationLocation><AstroCoords>
    <Time><TimeInstant><ISOTime>{TRIGGER[:22]}</ISOTime></TimeInstant></Time>
    <Position2D><Value2><C1>346.1</C1><C2>9.2</C2></Value2></Position2D>
  </AstroCoords></ObservationLocation></ObsDataLocation></WhereWhen>
</voe:VOEvent>""".encode()


def km3net_alert(**changes: Any) -> dict[str, Any]:
    """An alert of KM3NeT, of one event."""
    event = {"id": "km3.1.2.3", "cos_zenith": 0.5, "energy_measured": 120000}
    return {
        "$schema": "https://gcn.nasa.gov/schema/main/gcn/notices/km3net/alert.schema.json",
        "mission": "KM3NeT",
        "instrument": "ARCA028",
        "pipeline": "arca_HE",
        "alert_tense": "current",
        "alert_type": "initial",
        "record_number": 1,
        "alert_datetime": "2023-04-16T05:40:00.00Z",
        "id": "1",
        "event_name": "KM3-230416A",
        "trigger_time": TRIGGER,
        "ra": 10.82,
        "dec": 20.01,
        "ra_dec_error": 0.9,
        "far": 8e-8,
        "number_of_events": 1,
        "src_error_50": 0.49,
        "event_details": [event],
        **changes,
    }


def archive_of(tmp_path: Path, **options: Any) -> Callable[..., GcnSource]:
    """Return a function that puts notices into the archive of `tmp_path`."""
    (tmp_path / "gcn/2023-04/16").mkdir(parents=True)

    def put(*contents: Any, day: str = "2023-04/16") -> GcnSource:
        directory = tmp_path / "gcn" / day
        directory.mkdir(parents=True, exist_ok=True)
        for content in contents:
            number = len(list(directory.iterdir()))
            raw = content if isinstance(content, bytes) else json.dumps(content).encode()
            # the name says nothing, as that of a replayed record
            (directory / f"replay-{number:03d}.bin").write_bytes(raw)
        return GcnSource("gcn", options, tmp_path)

    return put
