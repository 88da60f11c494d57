"""Events without an alert: what `skymap_info` takes from the map, asks for, and never publishes."""

import json
from pathlib import Path

import pytest
from alert_samples import go_to_work, without_log
from catalogue_samples import FIRST, gps_of, skymap

from llama.alerts.gwalert import parse_alert
from llama.cli.skymap_info import main
from llama.errors import LlamaError
from llama.event.flags import PRESETS, read_flags, write_flags
from llama.event.skymap_info import read_info
from llama.publish.deliver import publish, sentence
from llama.times import gps_to_mjd


@pytest.fixture
def output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    output = go_to_work(tmp_path, monkeypatch)
    Path("map.fits").write_bytes(skymap(FIRST, INSTRUME="H1,L1"))
    return output


def test_what_the_map_says_need_not_be_typed(
    output: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--skymap", "map.fits", "--id", FIRST, "--p-astro", "0.9"]
    assert main(words) == 0
    event = output / "current_run" / FIRST
    assert capsys.readouterr().out == f"{event}\nllama snakemake events/{FIRST}/all\n"
    info = read_info(event)
    assert (info.alert_type, info.role, info.instruments) == ("catalogue", "test", ["H1", "L1"])
    assert info.gps_time == pytest.approx(gps_of(FIRST), abs=1e-3)
    assert read_flags(event)["ROLE"] == "test"
    before = without_log(output)
    assert main(words) == 0
    assert "nothing new" in capsys.readouterr().err
    assert without_log(output) == before
    # what is known better later counts
    assert main([*words[:-1], "0.8", "--far", "1e-9"]) == 0
    info = read_info(event)
    assert (info.revision, info.far_hz, info.skymap_file) == (2, 1e-9, "alerts/1-Update.fits")


def test_name_and_time_may_come_from_the_header(output: Path) -> None:
    mjd = float(gps_to_mjd(gps_of(FIRST)))
    header = {"OBJECT": FIRST, "DATE-OBS": None, "MJD-OBS": mjd}
    Path("map.fits").write_bytes(skymap(FIRST, **header))
    assert main(["--skymap", "map.fits", "--far", "1e-9", "--instruments", "L1, H1"]) == 0
    info = read_info(output / "current_run" / FIRST)
    assert info.gps_time == pytest.approx(gps_of(FIRST), abs=1e-3)
    assert info.instruments == ["H1", "L1"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ([], "map.fits does not say the event's name (--id NAME), its false-alarm rate"),
        (["--id", FIRST], "does not say its false-alarm rate or p_astro"),
        (["--id", "GW2001", "--far", "1"], "or a catalogue's name like GW200219_094415"),
        (["--id", FIRST, "--far", "-1"], "false-alarm rate of -1.0"),
        (["--id", FIRST, "--p-astro", "nan"], "has p_astro nan"),
        (["--id", FIRST, "--far", "1", "--time", "1e12"], "is no GPS time"),
        (["--id", FIRST, "--far", "1", "--time", "yesterday"], "is not a UTC time"),
        (["--id", FIRST, "--far", "1", "--time", "2020-01-13T00:00:00"], "names another time"),
        (["--id", FIRST, "--far", "1", "--instruments", "LIGO"], "which is no detector"),
        (["--id", "S200112r", "--far", "1e-9"], "say whether S200112r is real or a test"),
        (["--alert", "alert.json", "--far", "1"], "--far is for events without an alert"),
        (["--id", FIRST, "--far", "1", "--role", "observation", "--yes"], "can only be a test"),
    ],
)
def test_what_is_missing_or_wrong_is_asked_for_in_one_sentence(
    output: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--skymap", "map.fits", *words]) == 1
    *_, last = capsys.readouterr().err.splitlines()
    assert last.startswith("skymap_info: ")
    assert says in last
    assert without_log(output) == {}


def test_a_catalogues_event_is_never_published(output: Path) -> None:
    assert main(["--skymap", "map.fits", "--id", FIRST, "--far", "1e-9"]) == 0
    event = output / "current_run" / FIRST
    write_flags(event, PRESETS["TRIGGERED_PUBLIC"] | {"ROLE": "observation"})
    places = {"real": "https://127.0.0.1:9/real", "test": "https://127.0.0.1:9/test"}
    for channel in ("gcn", "slack", "gracedb", "icecube", "webhook"):
        receipt = publish(event, channel, places)
        assert receipt.status == "refused"
        assert f"{FIRST} is of a catalogue, which is never published as an alert" in (
            sentence(receipt)
        )
    assert not (event / "outbox").exists()


def test_nobody_sends_a_record_or_calls_an_alert_so() -> None:
    record = {"event_without_alert": FIRST, "time": "2020-01-12T15:58:38", "far": 1e-9}
    record |= {"time_created": "2021-10-26T18:04:36"}
    assert parse_alert(json.dumps(record).encode(), "record").alert_type == "catalogue"
    for change in ({"superevent_id": FIRST, "alert_type": "UPDATE"}, {"time": "now"}):
        with pytest.raises(LlamaError):
            parse_alert(json.dumps(record | change).encode(), "record")
