"""VOEvents of O2, O3 and O4, real and made here, and those that must be refused."""

from pathlib import Path
from typing import Any

import pytest
from alert_samples import O2_GROUPS, O2_PARAMS, outcome, voevent
from hypothesis import given, settings
from hypothesis import strategies as st

from llama.alerts.gwalert import parse_alert
from llama.alerts.voevent import parse_voevent
from llama.errors import LlamaError

# What the real files say, by eye: name -> (kind, serial, FAR, map, role)
REAL: dict[str, tuple[Any, ...]] = {
    "alerts/voevent/O3_S190814bv_skyportal.xml": (
        "S190814bv", "Update", 5, 2.03262501422e-33, "LALInference.v1.fits.gz", None,
    ),
    "alerts/voevent/hop-client_S200302c.xml": (
        "S200302c", "Preliminary", 1, 9.349090689402942e-09, "bayestar.fits.gz,0", None,
    ),
    "alerts/voevent/userguide_MS181101ab-1-EarlyWarning.xml": (
        "MS181101ab", "EarlyWarning", 1, 9.11069936486e-14, "bayestar.multiorder.fits,0", "mock",
    ),
    "alerts/voevent/userguide_MS181101ab-5-Retraction.xml": (
        "MS181101ab", "Retraction", 5, None, None, "mock",
    ),
    "events/S190425z/S190425z-2-Initial.xml": (
        "S190425z", "Initial", 1, 4.53764787126e-13, "bayestar.fits.gz", None,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_notices(shared_data: Path, name: str) -> None:
    alert = parse_voevent((shared_data / name).read_bytes())
    said = (alert.graceid, alert.kind, alert.serial, alert.far_hz, alert.skymap_filename)
    assert said == REAL[name][:5]
    assert bool(alert.test_reason) == bool(REAL[name][5])


def test_every_real_notice_is_read_or_named_as_not_ours(shared_data: Path) -> None:
    ours = 0
    for path in sorted((shared_data / "alerts").glob("*/*.xml")):
        alert = outcome(parse_voevent, path.read_bytes())
        if isinstance(alert, str):
            assert "not an LVK gravitational-wave alert" in alert
            assert "gwnet" not in path.read_text()
        else:
            ours += 1
            assert alert.alert_type == "gcn"
            assert alert.classification or alert.kind == "Retraction"
    assert ours == 8


def test_an_update_with_a_burst_keeps_the_coincidence(shared_data: Path) -> None:
    path = shared_data / "alerts/voevent/userguide_MS181101ab-6-Update.xml"
    coincidence = parse_voevent(path.read_bytes()).external_coinc
    assert coincidence is not None
    assert coincidence["observatory"] == "Fermi"
    assert coincidence["time_difference"] == 2.02


def test_o4_form() -> None:
    alert = parse_voevent(voevent())
    assert (alert.graceid, alert.kind, alert.serial) == ("S240101ab", "Initial", 2)
    assert alert.event_time_iso == "2024-01-01T00:00:00.125000Z"
    assert alert.gps_time == 1388102418.125
    assert alert.notice_time == "2024-01-01T00:10:00.000000Z"
    assert (alert.pipeline, alert.group, alert.search) == ("GSTLAL", "CBC", "AllSky")
    assert alert.instruments == ("H1", "L1")
    assert alert.classification == {"BNS": 0.9, "NSBH": 0.02, "BBH": 0.03, "Terrestrial": 0.05}
    assert alert.properties == {"HasNS": 1.0, "HasRemnant": 0.9, "HasMassGap": 0.0}
    assert alert.skymap is None
    assert alert.skymap_filename == "bayestar.multiorder.fits,1"
    assert alert.test_reason is None
    assert alert.extra["OpenAlert"] == "1"


def test_o3_form_has_no_z_and_is_significant() -> None:
    content = voevent({"Significant": None}, date="2019-04-25T09:00:51", time="2019-04-25T08:18:05")
    alert = parse_voevent(content)
    assert alert.significant
    assert alert.event_time_iso == "2019-04-25T08:18:05.000000Z"


def test_o2_form() -> None:
    alert = parse_voevent(voevent({**O2_PARAMS, "Significant": None}, O2_GROUPS))
    assert (alert.graceid, alert.kind, alert.significant) == ("G298048", "Initial", True)
    assert alert.properties == {"HasNS": 1.0}
    assert alert.classification == {}
    assert alert.skymap_filename == "b.fits.gz"
    assert alert.extra["Vetted"] == "1"


def test_o2_retraction_is_a_param() -> None:
    content = voevent({**O2_PARAMS, "Retraction": "1", "Significant": None, "FAR": None}, {})
    assert parse_voevent(content).kind == "Retraction"


def test_names_as_gcn_passed_them_on() -> None:
    address = "https://gracedb.ligo.org/apibasic/events/G298048/files/bayestar.fits.gz"
    params = {"Internal": "1", "internal": None, "SKYMAP_URL_FITS_BASIC": address}
    alert = parse_voevent(voevent(params, {}))
    assert alert.internal
    assert alert.skymap_filename == "bayestar.fits.gz"


@pytest.mark.parametrize(
    ("params", "kind"),
    [
        ({"AlertType": "EarlyWarning"}, "EarlyWarning"),
        ({"AlertType": "EARLY_WARNING"}, "EarlyWarning"),
        ({"AlertType": None, "Packet_Type": "163"}, "EarlyWarning"),
        ({"AlertType": "Retraction"}, "Retraction"),
    ],
)
def test_kinds(params: dict[str, str | None], kind: str) -> None:
    assert parse_voevent(voevent(params)).kind == kind


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (voevent(role="test"), "role test"),
        (voevent({"Search": "MDC"}), "MDC"),
        (voevent({"HardwareInj": "1"}), "hardware injection"),
        (voevent({"GraceID": "MS240101ab"}), "mock or test"),
    ],
)
def test_what_can_only_be_a_test(content: bytes, reason: str) -> None:
    assert reason in (parse_voevent(content).test_reason or "")


