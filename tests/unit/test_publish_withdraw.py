"""A withdrawal reaches whoever has the message, whatever has become of flags and settings since."""

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import proofs
import pytest
import receivers
from publish_samples import PUBLIC, make_event
from publish_sites import SITES, GraceDBSite, Site, SlackSite, WebhookSite

from llama.audit.event import audit_messages
from llama.errors import LlamaError
from llama.event.find import Choice
from llama.event.flags import DEFAULTS, write_flags
from llama.event.messages import Receipt, owed_words, published_events, standing
from llama.figures.receipts import outcome, sent_words
from llama.files import read_json, write_json
from llama.publish import outbox
from llama.publish.deliver import note_withdrawal, plan, publish, sentence, write_receipt

Change = Callable[[Path], None]
Places = dict[str, str | None]
GONE: Places = {"real": None, "test": None}
ELSEWHERE = {"webhook": "https://localhost:1/x", "slack": "C9999999999"}
ELSEWHERE["gracedb"] = "https://localhost:1/api/"


def flags(**changes: Any) -> Change:
    return lambda event: write_flags(event, {**DEFAULTS, **PUBLIC, **changes})


CHANGES: dict[str, Change] = {
    "nothing": lambda event: None,
    "vetoed": flags(VETOED=True),
    "not to be uploaded": flags(UPLOAD=False, ICECUBE_UPLOAD=False),
    "offline": flags(ONLINE=False),
    "a test now": flags(ROLE="test"),
    "real now": flags(ROLE="observation"),
    "blinded": flags(BLINDED_NEUTRINOS=True),
    "all at once": flags(**DEFAULTS | {"VETOED": True, "ONLINE": False}),
    "flags are broken": lambda event: (event / "flags.json").write_text("{") and None,
    "no list": lambda event: (event / "icecube_neutrino_list.json").unlink(),
    "list is broken": lambda event: (event / "icecube_neutrino_list.json").write_text("") and None,
}
SETTINGS: dict[str, Callable[[Places, str], Places]] = {
    "as they were": lambda places, name: places,
    "no destination": lambda places, name: GONE,
    "other destinations": lambda places, name: {"real": ELSEWHERE[name], "test": None},
    "real and test exchanged": lambda p, name: {"real": p["test"], "test": p["real"]},
    "spelled otherwise": lambda places, name: {
        key: value and value.replace("https://localhost", "HTTPS://LOCALHOST")
        for key, value in places.items()
    },
}
# every which combination is tried, in the whole proof and in a part; no divisor of their number
STEPS = {"webhook": (1, 17), "gracedb": (13, 29), "slack": (23, 37)}
ORDERS = ("change, retract", "retract, change", "retract, answer lost, change")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory in which events can be real: without the word test in its name."""
    with tempfile.TemporaryDirectory(prefix="llama-", dir="/var/tmp") as directory:
        yield Path(directory) / "current_run"


@pytest.fixture(params=SITES, ids=lambda site: site.name)
def site(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("SLACK_TOKEN", receivers.TOKEN)
    monkeypatch.setenv("GRACEDB_TOKEN", "canary-gracedb")
    monkeypatch.setattr("llama.web.PAUSE_S", 0.001)
    monkeypatch.setattr(outbox, "SETTLE_S", 0.0)
    monkeypatch.setattr(os, "fsync", lambda handle: None)  # nobody pulls the plug here
    with SITES[request.param]() as (server, double):
        monkeypatch.setenv("SLACK_API_URL", f"{server.url}/api/")
        yield request.param(server, double)


def send(event: Path, site: Site, places: Places) -> Receipt:
    return publish(event, site.name, places)


@pytest.mark.proof
def test_every_combination_of_flags_settings_and_order(
    site: Site, place: Path, proven: Callable[..., None]
) -> None:
    here = site.destinations["test"]
    cases = itertools.product((True, False), CHANGES, SETTINGS, ORDERS)
    for number, (real, change, setting, order) in enumerate(cases):
        if number % proofs.size(*STEPS[site.name]):  # Slack asks for much
            continue
        case = f"{real}, {change}, {setting}, {order}"
        letters = "".join(chr(97 + number // 26**k % 26) for k in range(3))
        role = "observation" if real else "test"
        event = make_event(place, PUBLIC | {"ROLE": role}, graceid=f"S240101{letters}")
        places: Places = {"real": here, "test": None} if real else {"real": None, "test": here}
        before = len(site.arrived())
        assert send(event, site, places).audience == ("real" if real else "test"), case
        later = SETTINGS[setting](places, site.name)
        if order == "change, retract":
            CHANGES[change](event)
        revise_alone(event)
        if order == "retract, answer lost, change":
            site.spoil(site.ends[0], ["lost"])
            with pytest.raises(LlamaError):
                send(event, site, places)
            site.server.faults = {}
        if order != "change, retract":
            CHANGES[change](event)
        receipt = send(event, site, later)
        assert (receipt.status, receipt.reasons) == ("withdrawn", []), case
        assert receipt.audience == ("real" if real else "test"), case
        assert receipt.standing == standing(event) == [], case
        assert send(event, site, later) == receipt, case
        first, last = site.arrived()[before:]
        assert "RETRACTED" in last[1], case
        assert first[1].startswith("[TEST]") is last[1].startswith("[TEST]") is not real, case
        assert last[2] is not None, case
    proven(f"every {STEPS[site.name][0]}.", number + 1, messages=len(site.arrived()))


def revise_alone(event: Path) -> None:
    """Bring the retraction and nothing else: results stay as they are."""
    info = read_json(event / "skymap_info.json")
    notice = f"{info['graceid']}-2-Retraction"
    write_json(
        event / "skymap_info.json", info | {"retracted": True, "revision": 2, "notice": notice}
    )


@pytest.mark.parametrize("site", [WebhookSite], indirect=True)
def test_each_place_that_has_it_is_reached_and_each_in_its_own_words(
    site: Site, place: Path
) -> None:
    event = make_event(place, PUBLIC)
    url = site.server.url
    both: Places = {"real": f"{url}/real", "test": f"{url}/rehearsal"}
    assert send(event, site, both).audience == "real"
    write_flags(event, PUBLIC | {"ROLE": "test"})
    assert send(event, site, both).audience == "test"
    assert len(standing(event)) == 2
    moved: Places = {"real": f"{url}/new", "test": None}
    write_flags(event, PUBLIC)
    assert send(event, site, moved).destination == f"{url}/new"
    revise_alone(event)
    assert [p.kind for p in plan(event, "webhook", GONE)] == ["withdrawal"] * 3
    receipt = send(event, site, GONE)
    assert receipt.status == "withdrawn"
    said = sentence(receipt)
    assert all(f"{url}/{path}" in said for path in ("real", "rehearsal", "new"))
    posts = [hit for hit in site.server.hits if hit.startswith("POST")]
    for path in ("real", "rehearsal", "new"):
        assert len([hit for hit in posts if f"/{path}" in hit]) == 2, posts
    texts = [text for _, text, _ in site.arrived()[3:]]
    assert sorted(text.startswith("[TEST]") for text in texts) == [False, False, True]
    assert [p.kind for p in plan(event, "webhook", GONE)] == [None]


@pytest.mark.parametrize("site", [WebhookSite], indirect=True)
def test_a_place_that_cannot_be_reached_is_named_and_keeps_no_other_waiting(
    site: Site, place: Path
) -> None:
    event = make_event(place, PUBLIC)
    url = site.server.url
    old = f"{url}/old"
    send(event, site, {"real": old, "test": None})
    send(event, site, {"real": f"{url}/new", "test": None})
    revise_alone(event)
    site.server.faults = {"/old": 502}
    for _ in range(3):  # it is tried for ever
        with pytest.raises(LlamaError) as caught:
            send(event, site, {"real": f"{url}/new", "test": None})
        assert f"has not reached webhook {old} (real)" in str(caught.value)
        assert f"--withdrawn-by-hand '{old}'" in str(caught.value)
    assert len(site.arrived()) == 3
    (left,) = standing(event)
    assert (left.destination, left.audience) == (old, "real")
    # it is said on the pages, by the audit, and the event is worked on, vetoed and however old
    assert f"not withdrawn yet: webhook {old} (real)" in " ".join(outcome(event))
    assert owed_words(event) == [f"webhook {old} (real), as {left.remote_id}"]
    findings = [finding.sentence for finding in audit_messages(event, "events/S240101ab/all")]
    assert "it still stands: webhook" in findings[0]
    write_flags(event, {"VETOED": True})
    for count in (0, 9):
        assert Choice(count).directories(place.parent) == [f"current_run/{event.name}"]

    with pytest.raises(LlamaError, match="nothing of S240101ab stands at"):
        note_withdrawal(event, f"{url}/new")
    assert note_withdrawal(event, f"{old}/") == ["webhook"]
    receipt = send(event, site, GONE)
    assert (receipt.status, receipt.standing) == ("withdrawn", [])
    assert len(site.arrived()) == 3
    assert list(audit_messages(event, "x")) == []
    assert Choice(9).directories(place.parent) == []


@pytest.mark.parametrize("site", [SlackSite, WebhookSite, GraceDBSite], indirect=True)
def test_a_receipt_that_refuses_says_what_stands(site: Site, place: Path) -> None:
    event = make_event(place, PUBLIC)
    places: Places = {"real": site.destinations["test"], "test": None}
    sent = send(event, site, places)
    for changes in ({"VETOED": True}, {"UPLOAD": False}, {"ROLE": "test"}):
        write_flags(event, PUBLIC | changes)
        receipt = send(event, site, places)
        assert receipt.status == "refused"
        (left,) = receipt.standing
        assert left.remote_id == sent.remote_id
        assert f"an earlier message stands: {site.name} {sent.destination}" in sentence(receipt)
        write_receipt(event, receipt)
        assert sent_words(event)[0] == site.name
        assert outcome(event)[0].startswith(f"Still published: {site.name} {sent.destination}")
    # Snakemake removes a receipt that could not be made
    (event / "receipts" / f"{site.name}.json").unlink()
    assert sent_words(event)[0] == site.name
    assert "Nothing has been sent." not in outcome(event)


@pytest.mark.parametrize("site", [SlackSite], indirect=True)
def test_slack_is_searched_where_its_own_clock_says(
    site: Site, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent with a clock twelve hours ahead, the answer lost, and the clock put right."""
    event, now = make_event(place, PUBLIC), time.time
    places: Places = {"real": site.destinations["test"], "test": None}
    site.double.now = now
    site.spoil("/chat.postMessage", ["lost"])
    with monkeypatch.context() as patch:
        patch.setattr(outbox.time, "time", lambda: now() + 43_200)
        with pytest.raises(LlamaError):
            send(event, site, places)
    site.server.faults = {}
    assert send(event, site, places).status == "sent"
    assert len(site.arrived()) == 1


