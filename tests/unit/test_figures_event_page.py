"""index.html of an event: what it says, what it survives, and that hostile text stays text."""

import json
import re

import page_samples as sample
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from page_samples import Page

from llama.errors import LlamaError
from llama.figures.event_page import write_event_page
from llama.files import read_json, write_json
from llama.sky.tiles import SkyTiles

MOST_BYTES = 2_000_000


def page_of(event_dir):
    write_event_page(event_dir, f"events/{event_dir.name}")
    source = (event_dir / "index.html").read_text(encoding="utf-8")
    return Page(source), source


@pytest.fixture(scope="module")
def event(tmp_path_factory):
    return sample.write_event(tmp_path_factory.mktemp("output"))


@pytest.fixture
def own(tmp_path):
    return sample.write_event(tmp_path)


def test_the_page_has_all_that_those_on_shift_ask(event):
    page, source = page_of(event)
    for heading in (
        *("Sky", "What drove the odds ratio", "Which of the four it is", "Neutrinos"),
        *("Significance", "Gravitational-wave event", "Revisions", "Latency"),
        *("What has gone out", "Files", "Provenance"),
    ):
        assert f"<h2>{heading}</h2>" in source
    for words in ("p-value 0.0123", "Odds ratio 0.0248", "Neutrinos within 500 s 2 complete"):
        assert words in page.text
    assert "2 Initial 2023-05-18 13:05:00 UTC 1800 s (0.0 s) 1801 s (1.0 s)" in page.text
    assert "snakemake events/S230518h/all" in page.text
    assert "Neutrino 1, RA 102.0 deg, Dec -24.0 deg, 90 % radius 1.72 deg: in the 10 %" in page.text
    assert "Dec +50.0 deg, 90 % radius 1.72 deg: outside of the 99 % region." in page.text
    shares = re.findall(r'<rect width="([0-9.]+)" height="8" fill="#1f5f99"', source)
    assert shares == ["3.00", "87.00", "0.00", "10.00"]


def test_a_map_of_another_event_is_named(own):
    tiles = SkyTiles.load(own / "lvc_skymap.hdf5")
    page, _ = page_of(own)
    assert "belongs to another event" not in page.text
    tiles.meta["date_obs"] = "2019-04-12T05:30:44.166"
    tiles.save(own / "lvc_skymap.hdf5")
    page, _ = page_of(own)
    assert (
        "The sky map belongs to another event: DATE-OBS is 2019-04-12T05:30:44.166, " in page.text
    )


def test_a_detector_that_observed_in_a_part_of_the_window_is_named(own):
    path = own / "icecube_neutrino_list.json"
    neutrinos = read_json(path)
    neutrinos["window"]["half_width_s"] = 500.0
    for livetime_s, is_said in ((None, False), (1000.0, False), (499.8, True), (0.0, True)):
        write_json(path, neutrinos | {"livetime_s": livetime_s})
        page, _ = page_of(own)
        said = f"{livetime_s or 0:.0f} of 1000 s"
        assert (f"2 complete, observed {said}" in page.text) is is_said
        assert (f"the detector observed during {said}" in page.text) is is_said


def test_the_window_of_the_list_is_the_one_that_is_named(own):
    path = own / "icecube_neutrino_list.json"
    neutrinos = read_json(path)
    window = {"centre_gps": 0.0, "start_gps": -1250.0, "stop_gps": 500.0}
    write_json(path, neutrinos | {"window": neutrinos["window"] | window})
    page, _ = page_of(own)
    assert "Neutrinos 1250 s before to 500 s after 2 complete" in page.text


def test_without_a_result_no_background_is_missing(own):
    path = own / "significance_lvc-i3.json"
    write_json(path, read_json(path) | {"p_value": None})
    assert "no background" in page_of(own)[0].text
    path.unlink()
    assert "no background" not in page_of(own)[0].text


def test_the_page_can_be_used_without_mouse_and_read_aloud(event):
    page, _ = page_of(event)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert all(cell["scope"] in {"row", "col"} for cell in page.all("th"))
    assert all(image["alt"] for image in page.all("img"))
    assert all(b.get("aria-label") or "data-sky" in b for b in page.all("button"))
    (canvas,) = page.all("canvas")
    assert canvas["tabindex"] == "0"
    ids = [a["id"] for _, a in page.tags if "id" in a]
    assert len(ids) == len(set(ids))
    assert set(canvas["aria-describedby"].split()) <= set(ids)
    anchors = [a["href"] for a in page.all("a") if a["href"].startswith("#")]
    assert len(anchors) >= 10
    assert {a[1:] for a in anchors} <= set(ids)
    assert all(r["tabindex"] == "0" for _, r in page.tags if r.get("role") == "region")


