"""Lists of S3 in pages, as AWS and its likenesses give them: cut off, or with a bad token."""

import re
from urllib.parse import parse_qsl, urlsplit

# of each list: one item, what it is known by, and names of (request, answer) for what comes next
_KINDS = {
    "list-type": ("Contents", ["Key"], ["continuation-token"], ["NextContinuationToken"]),
    "uploads": (
        "Upload",
        ["Key", "UploadId"],
        ["key-marker", "upload-id-marker"],
        ["NextKeyMarker", "NextUploadIdMarker"],
    ),
    "uploadId": ("Part", ["PartNumber"], ["part-number-marker"], ["NextPartNumberMarker"]),
}


def kind_of(line: str) -> str | None:
    """Return which list a request such as `GET /bucket?uploads` asks for, None for no list."""
    method, _, address = line.partition(" ")
    asked = dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))
    return next((kind for kind in _KINDS if method == "GET" and kind in asked), None)


def of_all(address: str) -> str:
    """Return an address without what asks for one page of a list."""
    return re.sub(r"&?\b(continuation-token|start-after|[\w-]+-marker|max-\w+)=[^&]*", "", address)


def one_page(line: str, whole: str, size: int, mode: str) -> str:
    """Return one page of a list of which `whole` is the XML of all.

    mode: good, as AWS; notoken: IsTruncated alone (Ceph of old); emptytoken: an empty one at the
    end (cloudserver); sametoken: one that never moves; marker: version 1's name for it; deaf:
    what is asked for next is not heard, and the first page comes again.
    """
    kind = kind_of(line)
    assert kind is not None
    tag, known_by, questions, answers = _KINDS[kind]
    asked = dict(parse_qsl(urlsplit(line.partition(" ")[2]).query, keep_blank_values=True))
    items = re.findall(rf"<{tag}>.*?</{tag}>", whole, re.S)
    names = [tuple(_text(item, name) for name in known_by) for item in items]
    places = sorted(range(len(items)), key=lambda k: _order(names[k]))
    after = tuple(asked.get(question, "") for question in questions)
    if kind == "list-type" and not after[0]:
        after = (asked.get("start-after", ""),)
    if mode == "deaf" or not after[0]:
        after = ()
    rest = [k for k in places if _order(names[k]) > _order(after)]
    page, more = rest[:size], len(rest) > size
    told = dict(zip(answers, names[page[-1]], strict=True)) if more else {}
    if mode in ("notoken", "marker", "deaf"):
        told = {"NextMarker": names[page[-1]][0]} if more and mode == "marker" else {}
    elif mode == "sametoken" and more:
        told = dict(zip(answers, names[places[size - 1]], strict=True))
    elif mode == "emptytoken" and not more:
        told = dict.fromkeys(answers, "0" if kind == "uploadId" else "")
    for item in items:
        whole = whole.replace(item, "", 1)
    whole = re.sub(r"<(IsTruncated|Next\w+|KeyCount)>.*?</\1>|<Next\w+ ?/>", "", whole)
    added = f"<IsTruncated>{str(more).lower()}</IsTruncated>"
    added += "".join(f"<{name}>{value}</{name}>" for name, value in told.items())
    end = whole.rindex("</")
    return whole[:end] + added + "".join(items[k] for k in page) + whole[end:]


def _text(item: str, name: str) -> str:
    found = re.search(rf"<{name}>(.*?)</{name}>", item, re.S)
    assert found
    return found[1]


def _order(name: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(int(part) if part.isdigit() else part for part in name)
