"""`llama rebuild`: the significance of any earlier manifest once more, or what is missing."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from smearing_samples import add_detector
from workspace import EVENT, GRACEID, REPOSITORY, Workspace, alert, skymap_fits, strict_json

from llama import __version__
from llama.files import sha256_file
from llama.stats.compiled import cache_directory

SIGNIFICANCE = "significance_lvc-i3.json"
IDENTITY = ("-c", "user.name=A", "-c", "user.email=a@example.org")
OTHER = "mjd,ra,dec,sigma,energy\n60310.0004,41.5,19.2,0.6,9000\n60310.001,10,10,0.5,3000\n"
# what the repository has compiled serves its copies, wherever they are: each would take a minute
COMPILED = """
from numba.core.caching import _CacheLocator
_place = _CacheLocator.get_suitable_cache_subpath
_CacheLocator.get_suitable_cache_subpath = staticmethod(
    lambda file: _place({package!r} + file.rpartition("/llama")[2])
)
numba.config.CACHE_DIR = {cache!r}
"""


@pytest.fixture(scope="module")
def revised(finished: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The finished event, then with other neutrinos, then with another background and map."""
    event = finished.copy(tmp_path_factory.mktemp("revised"))
    neutrinos = event.root / "other.csv"
    neutrinos.write_text(OTHER)
    event.take(alert(skymap=skymap_fits()), "--neutrinos", str(neutrinos))
    event.snakemake(f"{EVENT}/all")
    shutil.copy(event.output / "populations.hdf5", event.output / "populations-1.hdf5")
    event.write_background(seed=7)
    event.take(alert("INITIAL", skymap=skymap_fits(sigma_deg=2.0), minute=9, far=1e-8))
    event.set("  fb: 10.0", "  fb: 8.0")
    event.snakemake(f"{EVENT}/all")
    return event


def recorded(event: Workspace) -> list[str]:
    """Return the sha256 of the significance in every manifest of the event."""
    paths = sorted((event.event / "history").glob("manifest-*.json"))
    return [strict_json(path)["products"][SIGNIFICANCE]["sha256"] for path in paths]


def kept(event: Workspace) -> list[Path]:
    return [event.event / "history" / f"{digest}.json" for digest in recorded(event)]


def rebuild(event: Workspace, at: str, code: int = 0) -> str:
    return event.run("llama", "rebuild", EVENT, "--at", at, code=code)


@pytest.fixture
def hidden(revised: Workspace) -> Iterator[Callable[..., None]]:
    """What hides files of the event's machine until the test has ended."""
    moved: list[Path] = []

    def hide(*patterns: str) -> None:
        for pattern in patterns:
            paths = list(revised.output.glob(pattern))
            assert paths, pattern
            moved.extend(path.rename(path.with_name(f"{path.name}.aside")) for path in paths)

    yield hide
    for path in moved:
        path.rename(path.with_suffix(""))


def test_every_manifest_comes_back_bit_for_bit(
    revised: Workspace, hidden: Callable[..., None]
) -> None:
    digests = recorded(revised)
    assert len(digests) == len(set(digests)) == 3
    assert digests[2] == sha256_file(revised.event / SIGNIFICANCE)
    # nothing that was made may help
    hidden(*(f"{EVENT}/history/{digest}.json" for digest in digests))
    hidden(f"{EVENT}/signif*", f"{EVENT}/lvc_skymap.*", f"{EVENT}/p_astro.json")
    for number, digest in enumerate(digests, 1):
        assert rebuild(revised, str(number)) == f"identical: sha256 {digest}\n"
        path = revised.event / "history" / f"{digest}.json"
        assert sha256_file(path) == digest
        path.unlink()  # the hidden one comes back
    assert rebuild(revised, str(revised.event / "manifest.json")).startswith("identical: ")
    (revised.event / "history" / f"{digests[2]}.json").unlink()