@pytest.mark.parametrize("site", [WebhookSite], indirect=True)
def test_a_message_without_answer_is_withdrawn_if_it_arrived(site: Site, place: Path) -> None:
    """Sent, the answer lost, the destination changed, and retracted; nothing is left standing."""
    for name, fault, arrived in (("S240101aa", "lost", 2), ("S240101ab", "drop", 0)):
        event = make_event(place, PUBLIC, graceid=name)
        site.double.posts.clear()
        site.spoil("/hook", [fault])
        with pytest.raises(LlamaError):
            send(event, site, {"real": site.destinations["test"], "test": None})
        site.server.faults = {}
        (left,) = standing(event)
        assert left.remote_id is None
        revise_alone(event)
        receipt = send(event, site, GONE)
        assert standing(event) == []
        assert len(site.arrived()) == arrived
        nothing = ["the alert was retracted, and nothing had been published"]
        assert receipt.reasons == ([] if arrived else nothing)


@pytest.mark.parametrize("site", [WebhookSite], indirect=True)
def test_what_a_past_run_has_published_is_withdrawn(site: Site, place: Path) -> None:
    """The run was closed, then the retraction came: a new directory that has sent nothing."""
    event = make_event(place, PUBLIC)
    places: Places = {"real": site.destinations["test"], "test": None}
    send(event, site, places)
    past = place.parent / "past_runs" / "o4" / event.name
    past.parent.mkdir(parents=True)
    event.rename(past)
    event = make_event(place, {})
    revise_alone(event)
    info = read_json(event / "skymap_info.json")
    write_json(event / "skymap_info.json", info | {"event_time": None, "gps_time": None})
    (left,) = standing(event)
    where = f"webhook {left.destination} (real), as {left.remote_id}"
    assert owed_words(event) == [where]
    assert Choice(0).directories(place.parent) == [f"current_run/{event.name}"]
    assert published_events(place) == [event.name]
    receipt = send(event, site, GONE)
    assert (receipt.status, receipt.audience) == ("withdrawn", "real")
    assert send(event, site, GONE) == receipt
    assert [post["kind"] for _, post in site.double.posts] == ["new", "withdrawal"]
    assert standing(past) == standing(event) == []


def test_files_for_icecube_are_withdrawn_from_the_old_directory(place: Path) -> None:
    event = make_event(place, PUBLIC)
    old, new = place.parent / "old", place.parent / "new"
    old.mkdir()
    publish(event, "icecube", {"real": str(old), "test": None})
    write_flags(event, {"VETOED": True})
    revise_alone(event)
    assert publish(event, "icecube", {"real": str(new), "test": None}).status == "withdrawn"
    assert (old / "S240101ab-2-Retraction.retraction_lvc-i3.json").exists()
    assert not new.exists()