def test_the_page_asks_no_address_and_runs_only_its_own_script(event):
    page, source = page_of(event)
    assert len(source.encode()) < MOST_BYTES
    policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'sha256-")
    assert [s.get("type") for s in page.all("script")] == ["application/json", None]
    assert not [a for _, a in page.tags if any(k.startswith("on") or k == "style" for k in a)]
    assert not re.search(r"(src|href|url\()\s*=?\s*[\"']?(https?:)?//", source)
    json.loads(page.scripts[0])


def test_a_page_is_as_small_as_it_must_be_with_a_thousand_neutrinos(tmp_path):
    many = [sample.neutrino(k, ra=k % 360.0, dec=k % 80.0) for k in range(1000)]
    event_dir = sample.write_event(tmp_path, events=many)
    # figures as large as real ones
    for name in ("skymap", "scatter"):
        (event_dir / f"coinc_{name}_lvc-i3.png").write_bytes(sample.PNG + bytes(400_000))
    _, source = page_of(event_dir)
    assert source.count("138000_") >= 1000
    assert len(source.encode()) < MOST_BYTES


def assert_harmless(source):
    """The page's markup is the template's, whatever the texts are."""
    page = Page(source)
    assert [s.get("type") for s in page.all("script")] == ["application/json", None]
    assert len(page.all("style")) == 1
    assert len(page.all("img")) == 2
    assert not [a for _, a in page.tags if any(k.startswith("on") for k in a)]
    assert all(a["href"].startswith(("#", "../")) or "/" not in a["href"] for a in page.all("a"))
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x1b]", source)
    return page


def hostile(event_dir, bad):
    """Put a text wherever one of others may come from."""
    nus = [sample.neutrino(1, id=bad, type=bad, run=bad), sample.neutrino(2, id=bad + "2")]
    nus[0]["type"] = nus[1]["type"] = bad
    write_json(event_dir / "icecube_neutrino_list.json", {"events": nus, "complete": True})
    result = sample.significance(sample.info(), nus)
    result |= {"p_value_population": bad, "provenance": {bad: {bad: [bad]}}}
    write_json(event_dir / "significance_lvc-i3.json", result)
    label = bad.replace("\n", " ").replace("\r", " ")[:40]
    event = sample.info(pipeline=label if re.fullmatch(".{0,40}", label) else "")
    write_json(event_dir / "skymap_info.json", event | {"instruments": ["H1"]})
    write_json(event_dir / "p_astro.json", {"p_astro": 0.5, "population": bad, "source": bad})
    receipt = {"channel": bad, "destination": bad, "status": bad, "reasons": [bad], "sent_at": bad}
    write_json(event_dir / "receipts" / "slack.json", receipt | {"remote_id": bad, "revision": bad})
    steps = {"map": {"after_event_s": bad, "after_notice_s": None}, bad: None}
    latency = {"revisions": [{"revision": 1, "kind": bad, "notice_time": bad, "steps": steps}]}
    write_json(event_dir / "latency.json", latency)
    (event_dir / "alerts" / "1-Preliminary.json").write_bytes(
        sample.alert("Preliminary", pipeline=bad)
    )
    kept = {"skymap_filename": bad, "p_value_population": bad, "n_background": 3}
    write_json(event_dir / "revisions" / "1.json", kept)


@pytest.mark.parametrize("bad", [*sample.HOSTILE, "A" * 10_240, "<" * 5_000])
def test_hostile_text_is_shown_as_text(own, bad):
    hostile(own, bad)
    _, source = page_of(own)
    page = assert_harmless(source)
    assert len(source.encode()) < MOST_BYTES
    start = "".join(c for c in bad[:12] if c.isprintable()).split("\u202e")[0]
    assert start.strip().split(" ")[0] in page.text
    assert "A" * 500 not in page.text


@settings(max_examples=40)
@given(bad=st.text(min_size=1, max_size=200).filter(lambda t: t.isprintable()))
def test_any_text_leaves_the_markup_alone(event, bad):
    hostile(event, bad)
    _, source = page_of(event)
    assert_harmless(source)


def test_what_changed_between_alerts_stands_side_by_side(own):
    page_of(own)
    assert read_json(own / "revisions" / "2.json")["odds_ratio"] == pytest.approx(0.0248, rel=1e-2)
    write_json(
        own / "revisions" / "1.json",
        {"area_90_deg2": 1500.0, "odds_ratio": 0.5, "p_value": 0.0002, "neutrinos": 1},
    )
    _, source = page_of(own)
    table = source[source.index("Alerts of this event") : source.index("Latency</h2>")]
    rows = {
        r[0]: r[1:]
        for r in (re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in table.split("<tr>")[2:])
    }
    bare = {label: [re.sub("</?bdi>", "", cell) for cell in cells] for label, cells in rows.items()}
    assert bare["False-alarm rate"] == ["5e-09 Hz", "<strong>3.2e-10 Hz</strong>"]
    assert bare["Odds ratio"] == ["0.5", "<strong>0.0248</strong>"]
    assert bare["p-value"] == ["0.0002", "<strong>0.0123</strong>"]
    assert bare["90 % area"][0] == "1500 deg²"
    assert bare["Pipeline"] == ["GSTLAL", "GSTLAL"]
    assert bare["Neutrinos in the window"] == ["1 (provisional)", "<strong>2</strong>"]


