"""A list is whole or an error: stores that cut lists off, in every way that is known of them."""

import re
from pathlib import Path

import pytest
from bucket_samples import PART, a_file
from s3_faults import FaultyS3
from s3_lists import one_page
from shell import Bash

import llama.s3
from llama.errors import LlamaError
from llama.fleet.spaces import Spaces
from llama.study.store import open_store

STUDY = "bns-o3-H1L1"
MODES = ["good", "notoken", "emptytoken", "marker"]  # those that can be followed


@pytest.fixture
def many(spaces: FaultyS3, bucket: Spaces) -> FaultyS3:
    """25 shards in the bucket, of which a page lists 10."""
    for number in range(25):
        key = f"studies/{STUDY}/background/shard-{number:04d}.hdf5"
        spaces.s3.put_object(Bucket=spaces.bucket, Key=key, Body=bytes([number]))
    spaces.page = 10
    spaces.requests.clear()
    return spaces


@pytest.mark.parametrize("mode", MODES)
def test_all_of_25(many: FaultyS3, bash: Bash, tmp_path: Path, mode: str):
    many.lists = mode
    done = bash("llama dev dv pull")
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("25 files fetched"), done.stderr
    found = sorted((tmp_path / "here/studies" / STUDY / "background").glob("shard-*.hdf5"))
    assert [path.read_bytes() for path in found] == [bytes([number]) for number in range(25)]
    assert sum("list-type" in line for line in many.requests) == 3


@pytest.mark.parametrize("mode", ["sametoken", "deaf"])
def test_a_list_that_does_not_go_on_is_an_error(many: FaultyS3, bash: Bash, mode: str):
    many.lists = mode
    done = bash("llama dev dv pull")
    assert done.returncode == 1
    assert "cuts lists off (list_objects_v2) and does not continue them" in done.stderr
    assert not list(Path().glob("studies/*/*/*.hdf5"))


@pytest.mark.parametrize("mode", MODES)
def test_artifacts(many: FaultyS3, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str):
    many.lists = mode
    monkeypatch.setattr(llama.s3, "PATIENCE_S", 1.0)
    from s3_faults import KEY, SECRET

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_ENDPOINT_URL", many.url)
    store = open_store(f"s3://{many.bucket}/studies", tmp_path)
    assert len(store.files(STUDY)) == 25
    for bad in ("sametoken", "deaf"):
        many.lists = bad
        with pytest.raises(LlamaError, match="cuts lists off"):
            store.files(STUDY)


@pytest.mark.parametrize("mode", MODES)
def test_an_upload_that_was_begun_is_found_on_any_page(
    spaces: FaultyS3, bucket: Spaces, tmp_path: Path, mode: str
):
    """Of one key there may be many: each that was given up leaves one."""
    path, digest = a_file(tmp_path / "a", 4 * PART)
    key = f"objects/{digest}/a"
    for other in range(5):  # of names that begin with the key
        spaces.s3.create_multipart_upload(Bucket=spaces.bucket, Key=f"{key}-{other}")
    about = {"sha256": digest}
    place = {"Bucket": spaces.bucket, "Key": key}
    ident = spaces.s3.create_multipart_upload(**place, Metadata=about)["UploadId"]
    content = path.read_bytes()
    for number in (1, 2, 3):
        body = content[(number - 1) * PART : number * PART]
        spaces.s3.upload_part(**place, UploadId=ident, PartNumber=number, Body=body)
    spaces.page, spaces.lists = 2, mode
    spaces.requests.clear()
    assert bucket.upload(path).sha256 == digest
    sent = [line for line in spaces.requests if "partNumber=" in line and line.startswith("PUT")]
    assert len(sent) == 1, sent  # the fourth part alone


def test_lists_of_uploads_that_do_not_go_on(spaces: FaultyS3, bucket: Spaces, tmp_path: Path):
    path, digest = a_file(tmp_path / "a", 4 * PART)
    for other in range(5):
        spaces.s3.create_multipart_upload(Bucket=spaces.bucket, Key=f"objects/{digest}/a-{other}")
    spaces.page = 2
    for mode in ("sametoken", "deaf"):
        spaces.lists = mode
        with pytest.raises(LlamaError, match=r"cuts lists off \(list_multipart_uploads\)"):
            bucket.upload(path)


def test_a_token_that_goes_in_circles_or_pages_without_end(
    many: FaultyS3, bucket: Spaces, monkeypatch: pytest.MonkeyPatch
):
    """Pages that are empty, each with a new token, end with the token that came before."""
    import s3_faults

    tokens = iter(["b", "c", "b", "c", "b"])

    def circle(line: str, whole: str, size: int, mode: str) -> str:
        token = f"<NextContinuationToken>{next(tokens)}</NextContinuationToken>"
        page = one_page(line, whole, size, "notoken")
        if "continuation-token" in line:
            page = re.sub(r"<Contents>.*</Contents>", "", page, flags=re.S)
            page = page.replace(">false<", ">true<")
        return page.replace("</IsTruncated>", f"</IsTruncated>{token}")

    monkeypatch.setattr(s3_faults, "one_page", circle)
    with pytest.raises(LlamaError, match="cuts lists off"):
        list(bucket.objects("studies/"))