_ENTITY = '<!DOCTYPE x [<!ENTITY e "S240101ab">]>'
_LAUGHS = '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
_FILE = '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/hostname">]>'
_EXTERNAL = '<!DOCTYPE VOEvent SYSTEM "http://127.0.0.1:9/voevent.dtd">'
BAD = [
    (voevent({"GraceID": "&e;"}, prolog=_ENTITY), "DTD"),
    (voevent({"GraceID": "&b;"}, prolog=_LAUGHS), "DTD"),
    (voevent({"GraceID": "&e;"}, prolog=_FILE), "XML"),
    (voevent(prolog=_EXTERNAL), "DTD"),
    (voevent(prolog="<!DOCTYPE x []>"), "DTD"),
    (voevent({"Search": "x" * 1_000_000}), "bytes"),
    (b"x" * 2_000_000, "bytes"),
    (b"", "not well-formed"),
    (b"not xml at all", "not well-formed"),
    (voevent()[:-20], "not well-formed"),
    (b"\xff\xfe" + voevent(), "not well-formed"),
    (b"<html><body>404</body></html>", "not a VOEvent"),
    (voevent({"GraceID": None}), "not an LVK"),
    (voevent({"GraceID": "../../x"}), "not a GraceDB id"),
    (voevent({"GraceID": "S" + "1" * 299}), "not a GraceDB id"),
    (voevent({"AlertType": "Counterpart", "Packet_Type": "154"}), "no alert about a candidate"),
    (voevent({"Retraction": "perhaps"}), "must be 0 or 1"),
    (voevent(time=""), "no event time"),
    (voevent(time="tomorrow"), "not a UTC time"),
    (voevent(date=""), "no Who/Date"),
    (voevent(time="1800-01-01T00:00:00"), "time"),
]


@pytest.mark.filterwarnings("ignore:ERFA function")
@pytest.mark.parametrize(("content", "says"), BAD, ids=[f"{k}-{b[1]}" for k, b in enumerate(BAD)])
def test_bad_notices_are_refused_in_one_sentence(content: bytes, says: str) -> None:
    with pytest.raises(LlamaError) as error:
        parse_voevent(content)
    assert says in str(error.value)
    assert len(str(error.value)) < 300
    assert "\n" not in str(error.value)


def test_no_entity_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("S240101zz")
    prolog = f'<!DOCTYPE x [<!ENTITY e SYSTEM "{(tmp_path / "secret").as_uri()}">]>'
    result = outcome(parse_voevent, voevent({"GraceID": "&e;"}, prolog=prolog))
    assert isinstance(result, str)
    assert "S240101zz" not in result


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_notice_gives_an_alert_or_a_sentence(data: st.DataObject) -> None:
    content = bytearray(voevent())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    result = outcome(parse_alert, bytes(content), "damaged.xml")
    assert len(result) < 400 if isinstance(result, str) else result.graceid.isalnum()
