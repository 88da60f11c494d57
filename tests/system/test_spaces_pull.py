"""Results from the bucket into `studies/`: whole, once, and never over what is one's own."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from bucket_samples import a_file
from s3_faults import Fault, FaultyS3
from shell import Bash, change

from llama.errors import LlamaError
from llama.fleet.money import Ledger
from llama.fleet.pull import pull
from llama.fleet.spaces import Spaces

STUDY = "bns-o3-H1L1V1"
SHARDS = [f"studies/{STUDY}/background/shard-{k:04d}.hdf5" for k in range(12)]


@pytest.fixture
def results(spaces: FaultyS3, bucket: Spaces, tmp_path: Path) -> dict[str, bytes]:
    """Results of two studies, put there as workers do, and inputs of theirs beside them."""
    found = {}
    others = [f"studies/{STUDY}.txt", "studies/bbh-o3-H1L1/background/shard-0000.hdf5"]
    inputs = [f"studies/{STUDY}/skymaps/part-0000.hdf5", "inputs/abc", f"studies/{STUDY}/lists/x"]
    for key in [*SHARDS, *others, *inputs]:
        path, _ = a_file(tmp_path / "content", 5000)
        bucket.put(path, key, job="1")
        if key not in inputs:
            found[key] = path.read_bytes()
    spaces.requests.clear()
    return found


def pulled(place: Path) -> dict[str, bytes]:
    """Everything in `studies` of a directory, also what should not be there."""
    files = [path for path in (place / "studies").rglob("*") if path.is_file()]
    return {str(p.relative_to(place)): p.read_bytes() for p in files if p.name != ".pull.lock"}


def test_all_of_it_and_nothing_else(bucket: Spaces, results: dict[str, bytes], tmp_path: Path):
    heard: dict[str, list[int]] = {}

    def progress(what: str, total: int) -> Callable[[int], None]:
        heard[what] = [-total]
        return heard[what].append

    done = pull(bucket, tmp_path / "studies", progress=progress)
    assert pulled(tmp_path) == results
    assert done == (14, 14 * 5000, 0, [], 0)
    assert list(heard) == ["compared", "fetched"]
    assert (heard["compared"][0], sum(heard["compared"])) == (-14, 0)
    assert (heard["fetched"][0], sum(heard["fetched"])) == (-14 * 5000, 0)
    assert pull(bucket, tmp_path / "studies") == (0, 0, 14, [], 0)
    done = pull(bucket, tmp_path / "other" / "studies", ["bbh-o3-H1L1"])
    assert list(pulled(tmp_path / "other")) == ["studies/bbh-o3-H1L1/background/shard-0000.hdf5"]
    assert done.fetched == 1


def test_what_is_begun_of_a_file_with_a_longer_name_stays(
    bucket: Spaces, results: dict[str, bytes], tmp_path: Path
):
    """A table and the file that tells of it, NAME.txt and NAME.txt.json, come at the same time."""
    begun = tmp_path / "studies" / f".{STUDY}.txt.json.0123456789ab.part"
    older = tmp_path / "studies" / f".{STUDY}.txt.0123456789ab.part"
    begun.parent.mkdir()
    for path in (begun, older):
        path.touch()
    pull(bucket, tmp_path / "studies", [STUDY])
    assert begun.exists()
    assert not older.exists()


def test_a_study_that_is_not_whole_is_named(
    bucket: Spaces, results: dict[str, bytes], bash: Bash, tmp_path: Path
):
    (tmp_path / "plan").write_text('{"injections": 60, "shard_size": 5}')
    bucket.put(tmp_path / "plan", f"studies/{STUDY}/background/plan.json")
    done = bash("llama dev dv pull")
    assert (done.returncode, "is not whole" in done.stderr) == (0, False)
    (tmp_path / "plan").write_text('{"injections": 80, "shard_size": 5}')
    bucket.put(tmp_path / "plan", f"studies/{STUDY}/background/plan.json")
    done = bash(f"rm -r studies; llama dev dv pull {STUDY}")
    names = ", ".join(f"shard-{number:04d}.hdf5" for number in range(12, 16))
    assert f"{STUDY} is not whole: 4 shards of background not there ({names})" in done.stderr
    assert done.returncode == 1
    assert bash("llama dev dv pull bbh-o3-H1L1").returncode == 0


def test_a_study_that_is_not_there_is_named_beside_one_that_is(
    bucket: Spaces, results: dict[str, bytes], tmp_path: Path
):
    with pytest.raises(LlamaError, match=r"there are no results of bns-o3-L1 and nsbh-o3-H1 in s3"):
        pull(bucket, tmp_path / "studies", ["nsbh-o3-H1", STUDY, "bns-o3-L1"])
    assert pulled(tmp_path) == {}


def test_an_object_that_goes_while_it_is_looked_at(
    spaces: FaultyS3, bucket: Spaces, results: dict[str, bytes], tmp_path: Path
):
    spaces.faults = [Fault("HEAD .*shard-0001", status=404, code="NoSuchKey")]
    with pytest.raises(LlamaError, match=r"shard-0001\.hdf5 was removed from s3://.* meanwhile"):
        pull(bucket, tmp_path / "studies")
    assert pulled(tmp_path) == {}


def test_what_is_here_and_differs_stays(bucket: Spaces, results: dict[str, bytes], tmp_path: Path):
    mine = tmp_path / SHARDS[3]
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"x" * 5000)  # as long as the other
    (mine.parent / "shard-0004.hdf5").symlink_to("/dev/null")
    asked: list[list[Path]] = []
    done = pull(bucket, tmp_path / "studies", replace=lambda paths: asked.append(paths) or False)
    assert asked == [[mine, tmp_path / SHARDS[4]]]
    assert done.different == asked[0]
    assert done.fetched == 12
    assert mine.read_bytes() == b"x" * 5000
    assert pull(bucket, tmp_path / "studies", replace=lambda paths: True).different == []
    assert pulled(tmp_path) == results


def test_a_pull_through_bad_weather(
    spaces: FaultyS3, bucket: Spaces, results: dict[str, bytes], tmp_path: Path
):
    spaces.faults = [
        Fault("GET .*list-type", status=503),
        Fault("HEAD .*shard-0001", status=500, times=3),
        Fault("GET .*shard-0002", cut=1000, times=2),
        Fault("GET .*shard-0003", status=503, code="SlowDown", times=3),
        Fault("GET .*shard-0004", cut=0),
    ]
    pull(bucket, tmp_path / "studies")
    assert pulled(tmp_path) == results
    assert all(fault.times == 0 for fault in spaces.faults)


def test_one_wrong_object_does_not_become_a_result(
    spaces: FaultyS3, bucket: Spaces, results: dict[str, bytes], tmp_path: Path
):
    spaces.s3.put_object(
        Bucket=spaces.bucket, Key=SHARDS[5], Body=b"cut", Metadata={"sha256": "0" * 64}
    )
    with pytest.raises(LlamaError, match=r"shard-0005\.hdf5 did not arrive .*upload it anew"):
        pull(bucket, tmp_path / "studies")
    assert SHARDS[5] not in pulled(tmp_path)


@pytest.mark.parametrize(
    "key", ["studies/../x", "studies/a/.hidden", "studies//a", "studies/a/./b"]
)
def test_names_that_lead_elsewhere(spaces: FaultyS3, bucket: Spaces, tmp_path: Path, key: str):
    spaces.s3.put_object(Bucket=spaces.bucket, Key=key, Body=b"x")
    with pytest.raises(LlamaError, match=r"has an object 'studies/.*', which is no result"):
        pull(bucket, tmp_path / "studies")
    assert pulled(tmp_path) == {}


def test_a_disk_that_is_too_small(
    bucket: Spaces, results: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    free = os.statvfs_result((4096, 4096, 10, 10, 10, 10, 10, 10, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: free)
    with pytest.raises(LlamaError, match=r"the results take 0\.0 GB, and .* has room for"):
        pull(bucket, tmp_path / "studies")


def test_a_pull_killed_and_two_at_once(
    spaces: FaultyS3, results: dict[str, bytes], bash: Bash, tmp_path: Path
):
    here = tmp_path / "here"
    spaces.faults = [Fault("GET .*shard-000[4-7]", hang_s=30, times=4)]
    words = [sys.executable, "-m", "llama", "dev", "dv", "pull"]
    with subprocess.Popen(words, cwd=here, stderr=subprocess.PIPE) as first:
        deadline = time.monotonic() + 60
        while spaces.faults[0].times:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        done = bash("llama dev dv pull")
        assert done.returncode == 1
        assert f"is running already with pid {first.pid}; wait until it has ended" in done.stderr
        first.kill()
    left = {key: (here / key).stat().st_ino for key in results if (here / key).exists()}
    assert 0 < len(left) < len(results)
    assert all(pulled(here)[key] == results[key] for key in left)
    done = bash("llama dev dv pull")
    assert (done.returncode, done.stdout) == (0, "")
    assert f"{14 - len(left)} files fetched" in done.stderr
    assert f"{len(left)} already here" in done.stderr
    assert pulled(here) == results
    assert {key: (here / key).stat().st_ino for key in left} == left


def test_done_counts_what_is_in_the_bucket_and_what_it_cost(
    spaces: FaultyS3, results: dict[str, bytes], bash: Bash, tmp_path: Path, settings_file: Path
):
    assert "DIGITALOCEAN" not in os.environ  # no token is needed
    (tmp_path / "list").write_text("")
    text = settings_file.read_text()
    text = text.replace("  studies: {}", f"  studies: {{{STUDY}: {{skymaps: {tmp_path}/list}}}}")
    text = text.replace("  shard_size: 125000", "  shard_size: 50000")
    settings_file.write_text(text.replace("  injections: 20000", "  injections: 1000000"))
    done = bash("llama dev dv done bg")
    assert re.search(rf"^{STUDY} +background +600,000 +1,000,000  60% +- +not at work$",
                     done.stdout, re.M), done  # fmt: skip
    assert "$" not in done.stdout
    ledger = Ledger(tmp_path / "out" / "fleet")
    for ident in (1, 2):
        ledger.record(
            "created", time.time() - 5000, id=ident, name=f"llama-{ident}", study=STUDY,
            price_hourly_usd=0.0357, found=False, since="2026-11-01T00:00:00Z",
        )  # fmt: skip
    ledger.record("gone", ledger_time("2026-11-01T02:30:00Z"), id=1, name="llama-1", why="asked")
    ledger.record("gone", ledger_time("2026-11-01T00:30:00Z"), id=2, name="llama-2", why="asked")
    done = bash("llama dev dv done bg")
    cost = f"cost so far $0.14 ({STUDY} $0.14); 0 droplets now, $0.00 per hour"
    assert done.stdout.splitlines()[-1] == f"{cost}; last 24 hours $0.00"
    # the bucket away: what is here counts
    change(settings_file, bucket="tset")
    done = bash("llama dev dv done bg")
    assert done.returncode == 0
    assert "only what is on this machine is counted: there is no bucket tset" in done.stderr
    assert re.search(rf"{STUDY} +background +0 +1,000,000", done.stdout)
    assert json.dumps(done.stdout).count(cost[:20]) == 1


def ledger_time(stamp: str) -> float:
    from llama.fleet.money import unix

    return unix(stamp)