def test_the_list_tells_manifests_apart(revised: Workspace) -> None:
    lines = revised.run("llama", "rebuild", "S2401*").splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["1", "2", "3"]
    odds = [strict_json(path)["odds_ratio"] for path in kept(revised)]
    for line, value, notice in zip(lines, odds, ("1-Prel", "2-Prel", "3-Init"), strict=False):
        assert f"odds {value:.3g}" in line
        assert notice in line
    assert lines[3] == "to make one again: llama rebuild S2401* --at NUMBER"
    message = rebuild(revised, "4", code=1)
    assert message == f"llama: {GRACEID} has no manifest 4; it has 1 to 3\n"
    assert "there is no event S9*" in revised.run("llama", "rebuild", "S9*", code=1)


def test_a_run_that_changes_nothing_adds_nothing(revised: Workspace) -> None:
    before = {path.name: path.read_bytes() for path in (revised.event / "history").iterdir()}
    (revised.event / "manifest.json").unlink()
    revised.snakemake(f"{EVENT}/all")
    after = {path.name: path.read_bytes() for path in (revised.event / "history").iterdir()}
    assert after == before


def test_everything_that_is_missing_is_named_at_once(
    revised: Workspace, hidden: Callable[..., None]
) -> None:
    first = strict_json(revised.event / "history/manifest-1.json")
    neutrinos = first["products"]["icecube_neutrino_list.json"]["sha256"]
    hidden(
        f"{EVENT}/history/{neutrinos}.json",
        f"{EVENT}/alerts/1-Preliminary.json",
        "populations-1.hdf5",
        "archive/*/response.hdf5",
    )
    found = rebuild(revised, "1", code=1).splitlines()
    assert found[0] == f"llama: {SIGNIFICANCE} cannot be rebuilt; what is missing:"
    expected = [
        rf"icecube_neutrino_list\.json of then: .*{neutrinos}\.json is gone .* put it back",
        r"the detector's response: .*import that release again beside: llama neutrinos import",
        r"the sky map: .*alerts/1-Preliminary\.json is gone or has been changed; put ",
        r"the background bns-o4-H1L1 with the sha256 [0-9a-f]{64} is no longer in popul",
    ]
    assert len(found) == 1 + len(expected)
    for line, wanted in zip(found[1:], expected, strict=True):
        assert re.match(rf"  - {wanted}", line), line


def test_an_archive_that_was_changed_is_not_believed(
    revised: Workspace, hidden: Callable[..., None]
) -> None:
    path = revised.event / "alerts/3-Initial.json"
    content = path.read_bytes()
    hidden(f"{EVENT}/alerts/3-Initial.json")
    other = alert("INITIAL", skymap=skymap_fits(sigma_deg=3.0), minute=9, far=1e-8)
    assert other != content
    path.write_bytes(other)
    assert "alerts/3-Initial.json is gone or has been changed" in rebuild(revised, "3", code=1)
    path.unlink()


def test_other_bits_are_named_by_their_keys(revised: Workspace, tmp_path: Path) -> None:
    manifest = strict_json(revised.event / "manifest.json")
    manifest["settings"]["search"]["fb"] = 9.0
    manifest["versions"]["numpy"] = "1.9"
    path = tmp_path / "manifest.json"
    path.write_text(json.dumps(manifest))
    lines = rebuild(revised, str(path), code=1).splitlines()
    made = re.fullmatch("what was made is (.*)", lines[-1])
    assert made
    old, new = strict_json(revised.event / SIGNIFICANCE), strict_json(Path(made[1]))
    assert old["inputs"]["search_parameters"]["fb"] == 8.0
    assert new["inputs"]["search_parameters"]["fb"] == 9.0
    assert lines[0] == f"different: sha256 {Path(made[1]).stem}, was {recorded(revised)[2]}"
    assert "  inputs.search_parameters.fb: was 8.0, is 9.0" in lines
    assert re.search(r"  libraries: numpy was 1\.9, is ", "\n".join(lines))
    Path(made[1]).unlink()


