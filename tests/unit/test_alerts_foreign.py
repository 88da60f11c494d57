"""A sky map whose own header says that it belongs to another event."""

import base64
from pathlib import Path

import pytest
from alert_samples import go_to_work, gwalert_bytes, skymap_fits, take, tree

from llama.alerts.foreign import foreign_signs
from llama.alerts.gwalert import parse_alert
from llama.alerts.record import Alert
from llama.cli.skymap_info import main
from llama.errors import LlamaError
from llama.event.skymap_info import read_info
from llama.sky import read_skymap

# the alert's event was at 2024-01-01T00:00:00.125, seen by H1 and L1
OTHER = {"DATE-OBS": "2023-12-24T05:30:44.166588", "OBJECT": "G329483", "INSTRUME": "H1,L1,V1"}
SAME = {"DATE-OBS": "2024-01-01T00:00:00.130", "OBJECT": "G400000", "INSTRUME": "H1,L1,V1"}


def stamped(**keys: str) -> bytes:
    """The map of the samples with more keys in the header of its table."""
    content = skymap_fits()
    place = content.rindex(b"END" + b" " * 77)
    cards = b"".join(f"{key:<8}= '{value}'".ljust(80).encode() for key, value in keys.items())
    room = len(cards)
    assert not content[place + 80 : place + 80 + room].strip()
    return content[:place] + cards + content[place : place + 80] + content[place + 80 + room :]


def signs_of(content: bytes, alert: Alert) -> list[str]:
    meta = read_skymap(content, "map").meta
    return foreign_signs(meta, alert.graceid, alert.gps_time, alert.instruments)


@pytest.mark.parametrize(
    ("keys", "signs"),
    [
        ({}, 0),
        (SAME, 0),
        (OTHER, 3),
        ({"DATE-OBS": OTHER["DATE-OBS"]}, 1),
        ({"DATE-OBS": "2024-01-01T00:00:09"}, 0),
        ({"DATE-OBS": "2024-01-01T00:00:11"}, 1),
        ({"DATE-OBS": "unknown"}, 0),
        ({"OBJECT": "S190412m"}, 1),
        ({"OBJECT": "S240101ab"}, 0),
        ({"OBJECT": "FULLSKY", "INSTRUME": "V1"}, 0),
        (OTHER | {"OBJECT": "FULLSKY"}, 2),
    ],
)
def test_the_signs(keys: dict[str, str], signs: int) -> None:
    alert = parse_alert(gwalert_bytes(), "alert")
    assert len(signs_of(stamped(**keys), alert)) == signs


def test_by_hand_it_is_refused_without_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    output = go_to_work(tmp_path, monkeypatch)
    Path("other.fits").write_bytes(stamped(**OTHER))
    words = ["--voevent", "notice.xml", "--skymap", "other.fits", "--role", "test"]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "other.fits belongs to another event than S240101ab: DATE-OBS is 2023-12-24" in said
    assert "OBJECT is G329483; INSTRUME is H1,L1,V1, not H1,L1; give the right map, or " in said
    assert not (output / "current_run").exists() or tree(output / "current_run") == {}
    assert main([*words, "--force"]) == 0
    assert "note: other.fits belongs to another event" in capsys.readouterr().err
    assert read_info(output / "current_run/S240101ab").skymap_filename == "other.fits"


def test_inside_an_alert_that_was_heard_it_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    content = gwalert_bytes({"skymap": base64.b64encode(stamped(**OTHER)).decode()})
    result = take(tmp_path, content)
    assert result.changed
    assert "the map in the alert of S240101ab belongs to another event" in result.notes[-1]
    with pytest.raises(LlamaError, match="another event"):
        take(tmp_path / "by hand", content, by_hand=True)


def test_real_maps_belong_to_their_alerts(tmp_path: Path, shared_data: Path) -> None:
    alerts = [*shared_data.glob("alerts/gwalert/*.json"), *shared_data.glob("events/*/*.json")]
    for path in alerts:
        assert all("another event" not in note for note in take(tmp_path, path.read_bytes()).notes)
    event = shared_data / "events/S190425z"
    notice = (event / "S190425z-2-Initial.xml").read_bytes()
    maps = sorted(event.glob("*.fits*"))
    assert len(maps) == 3
    for path in maps:
        take(tmp_path, notice, skymap=(path.name, path.read_bytes()), by_hand=True)
    alert = parse_alert(notice, "notice")
    others = sorted(shared_data.glob("skymaps/*.fits"))
    assert len(others) > 20
    for path in others:
        assert signs_of(path.read_bytes(), alert), path
    other = shared_data / "skymaps/S190412m.bayestar.multiorder.fits"
    given = (other.name, other.read_bytes())
    with pytest.raises(LlamaError, match=r"S190412m.*another event than S190425z.*INSTRUME"):
        take(tmp_path, notice, skymap=given, by_hand=True)
