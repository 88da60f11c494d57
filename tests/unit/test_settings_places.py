"""One place, however it is spelled: real and test destination are never the same."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llama.settings.places import place
from llama.settings.publish import Publish

WEBHOOK = "https://example.org/llama/hook?key=1&to=x"
SAME = {
    "webhook": [
        *(WEBHOOK, "https://EXAMPLE.org/llama/hook?key=1&to=x", "HTTPS://example.org/llama/hook?key=1&to=x"),
        "https://example.org:443/llama/hook?key=1&to=x",
        "https://example.org:0443/llama/hook?key=1&to=x",
        "https://example.org:/llama/hook?key=1&to=x",
        "https://example.org./llama/hook?key=1&to=x",
        "https://example.org//llama///hook/?key=1&to=x",
        "https://example.org/./llama/x/../hook?key=1&to=x",
        "https://example.org/ll%61ma/%68ook?key=1&to=x",
        "https://example.org/llama%2Fhook?key=1&to=x",
        "https://example.org/Llama/Hook?key=1&to=x",
        "https://example.org/llama\\hook?key=1&to=x",
        "https://example.org/llama/hook?to=x&key=1",
        "https://example.org/llama/hook?key=%31&to=x#real",
        "https://someone:word@example.org/llama/hook?key=1&to=x",
        "https://ex%61mple.org/llama/hook?key=1&to=x",
        "https://ｅxample.org/llama/hook?key=1&to=x",
        "https://example。org/llama/hook?key=1&to=x",
    ],
    "gracedb": [
        "https://gracedb.ligo.org/api/", "https://gracedb.ligo.org/apiv2/",
        "https://GraceDB.ligo.org:443/api//", "https://gracedb.ligo.org./api/v1/",
    ],
    "gcn": ["gcn.notices.llama", "GCN.notices.llama", "gcn.notices_llama", "gcn.notices.llama."],
    "slack": ["C0123456789", "c0123456789", " C0123456789"],
    "circular": ["circulars@gcn.nasa.gov", "Circulars@GCN.nasa.gov", "circulars@gcn.nasa.gov."],
}  # fmt: skip
HOSTS = [
    ["127.0.0.1", "localhost", "LOCALHOST.", "127.1", "2130706433", "0x7f.1", "0177.0.0.1", "[::1]",
     "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "a.localhost", "127.0.0.2", "0"],
    ["192.0.2.1", "3221225985", "[::ffff:192.0.2.1]", "[::FFFF:c000:201]", "192.0.513"],
    ["[2001:db8::1]", "[2001:DB8:0:0::1]", "[2001:0db8:0000:0000:0000:0000:0000:0001]"],
    ["bücher.example", "xn--bcher-kva.example", "BÜCHER.example", "bu\u0308cher.example."],
]  # fmt: skip
OTHER = {
    "webhook": [
        WEBHOOK, "https://example.org/llama/hook?key=1&to=y", "https://example.org/llama/hook2",
        "https://example.org:8443/llama/hook?key=1&to=x", "https://example.com/llama/hook",
        "https://a.example.org/llama/hook", "https://example.org/llama/ho%2561k", "https://[::2]/",
        "http://localhost:8000/a", "http://localhost:8001/a", "https://example.org/",
    ],
    "gracedb": ["https://gracedb.ligo.org/api/", "https://gracedb-playground.ligo.org/api/"],
    "gcn": ["gcn.notices.llama", "gcn.notices.llama2", "gcn.notices.test.llama"],
    "slack": ["C0123456789", "C0123456780", "G0123456789"],
    "circular": ["circulars@gcn.nasa.gov", "rehearsal@gcn.nasa.gov"],
    "icecube": ["/data/llama", "/data/llama-test", "/data/llama/test"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("channel", "spelled"), [(name, text) for name, texts in SAME.items() for text in texts]
)
def test_spellings_of_one_place(channel: str, spelled: str) -> None:
    assert place(channel, spelled) == place(channel, SAME[channel][0])


@pytest.mark.parametrize("hosts", HOSTS, ids=lambda hosts: hosts[0])
def test_hosts_have_many_names(hosts: list[str]) -> None:
    assert len({place("webhook", f"https://{host}/x") for host in hosts}) == 1
    assert len({place("gracedb", f"https://{host}:443/api/") for host in hosts}) == 1


def test_other_places_stay_apart() -> None:
    for channel, texts in OTHER.items():
        assert len({place(channel, text) for text in texts}) == len(texts), channel


@given(st.sampled_from(sorted(OTHER)), st.text(), st.sampled_from(["", "https://", "https://["]))
def test_any_text_has_a_form(channel: str, text: str, start: str) -> None:
    assert place(channel, start + text) == place(channel, f" {start}{text} ".strip())


_PART = st.text("abAB09-_.~%é/", min_size=1, max_size=8)


@given(st.lists(_PART, max_size=4), st.dictionaries(st.sampled_from("abc"), _PART, max_size=3))
def test_a_spelling_changes_nothing(path: list[str], query: dict[str, str]) -> None:
    from urllib.parse import quote, urlencode

    plain = [quote(part, safe="") for part in path]
    every = ["".join(f"%{byte:02x}" for byte in part.encode()) for part in path]
    one = f"https://example.org/{'/'.join(plain)}?{urlencode(query)}"
    other = f"HTTPS://u@EXAMPLE.org.:443//{'//'.join(every)}?{urlencode(query)}#f"
    assert place("webhook", one) == place("webhook", other)
    assert place("webhook", f"https://{place('webhook', one)}") == place("webhook", one)


@pytest.mark.parametrize(
    ("channel", "spelled"),
    [
        ("webhook", "https://Example.org:443//llama/./hook?to=x&key=1"),
        ("gracedb", "https://gracedb.ligo.org./apiv2/"),
        ("gcn", "GCN.notices_llama"),
        ("circular", "Circulars@gcn.nasa.gov"),
    ],
)
def test_the_settings_refuse_one_place_for_both(channel: str, spelled: str) -> None:
    given_first = SAME[channel][0]
    Publish.model_validate({"real": {channel: given_first}, "test": {channel: OTHER[channel][-1]}})
    for real, test in ((given_first, spelled), (spelled, given_first)):
        with pytest.raises(ValidationError, match=f"the same {channel} for real and test"):
            Publish.model_validate({"real": {channel: real}, "test": {channel: test}})


def test_a_link_to_a_directory_is_that_directory(tmp_path: Path) -> None:
    (tmp_path / "drop").mkdir()
    (tmp_path / "link").symlink_to("drop")
    real = str(tmp_path / "drop")
    for test in (f"{real}/", f"{tmp_path}/./x/../drop", str(tmp_path / "link"), real.upper()):
        assert place("icecube", test) == place("icecube", real)
        with pytest.raises(ValidationError, match="the same icecube for real and test"):
            Publish.model_validate({"real": {"icecube": real}, "test": {"icecube": test}})
