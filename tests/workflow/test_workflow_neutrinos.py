"""Neutrinos in time: provisional, remade, complete when the source says so, and late."""

import json
import time
from typing import Any

from https_server import Answer, Request, https_server
from workspace import EVENT, Workspace, alert, strict_json

from llama.event.flags import read_flags, write_flags
from llama.event.skymap_info import read_info
from llama.times import gps_to_iso, gps_to_mjd, now_gps

TARGET = f"{EVENT}/icecube_neutrino_list.json"


def _take_event_at(workspace: Workspace, gps: float) -> None:
    content = alert(time=gps_to_iso(gps)).replace(b"2024-01-01T", b"2026-01-01T")
    workspace.take(content, "--force")


def _neutrino(gps: float, event: int) -> dict[str, Any]:
    direction = {"ra": 40.0, "dec": 20.0, "sigma": 0.5, "energy": 2000.0}
    return {"mjd": float(gps_to_mjd(gps)), "run": 1, "event": event, **direction}


def _drop(workspace: Workspace, gps: float, events: list[Any], **said: bool) -> None:
    directory = workspace.output / "neutrinos"
    directory.mkdir(exist_ok=True)
    span = {"start": gps_to_iso(gps - 600), "stop": gps_to_iso(gps + 600)}
    (directory / "stream.json").write_text(json.dumps(span | {"events": events} | said))


def _remade(workspace: Workspace) -> tuple[dict[str, Any], str]:
    """Make the list, which must have been outdated, and be up to date then."""
    assert workspace.plan(TARGET) == ["list_neutrinos"]
    printed = workspace.snakemake(TARGET)
    assert workspace.plan(TARGET) == []
    return strict_json(workspace.output / TARGET), printed


def test_provisional_remade_complete_late(fresh: Workspace) -> None:
    fresh.set("  source: {}", "  source: {files: {}}")
    for margin_s in (12.0, 60.0):  # the second one for a machine that is very busy
        gps = now_gps() - 500 + margin_s
        _take_event_at(fresh, gps)
        _drop(fresh, gps, [_neutrino(gps, 1)], complete=True)
        fresh.snakemake(TARGET)
        made = strict_json(fresh.output / TARGET)
        if made["window_state"] == "open":
            break
    assert (made["complete"], len(made["events"])) == (False, 1)

    _drop(fresh, gps, [_neutrino(gps, 1)])
    time.sleep(max(0.0, read_info(fresh.event).gps_time + 500 - now_gps()))
    made, printed = _remade(fresh)
    assert (made["window_state"], made["complete"]) == ("closed", False)

    _drop(fresh, gps, [_neutrino(gps, 1)], complete=True)
    made, printed = _remade(fresh)
    assert made["complete"]
    assert "late" not in printed

    _drop(fresh, gps, [_neutrino(gps, 1), _neutrino(gps + 5, 2)], complete=True)
    made, printed = _remade(fresh)
    assert [event["id"] for event in made["events"]] == ["1_1", "1_2"]
    told = "late neutrino data for S240101ab"
    assert told in printed
    assert "(new: 1_2)" in printed
    assert told in (fresh.output / f"logs/{EVENT}/list_neutrinos.log").read_text()
    history = (fresh.output / f"logs/{EVENT}/neutrino_lists.jsonl").read_text().splitlines()
    assert [json.loads(line)["complete"] for line in history][-3:] == [False, True, True]


def test_a_stream_over_https_is_asked_seldom_and_only_online(fresh: Workspace) -> None:
    gps = round(now_gps() - 2000, 3)
    answer = {"complete": True, "events": [_neutrino(gps, 1) | {"time": gps}]}

    def respond(request: Request) -> Answer:
        return Answer(200, answer)

    with https_server(respond) as server:
        url = f"{server.url}/?start={{start_gps}}&stop={{stop_gps}}"
        options = json.dumps({"kind": "https_json", "url": url, "time": "gps"})
        fresh.set("  source: {}", f"  source: {{gfu: {options}}}")
        _take_event_at(fresh, gps)
        assert fresh.plan(TARGET) == ["list_neutrinos"]
        made, _ = _remade(fresh)
        assert (made["complete"], len(made["events"])) == (True, 1)
        assert made["source"]["kind"] == "https_json"
        assert len(server.hits) == 1

        (kept,) = (fresh.output / "neutrino_answers/gfu").glob("*.json")
        aged = strict_json(kept) | {"asked_at": gps_to_iso(now_gps() - 7200, 0)}
        kept.write_text(json.dumps(aged))
        write_flags(fresh.event, read_flags(fresh.event) | {"ONLINE": False})
        assert fresh.plan(TARGET) == ["list_neutrinos"]
        printed = fresh.snakemake(TARGET, code=1)
        assert "no neutrino source covers S240101ab" in printed
        assert len(server.hits) == 1

        write_flags(fresh.event, read_flags(fresh.event) | {"ONLINE": True})
        answer["events"].append(_neutrino(gps + 5, 2) | {"time": gps + 5})
        made, printed = _remade(fresh)
        assert len(made["events"]) == 2
        assert "(new: 1_2)" in printed
        assert len(server.hits) == 2