def test_an_alert_that_cannot_be_read_is_named(own):
    (own / "alerts" / "1-Preliminary.json").write_text("{")
    (own / "alerts" / "2-neutrinos.json").write_text("[]")
    (own / "alerts" / "1-Preliminary.heard.json").write_text("{}")
    page, _ = page_of(own)
    assert "cannot be read" in page.text
    assert "There are 2 alerts." in page.text


def test_what_went_out_and_what_did_not_and_why(own):
    sent = {"channel": "slack", "destination": "#icecube", "status": "sent", "reasons": []}
    sent |= {"sent_at": "2023-05-18T13:10:00Z", "remote_id": "168.1", "revision": 2}
    write_json(own / "receipts" / "slack.json", sent)
    reasons = ["the flag ROLE is not observation", "its path has 'test' in it"]
    refused = {"channel": "gracedb", "status": "refused", "reasons": reasons}
    write_json(own / "receipts" / "gracedb.json", refused)
    for name in ("1.intent.json", "1.receipt.json", "2.intent.json"):
        write_json(own / "outbox" / "slack" / name, {})
    page, _ = page_of(own)
    head, table = page.text.split("What drove the odds ratio")
    assert (
        "Sent to slack. Not sent to gracedb: the flag ROLE is not observation; its path has 'test' "
        "in it. Waiting in the outbox: slack/2. Flags and receipts"
    ) in head
    assert "; ".join(reasons) in table
    assert "ROLE=test" in page.text


def test_the_result_of_an_earlier_alert_says_so(own):
    assert "earlier alert" not in page_of(own)[0].text
    write_json(own / "skymap_info.json", sample.info(revision=3, notice="S230518h-3-Update"))
    page, _ = page_of(own)
    words = "The result is that of an earlier alert, S230518h-2-Initial, revision 2."
    assert words in page.text.partition("What drove")[0]


@pytest.mark.parametrize("missing", ["significance_lvc-i3.json", "lvc_skymap.hdf5", "*"])
def test_a_page_says_what_is_not_there(own, missing):
    for path in list(own.glob(missing)):
        if path.is_file() and path.name not in ("skymap_info.json", "flags.json"):
            path.unlink()
    page, _ = page_of(own)
    assert "Not made yet:" in page.text
    assert "nan" not in page.text.lower().split()
    assert "None" not in page.text.split()
    assert not page.all("canvas") or missing.startswith("sig")


def test_a_retraction_and_a_veto_are_seen_first(tmp_path):
    event_dir = sample.write_event(tmp_path, retracted=True, flags={"VETOED": True})
    page, source = page_of(event_dir)
    assert "<title>RETRACTED, TEST, VETOED:" in source
    assert "The gravitational-wave alert was retracted" in page.text
    assert "no result of it is sent" in page.text


def test_no_neutrinos_and_no_p_value(tmp_path):
    event_dir = sample.write_event(tmp_path, events=[])
    result = sample.significance(sample.info(), []) | {"p_value": None, "p_value_reason": "none"}
    write_json(event_dir / "significance_lvc-i3.json", result)
    page, source = page_of(event_dir)
    assert "The odds ratio is 0: the list holds no neutrino." in page.text
    assert "<h2>Significance</h2>" not in source  # a figure that only says so once more
    assert "Next neutrino" not in page.text


def test_broken_flags_are_refused_and_the_old_page_stays(own):
    page_of(own)
    before = (own / "index.html").read_bytes()
    (own / "flags.json").write_text("{")
    with pytest.raises(LlamaError, match=r"flags\.json"):
        page_of(own)
    assert (own / "index.html").read_bytes() == before


def test_equal_input_gives_equal_bytes(own):
    assert page_of(own)[1] == page_of(own)[1]


def test_the_way_back_leads_to_the_page_of_all_events(own):
    _, source = page_of(own)
    assert 'href="../../status.html"' in source
    write_event_page(own, "past_runs/o4/S230518h")
    source = (own / "index.html").read_text()
    assert 'href="../../../status.html"' in source
    assert "snakemake past_runs/o4/S230518h/all" in source
