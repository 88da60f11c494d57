"""Reading the pieces of a study from a directory, and from an S3 server on this machine."""

import os

import pytest

import llama.s3
from llama.errors import LlamaError
from llama.study.store import open_store

FILES = {
    "names.txt": b"a\nb\n",
    "pieces/a.json": b"[]",
    "pieces/deep/b.json": b"[1, 2]",
    "pieces/big.bin": os.urandom(20_000),
    "other/c.json": b"{}",
}


@pytest.fixture
def bucket(s3, request):
    name = request.node.name.replace("_", "-").replace("[", "-").replace("]", "")[:60]
    s3.create_bucket(Bucket=name)
    for path, content in FILES.items():
        s3.put_object(Bucket=name, Key=f"in/here/{path}", Body=content)
    s3.put_object(Bucket=name, Key="in/here/pieces/", Body=b"")  # as web pages make folders
    s3.put_object(Bucket=name, Key="in/here-not/pieces/x.json", Body=b"")
    s3.put_object(Bucket=name, Key="in/here/pieces/deep/._b.json", Body=b"Mac OS X")
    return name


@pytest.fixture
def directory(tmp_path):
    for path, content in FILES.items():
        (tmp_path / "source" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "source" / path).write_bytes(content)
    (tmp_path / "source" / "pieces" / "deep" / "._b.json").write_bytes(b"Mac OS X")
    return tmp_path / "source"


def test_both_give_the_same(bucket, directory, tmp_path):
    stores = [
        open_store(str(directory), tmp_path / "unused"),
        open_store(f"s3://{bucket}/in/here/", tmp_path / "cache"),
    ]
    for store in stores:
        assert store.read("names.txt") == FILES["names.txt"]
        assert store.read("none.txt") is None
        assert store.files("nowhere") == {}
        found = store.files("pieces")
        assert sorted(found) == ["pieces/a.json", "pieces/big.bin", "pieces/deep/b.json"]
        assert all(piece.size == len(FILES[path]) for path, piece in found.items())
        fetched = store.fetch(list(found.values()))
        assert [path.read_bytes() for path in fetched] == [FILES[path] for path in found]
        assert fetched == [store.local(piece) for piece in found.values()]
    assert not (tmp_path / "unused").exists()


def test_a_prefix_of_more_than_one_page(bucket, tmp_path, monkeypatch):
    monkeypatch.setattr(llama.s3, "_PAGE", 2)
    assert len(open_store(f"s3://{bucket}/in/here", tmp_path).files("pieces")) == 3


def test_what_was_fetched_stays_until_it_changes(s3, bucket, tmp_path):
    store = open_store(f"s3://{bucket}/in/here", tmp_path)
    piece = store.files("pieces")["pieces/a.json"]
    (path,) = store.fetch([piece])
    assert path.stat().st_mtime == piece.modified
    path.chmod(0o400)  # a new file would have another mode
    store.fetch([piece])
    assert path.stat().st_mode & 0o777 == 0o400
    s3.put_object(Bucket=bucket, Key="in/here/pieces/a.json", Body=b"[3]")
    (again,) = store.fetch([store.files("pieces")["pieces/a.json"]])
    assert again.read_bytes() == b"[3]"


def test_an_object_that_changes_on_the_way_is_not_taken(s3, bucket, tmp_path):
    store = open_store(f"s3://{bucket}/in/here", tmp_path)
    pieces = store.files("pieces")
    for changed in (b"[1, 3]", b"[1, 2, 3]"):  # as long as before, and longer
        s3.put_object(Bucket=bucket, Key="in/here/pieces/deep/b.json", Body=changed)
        with pytest.raises(LlamaError, match=r"b\.json did not arrive as it was listed"):
            store.fetch(list(pieces.values()))
    assert not (tmp_path / "pieces" / "deep" / "b.json").exists()
    assert not list(tmp_path.rglob(".*"))
    # what did arrive is not fetched again
    assert (tmp_path / "pieces" / "a.json").read_bytes() == b"[]"


def test_an_object_uploaded_in_parts_has_no_md5(s3, tmp_path):
    s3.create_bucket(Bucket="parts")
    content = os.urandom(6_000_000)
    upload = s3.create_multipart_upload(Bucket="parts", Key="in/a.bin")["UploadId"]
    parts = []
    for number, body in enumerate((content[:5_300_000], content[5_300_000:]), 1):
        place = {"Bucket": "parts", "Key": "in/a.bin", "UploadId": upload, "PartNumber": number}
        parts.append({"ETag": s3.upload_part(**place, Body=body)["ETag"], "PartNumber": number})
    s3.complete_multipart_upload(
        Bucket="parts", Key="in/a.bin", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    store = open_store("s3://parts", tmp_path)
    (piece,) = store.files("in").values()
    assert piece.etag.endswith("-2")
    assert store.fetch([piece])[0].read_bytes() == content


def test_a_mistyped_bucket_is_named_and_not_made(s3, tmp_path):
    before = [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]]
    store = open_store("s3://lama/in/here", tmp_path)
    for call in (store.read, store.files):
        with pytest.raises(LlamaError, match="there is no bucket lama; correct"):
            call("pieces")
    assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == before


def test_no_key_and_no_server_are_sentences(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(llama.s3, "PATIENCE_S", 0.4)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(LlamaError, match=r"s3://b/names\.txt cannot be reached .*AWS_ENDPOINT_URL"):
        open_store("s3://b", tmp_path).read("names.txt")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(LlamaError, match=r"no key for .*AWS_ACCESS_KEY_ID"):
        open_store("s3://b", tmp_path).read("names.txt")
