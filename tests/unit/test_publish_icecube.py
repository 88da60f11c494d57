"""IceCube's combination script reads our files and makes its notice; so does LVK's advocates' tool.

`combine` and `advocate_rows` read what those programs read, key by key.
"""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from publish_samples import GRACEID, Crash, Killed, make_event, revise, write_result

from llama.errors import LlamaError
from llama.event.messages import Receipt
from llama.files import read_json
from llama.publish import icecube_files, outbox
from llama.publish.deliver import publish
from llama.publish.gracedb_log import build as gracedb_payload
from llama.publish.notice import build_notice
from llama.publish.result import read_result
from llama.units import R90_PER_SIGMA


@pytest.fixture
def drop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(outbox, "SETTLE_S", 0.0)
    directory = tmp_path / "drop"
    directory.mkdir()
    return directory


def send(event: Path, drop: Path) -> Receipt:
    return publish(event, "icecube", {"real": None, "test": str(drop)})


def combine(drop: Path, notice: str, instruments: list[str]) -> dict[str, Any] | None:
    """Read as IceCube's combination script does; None when it would leave LLAMA out."""
    word = "opa" if len(instruments) == 1 else "subthreshold"
    path = drop / f"{notice}.significance_{word}_lvc-i3.json"
    if not path.exists():
        return None
    record = json.loads(path.read_text())
    neutrinos = record["inputs"]["neutrino_info"]
    if neutrinos and neutrinos[0]["type"] == "blinded":
        return None
    p_value = record["p_value"]
    event_info = []
    for single in record["single_neutrino"]:
        if p_value is not None and p_value < 0.1 and single["p_value"] < 0.1:
            place = {key: round(single[key], 2) for key in ("ra", "dec")}
            place["ra_dec_error"] = round(single["sigma"] * 2.145966, 2)
            event_info.append(
                {"event_dt": round(single["dt"], 2), "localization": place}
                | {"event_pval_bayesian": round(single["p_value"], 4), "i3event": single["i3event"]}
            )
    sensitivity = record["neutrino_flux_sensitivity_range"]
    assert len(sensitivity["flux_sensitivity"]) == len(sensitivity["sensitive_energy_range"]) == 2
    return {"pval_bayesian": p_value, "n_events_coincident": len(event_info), "events": event_info}


def advocate_rows(record: dict[str, Any], t_gw_mjd: float) -> list[dict[str, float]]:
    """Read as LVK's tool for circulars does; its dt has the other sign."""
    return [
        {"dt": (t_gw_mjd - n["mjd"]) * 86400, "ra": n["ra"], "dec": n["dec"], "sigma": n["sigma"]}
        | {"p": record["p_value"]}
        for n in record["inputs"]["neutrino_info"]
    ]


@pytest.mark.parametrize("instruments", [["H1", "L1"], ["H1"]])
def test_the_combination_script_reads_what_we_put_there(
    drop: Path, tmp_path: Path, instruments: list[str]
) -> None:
    event = make_event(tmp_path / "current_run", instruments=instruments)
    receipt = send(event, drop)
    assert receipt.status == "sent"
    read = combine(drop, f"{GRACEID}-1-Initial", instruments)
    assert (read["pval_bayesian"], read["n_events_coincident"]) == (0.0056, 1)
    result = read_result(event, real=False)
    notice = build_notice(result.info, result.significance, result.neutrinos)
    (ours,), (theirs,) = notice["coincident_events"], read["events"]
    for key in ("ra", "dec", "ra_dec_error"):
        assert ours["localization"][key] == theirs["localization"][key]
    assert ours["event_dt"] == theirs["event_dt"]
    assert pytest.approx(2.145966, abs=1e-6) == R90_PER_SIGMA


def test_blinded_neutrinos_are_left_out_there(drop: Path, tmp_path: Path) -> None:
    event = make_event(tmp_path / "current_run")
    write_result(event, read_json(event / "skymap_info.json"), kind="blinded")
    assert send(event, drop).audience == "test"
    assert combine(drop, f"{GRACEID}-1-Initial", ["H1", "L1"]) is None


@pytest.mark.parametrize(
    ("significant", "name"),
    [(False, "significance_subthreshold_lvc-i3.json"), (True, "significance_opa_lvc-i3.json")],
)
def test_the_advocates_tool_reads_the_upload(tmp_path: Path, significant: bool, name: str) -> None:
    event = make_event(tmp_path / "current_run", significant=significant)
    payload = json.loads(gracedb_payload(read_result(event, real=False), "key", "new", None))
    assert payload["filename"] == name
    rows = advocate_rows(json.loads(payload["content"]), 60310.0)
    assert [round(row["dt"]) for row in rows] == [-35, 170]
    assert {row["p"] for row in rows} == {0.0056}


def test_files_of_later_notices_have_their_own_names(drop: Path, tmp_path: Path) -> None:
    event = make_event(tmp_path / "current_run")
    send(event, drop)
    revise(event)
    assert send(event, drop).status == "updated"
    revise(event, retracted=True)
    assert send(event, drop).status == "withdrawn"
    assert sorted(path.name for path in drop.iterdir()) == [
        f"{GRACEID}-1-Initial.significance_subthreshold_lvc-i3.json",
        f"{GRACEID}-2-Update.significance_subthreshold_lvc-i3.json",
        f"{GRACEID}-3-Retraction.retraction_lvc-i3.json",
    ]


def test_its_flag_is_its_own(drop: Path, tmp_path: Path) -> None:
    flags = {"ROLE": "observation", "UPLOAD": True}
    receipt = send(make_event(tmp_path / "current_run", flags), drop)
    assert receipt.reasons == ["the flag ICECUBE_UPLOAD is false"]
    assert list(drop.iterdir()) == []


def test_killed_at_every_step_the_file_is_there_once_and_whole(
    drop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = random.Random(3)
    for number, at in enumerate([*range(12), *(rng.randrange(12) for _ in range(20))]):
        graceid = f"S2401{number:02d}a"
        event = make_event(tmp_path / str(number) / "current_run", graceid=graceid)
        with monkeypatch.context() as patch:
            Crash(at).install(patch, icecube_files.IceCubeFiles)
            with pytest.raises(Killed):
                send(event, drop)
        assert send(event, drop).status == "sent"
        assert len(list(drop.iterdir())) == number + 1
        content = (event / "significance_lvc-i3.json").read_bytes()
        assert (drop / Path(send(event, drop).remote_id)).read_bytes() == content


def test_a_directory_that_is_not_mounted_is_named(drop: Path, tmp_path: Path) -> None:
    event = make_event(tmp_path / "current_run")
    drop.rmdir()
    with pytest.raises(LlamaError, match="is not there; make or mount it"):
        send(event, drop)
    drop.mkdir()
    assert send(event, drop).status == "sent"
