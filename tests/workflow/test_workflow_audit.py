"""`llama audit` on a finished event that was heard: every kind of damage is found, and no other."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from workspace import EVENT, GRACEID, Workspace, alert, assert_described, skymap_fits

from llama.audit.alerts import audit_alerts
from llama.audit.event import audit_files
from llama.listening.spool import Record, Spool
from llama.running.takeover import take_over

TARGET = f"{EVENT}/all"


@pytest.fixture(scope="module")
def heard(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The finished event, with its alert and other records as the listener keeps them."""
    event = finished.copy(tmp_path_factory.mktemp("heard"))
    contents = [alert(skymap=skymap_fits()), b'{"mission": "Fermi"}', b"{ cut off"]
    Spool(event.output).keep(
        Record(topic="igwn.gwalert" if n != 1 else "gcn.x", content=content, partition=0, offset=n)
        for n, content in enumerate(contents)
    )
    taken = [(t.changed, t.quarantined) for t in take_over(event.output, "TRIGGERED_TEST")]
    assert taken == [(False, False), (False, False), (False, True)]
    (aside,) = (event.output / "spool/quarantine").glob("*.json")
    aside.rename(event.output / "spool/done" / aside.name)  # the operator has seen it
    event.snakemake(TARGET)
    (path,) = event.event.glob("alerts/*.heard.json")
    assert_described("alerts/<n>-<Kind>.heard.json", path)
    return event


@pytest.fixture
def damaged(heard: Workspace) -> Iterator[Callable[[str], Path]]:
    """What gives a path to damage, and puts it back when the test has ended."""
    aside = heard.root / "aside"
    moved: dict[Path, Path] = {}

    def take(pattern: str) -> Path:
        (path,) = heard.output.glob(pattern)
        moved[path] = aside / str(len(moved))
        aside.mkdir(exist_ok=True)
        shutil.copy2(path, moved[path])
        return path

    yield take
    for path, copy in moved.items():
        shutil.copy2(copy, path)


def audit(event: Workspace, *words: str, code: int = 0) -> list[str]:
    return event.run("llama", "audit", *words, code=code).splitlines()


def findings(event: Workspace) -> list[str]:
    """Return what is wrong with the event's files, without asking Snakemake."""
    directory = event.output / "current_run" / GRACEID
    found = [
        *audit_alerts(event.output, directory),
        *audit_files(event.output, directory, TARGET),
    ]
    return [f"{finding.check}: {finding.sentence}" for finding in found]


def test_a_sound_machine_passes(heard: Workspace) -> None:
    assert audit(heard) == [
        "3 records (0 pending, 3 done, 0 quarantine), of them 1 alert of LVK",
        "1 event audited: all is well",
    ]
    assert audit(heard, EVENT) == audit(heard, "S24*") == ["1 event audited: all is well"]
    before = {path: path.stat().st_mtime_ns for path in heard.event.rglob("*")}
    audit(heard)
    assert {path: path.stat().st_mtime_ns for path in heard.event.rglob("*")} == before


def test_an_empty_machine_passes(fresh: Workspace) -> None:
    assert audit(fresh)[-1] == "0 events audited: all is well"
    assert "there is no event S24*" in audit(fresh, "S24*", code=1)[0]


# file, what becomes of it, what is said
DAMAGE = [
    ("p_astro.json", b"{}\n", r"products: not as made: p_astro\.json; delete, then run: snakemake"),
    (
        "p_astro.json",
        b"{}\n",
        r"inputs: significance_lvc-i3\.json was made from another p_astro\.j",
    ),
    ("coinc_skymap_lvc-i3.png", None, r"products: not as made: coinc_skymap_lvc-i3\.png; delete"),
    ("lvc_skymap.hdf5", b"x", r"products: not as made: lvc_skymap\.hdf5"),
    ("lvc_skymap.fits", b"x", r"inputs: lvc_skymap\.hdf5 was made from another lvc_skymap\.fits"),
    ("flags.json", b'{"UPLOAD": true}', r"products: flags\.json has changed since the manifest"),
    ("flags.json", b'{"UPLOAD": 7}', r"files: .*flags\.json has UPLOAD=7; use true or false"),
    ("skymap_info.json", b"{", r"files: .*skymap_info\.json is not valid JSON"),
    ("manifest.json", b"{}", r"files: .*manifest\.json is no manifest"),
    ("manifest.json", b"", r"files: .*manifest\.json is not valid JSON"),
    ("alerts/1-neutrinos.csv", b"x", r"products: not as received: alerts/1-neutrinos\.csv; put"),
    ("alerts/1-neutrinos.csv", None, r"alerts: alerts/1-neutrinos\.csv is gone; put it back"),
    ("alerts/1-Preliminary.json", b"{}", r"alerts: the map in alerts/1-Preliminary\.json is not"),
    ("alerts/1-Preliminary.json", b"{}", r"archived: alerts/1-Preliminary is not the record gcn/"),
    ("alerts/1-Preliminary.json", None, r"archived: alerts/1-Preliminary is not the record gcn/"),
    ("alerts/1-Preliminary.heard.json", b"{}", r"archived: alerts/1-Preliminary is not the record"),
    ("history/manifest-1.json", None, r"history: gone: history/manifest-1\.json; put back from"),
    ("history/manifest-2.json", b"[]", r"files: .*manifest-2\.json is no manifest; put it back"),
]