def test_the_code_is_that_of_the_recorded_commit(event: Workspace) -> None:
    clone = event.clone

    def run(*words: str, code: int = 0) -> str:
        return event.run("env", f"PYTHONPATH={clone / 'scripts'}", *words, code=code)

    def commit(message: str) -> str:
        run("git", "add", "--all")
        run("git", *IDENTITY, "commit", "--quiet", "--allow-empty", "--message", message)
        return run("git", "rev-parse", "HEAD").strip()

    kept = shutil.ignore_patterns("numba-*")
    shutil.copytree(REPOSITORY / "scripts/llama", clone / "scripts/llama", True, kept)
    half = shutil.ignore_patterns("*.tmp.*")  # what others are writing
    compiled = shutil.copytree(cache_directory(), event.root / "compiled", ignore=half)
    with (clone / "scripts/llama/stats/compiled.py").open("a") as stream:
        package = str(REPOSITORY / "scripts/llama")
        stream.write(COMPILED.format(package=package, cache=str(compiled)))
    (clone / ".gitignore").write_text("__pycache__/\n.snakemake/\n/events\n")
    run("git", "init", "--quiet")
    first = commit("first")
    for name in (SIGNIFICANCE, "lvc_skymap.hdf5"):
        (event.event / name).unlink()
    run("snakemake", f"{EVENT}/all")
    made = strict_json(event.event / SIGNIFICANCE)
    assert made["provenance"]["software"].endswith(f"+g{first[:8]}")

    # a later version, which cannot even do it
    with (clone / "scripts/llama/event/make.py").open("a") as stream:
        stream.write("\nraise SystemExit('this is the later version')\n")
    commit("second")
    found = run("llama", "rebuild", EVENT, "--at", "2")
    assert f"with the code of llama {__version__}+g{first[:8]}, which compiles first\n" in found
    assert found.endswith(f"identical: sha256 {sha256_file(event.event / SIGNIFICANCE)}\n")
    assert run("git", "status", "--short", "--branch") == "## master\n"
    assert run("git", "worktree", "list").count("\n") == 1

    # what was made by the repository's own commit is not in this clone
    message = run("llama", "rebuild", EVENT, "--at", "1", code=1)
    assert re.search(
        r"  - the code: it was made by llama \S+, which (is not in the clone|names no commit)",
        message,
    )
    # nor is what never was in a commit
    manifest = strict_json(event.event / "manifest.json")
    manifest["made_by"][SIGNIFICANCE]["code_sha256"] = "0" * 64
    path = event.root / "manifest.json"
    path.write_text(json.dumps(manifest))
    message = run("llama", "rebuild", EVENT, "--at", str(path), code=1)
    assert f"{SIGNIFICANCE} was made by " in message
    assert "with changes that are in no commit" in message


def test_an_event_of_an_older_configuration_with_the_detectors_simulation(
    finished: Workspace, tmp_path: Path
) -> None:
    """Made again with it, complete, found well by the audit, and come back bit for bit."""
    event = finished.copy(tmp_path)
    (newest,) = (event.output / "archive").iterdir()
    archive = newest / "IC79"
    shutil.copytree(newest, archive)
    add_detector(archive)
    about = strict_json(newest / "archive.json")
    later = {key: about[key] + 1e8 for key in ("first_gps", "last_gps")}
    (newest / "archive.json").write_text(json.dumps(about | later))
    (archive / "archive.json").write_text(json.dumps(about | {"name": f"{newest.name}/IC79"}))
    event.snakemake(f"{EVENT}/all")
    found = strict_json(event.event / SIGNIFICANCE)
    assert (found["energy_response"], found["psf"]) == ("smearing", "mixture")
    circles = [one for one in found["single_neutrino"] if "map" not in one]
    assert circles
    assert all(one["radius_90_deg"] > 2.15 * one["sigma"] for one in circles)
    for page in ("index.html", "coinc_summary_i3_lvc.html"):
        assert "IceCube&#39;s simulation" in (event.event / page).read_text()
    response = strict_json(event.event / "manifest.json")["external"]["response"]
    assert response == {
        "path": f"archive/{newest.name}/IC79/detector.hdf5",
        "sha256": sha256_file(archive / "detector.hdf5"),
    }
    assert event.run("llama", "audit", EVENT) == "1 event audited: all is well\n"
    digest = recorded(event)[-1]
    assert rebuild(event, "2") == f"identical: sha256 {digest}\n"
    (archive / "detector.hdf5").rename(archive / "aside.hdf5")
    assert f"no archive/**/detector.hdf5 has the sha256 {response['sha256']}" in rebuild(
        event, "2", 1
    )
