"""Where the source is: in a notice, and as sky maps in GraceDB's log, beside the result, once."""

from collections.abc import Iterator
from pathlib import Path

import figure_samples as sample
import pytest
from publish_samples import GRACEID, combined, make_event, revise, write_skymaps
from publish_sites import GraceDBSite, gracedb_site
from test_publish_circular import as_read
from test_publish_notice import build

from llama.alerts.gracedb_record import preferred_skymap
from llama.errors import LlamaError
from llama.event.located import Combined
from llama.event.names import COINCIDENCE, COMBINED
from llama.publish import gracedb_log, outbox

NAMES = list(gracedb_log.SKYMAPS.values())


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[GraceDBSite]:
    monkeypatch.setenv("GRACEDB_TOKEN", "canary-gracedb")
    monkeypatch.setattr("llama.web.PAUSE_S", 0.001)
    monkeypatch.setattr(outbox, "SETTLE_S", 0.0)
    with gracedb_site() as (server, double):
        yield GraceDBSite(server, double)


@pytest.fixture
def event(tmp_path: Path) -> Path:
    made = make_event(tmp_path / "current_run")
    write_skymaps(made)
    return made


def names(site: GraceDBSite) -> list[str]:
    """Return the names of the files in the order of the log."""
    return [row["filename"] for rows in site.double.logs.values() for row in rows]


def test_they_follow_the_result_and_its_updates(site: GraceDBSite, event: Path) -> None:
    first = site.publish(event)
    assert first.remote_id == f"{GRACEID} log 1 significance_opa_lvc-i3.json,0"
    assert names(site) == ["significance_opa_lvc-i3.json", *NAMES]
    assert site.publish(event) == first
    for name, source in zip(NAMES, (COMBINED, COINCIDENCE), strict=True):
        assert site.double.files[GRACEID][name] == (event / source).read_bytes()
    combined, coincidence = site.figures()
    assert combined.startswith(
        f"[TEST] {GRACEID}-1-Initial: source given that the GW is real: 50 % in 3.21 deg^2,"
    )
    assert "given a common source: 50 % in 1.5 deg^2, 90 % in 6.25 deg^2, most" in coincidence
    revise(event)
    with pytest.raises(LlamaError, match="was made from another significance"):
        site.publish(event)
    write_skymaps(event, change=False)
    assert site.publish(event).status == "updated"
    assert names(site)[3:] == ["significance_opa_lvc-i3.json", NAMES[0]]
    assert "no neutrino can be from it" in site.figures()[-1]
    revise(event, retracted=True)
    assert site.publish(event).status == "withdrawn"
    assert names(site)[5:] == [""]


@pytest.mark.parametrize("fault", ["drop", "lost", 413])
@pytest.mark.parametrize("request_number", [2, 3, 4])
def test_what_is_missing_is_completed(
    site: GraceDBSite, event: Path, request_number: int, fault: str | int
) -> None:
    site.server.faults = {"/logs/": [None] * request_number + [fault]}
    with pytest.raises(LlamaError):
        site.publish(event)
    site.server.faults = {}
    assert site.publish(event).status == "sent"
    assert names(site) == ["significance_opa_lvc-i3.json", *NAMES]


def test_a_map_made_anew_since_is_left_out(site: GraceDBSite, event: Path) -> None:
    site.server.faults = {"/logs/": [None] * 3 + ["drop"]}
    with pytest.raises(LlamaError):
        site.publish(event)
    site.server.faults = {}
    (event / COMBINED).write_bytes(b"another")
    assert site.publish(event).status == "sent"
    assert names(site) == ["significance_opa_lvc-i3.json", NAMES[1]]


def test_nobody_takes_them_for_the_map_of_the_wave() -> None:
    assert preferred_skymap(NAMES) is None
    for name in NAMES:  # as RAVEN looks for it
        assert not name.endswith((".multiorder.fits", ".fits.gz"))


def test_where_the_source_is_stands_beside_listed_neutrinos() -> None:
    told = as_read(combined(), Combined)
    said = build(combined=told)["additional_info"]
    assert "source given a common source: 50 % in 1.5 deg^2, 90 % in 6.25 deg^2, most" in said
    assert "source by the GW alone: 50 % in 1200 deg^2" in said
    for result in (sample.significance(p_value=0.5), sample.significance(p_value=None)):
        assert "common source:" not in str(build(result=result, combined=told))