@pytest.mark.parametrize(("name", "content", "expected"), DAMAGE)
def test_damage_is_found(
    heard: Workspace,
    damaged: Callable[[str], Path],
    name: str,
    content: bytes | None,
    expected: str,
) -> None:
    path = damaged(f"current_run/{GRACEID}/{name}")
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    found = findings(heard)
    assert any(re.match(expected, line) for line in found), found
    assert all(re.search(r"; |use ", line) for line in found), "every line has a remedy"


def test_a_changed_skymap_info_without_an_alert(
    heard: Workspace, damaged: Callable[[str], Path]
) -> None:
    path = damaged(f"current_run/{GRACEID}/skymap_info.json")
    info = json.loads(path.read_bytes())
    path.write_text(json.dumps(info | {"far": 1e-20}))
    assert any("changed since the manifest, and no alert came" in f for f in findings(heard))
    # a new revision is no damage: it has to be made
    path.write_text(json.dumps(info | {"far": 1e-20, "revision": info["revision"] + 1}))
    assert findings(heard) == []


def test_a_kept_input_that_was_changed(heard: Workspace, damaged: Callable[[str], Path]) -> None:
    manifest = json.loads((heard.event / "manifest.json").read_bytes())
    digest = manifest["products"]["icecube_neutrino_list.json"]["sha256"]
    damaged(f"current_run/{GRACEID}/history/{digest}.json").write_text("{}")
    found = findings(heard)
    # both manifests name it
    assert len(found) == 2
    assert f"damaged in history/: icecube_neutrino_list.json ({digest}.json)" in found[0]


def test_another_archive(heard: Workspace, damaged: Callable[[str], Path]) -> None:
    path = damaged("archive/*/response.hdf5")
    before = path.stat()
    path.write_bytes(path.read_bytes() + b"\0")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    lines = audit(heard, EVENT, code=1)[:-1]
    for name, line in zip(
        ("combined_skymap.json", "significance_lvc-i3.json"), sorted(lines), strict=True
    ):
        assert line.startswith(
            f"{GRACEID}  inputs: {name} was made from another response.hdf5; delete"
        )


def test_what_snakemake_would_make_again(heard: Workspace, damaged: Callable[[str], Path]) -> None:
    path = damaged(f"current_run/{GRACEID}/gcn_notice.json")
    path.unlink()
    lines = audit(heard, code=1)
    assert lines[1:] == [
        f"{GRACEID}  products: not as made: gcn_notice.json; delete, then run: snakemake {TARGET}",
        f"{GRACEID}  up to date: a product is missing or outdated; run: snakemake {TARGET}",
        "1 event audited: 2 problems",
    ]


def test_the_remedy_of_a_changed_product_works(heard: Workspace, tmp_path: Path) -> None:
    event = heard.copy(tmp_path / "copy")
    (event.event / "p_astro.json").write_text('{"p_astro": 1}')
    assert len(audit(event, code=1)) > 2
    (event.event / "p_astro.json").unlink()
    event.snakemake(TARGET)
    assert audit(event)[-1] == "1 event audited: all is well"


def test_an_event_in_another_hand_is_left_out(heard: Workspace, tmp_path: Path) -> None:
    event = heard.copy(tmp_path / "copy")
    (event.event / "p_astro.json").unlink()
    with (event.event / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert audit(event, EVENT) == [
            "0 events audited, 1 left out because they are being made: all is well"
        ]
