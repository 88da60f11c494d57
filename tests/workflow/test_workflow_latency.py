"""latency.json in the workflow: written once per step, and the cause of nothing but itself."""

import json
from datetime import UTC, datetime
from typing import Any

from workspace import EVENT, SUMMARY, Workspace, alert, skymap_fits, strict_json

TARGET, PRODUCT = f"{EVENT}/all", f"{EVENT}/latency.json"
MADE = ("map", "neutrinos", "significance")


def steps(one: Workspace, revision: int = 1) -> dict[str, Any]:
    return strict_json(one.event / "latency.json")["revisions"][revision - 1]["steps"]


def seconds(one: Workspace, revision: int = 1) -> list[float]:
    return [steps(one, revision)[name]["after_notice_s"] for name in ("taken_over", *MADE)]


def test_a_finished_event_tells_its_times_in_their_order(finished: Workspace) -> None:
    latency = strict_json(finished.event / "latency.json")
    assert [entry["kind"] for entry in latency["revisions"]] == ["Preliminary"]
    known = steps(finished)
    assert (known["sent"], known["heard"], known["published"]) == (None, None, None)
    taken_over, *made = seconds(finished)
    assert all(taken_over <= second < taken_over + 600 for second in made)
    assert made[-1] == max(made)
    assert "latency.json" in strict_json(finished.event / "manifest.json")["products"]
    page = (finished.event / "coinc_summary_i3_lvc.html").read_text()
    assert "1 Preliminary" in page
    assert "Taken over" in page


def test_a_remade_significance_keeps_the_first_times_and_a_new_alert_has_its_own(
    event: Workspace,
) -> None:
    first = steps(event)
    event.set("  fb: 10.0", "  fb: 20.0")
    event.snakemake(PRODUCT)
    assert event.plan(PRODUCT) == []
    made = (event.event / "significance_lvc-i3.json").stat().st_mtime
    assert datetime.fromisoformat(first["significance"]["time"]).timestamp() < made - 1
    assert steps(event) == first
    event.take(alert("UPDATE", skymap=skymap_fits(ra=200.0), minute=30))
    event.snakemake(PRODUCT)
    assert event.plan(PRODUCT) == []
    assert steps(event) == first
    second = steps(event, 2)
    assert second["neutrinos"] is None  # those of the first alert serve the second one too
    taken_over, map_made, made = (second[k]["time"] for k in ("taken_over", "map", "significance"))
    assert first["significance"]["time"] < taken_over <= map_made <= made


def test_a_receipt_is_noticed_once_and_a_later_one_outdates_only_the_page(event: Workspace) -> None:
    def send(channel: str) -> str:
        sent_at = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"
        path = event.event / "receipts" / f"{channel}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps({"status": "sent", "sent_at": sent_at, "revision": 1}))
        return sent_at

    first = send("slack")
    assert event.plan(TARGET) == sorted({"write_latency", *SUMMARY})
    event.snakemake(TARGET)
    assert steps(event)["published"]["time"] == first
    # only the page, which nobody is sent, shows every receipt
    send("slack")
    send("gracedb")
    assert event.plan(TARGET) == ["write_page"]
