import base64
import re
from html.parser import HTMLParser

import figure_samples as sample
import pytest

from llama.errors import LlamaError
from llama.figures.content import summary_content
from llama.figures.summary import write_summary
from llama.figures.text import rate_text

FLAGS = {"ROLE": "observation", "VETOED": False, "UPLOAD": False}
P_ASTRO = {"p_astro": 0.9994, "source": "alert", "BNS": 0.9994, "Terrestrial": 0.0006}
DISTANCES = {
    "distmean_mpc": 155.2,
    "diststd_mpc": 44.7,
    "area_50_deg2": 2806.4,
    "area_90_deg2": 10183.1,
    "distance": "map",
}
# 1 x 1 pixel
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def content(event=None, flags=FLAGS, neutrinos=None, result=None, **changes):
    return summary_content(
        event or sample.info(),
        flags,
        changes.get("p_astro", P_ASTRO),
        changes.get("distances", DISTANCES),
        neutrinos or sample.neutrino_list(),
        result or sample.significance(),
        changes.get("latency", sample.latency()),
        changes.get("event_dir", "events/S190425z"),
    )


def write(tmp_path, name="summary", **changes):
    for figure in ("map.png", "scatter.png"):
        (tmp_path / figure).write_bytes(PNG)
    values = {
        "info": sample.info(),
        "flags": FLAGS,
        "p_astro": P_ASTRO,
        "distances": DISTANCES,
        "neutrinos": sample.neutrino_list(),
        "significance": sample.significance(),
        "latency": sample.latency(),
        "event_dir": "events/S190425z",
        "skymap_png": tmp_path / "map.png",
        "scatter_png": tmp_path / "scatter.png",
    } | changes
    html, pdf = tmp_path / f"{name}.html", tmp_path / f"{name}.pdf"
    write_summary(**values, html=html, pdf=pdf)
    return html.read_text(encoding="utf-8"), pdf.read_bytes()


class Page(HTMLParser):
    """Tags with attributes, and the text of a page."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.words = [], []
        self.feed(source)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def facts(section):
    return dict(section["rows"])


def test_the_page_says_what_the_event_is():
    page = content()
    event = facts(page["event"])
    assert page["marks"] == ["REAL"]
    assert event["Time"] == "2019-04-25 08:18:05.017 UTC"
    assert event["False-alarm rate"] == "4.5e-13 Hz, one in 70,400 years"
    assert event["Distance"] == "155 ± 45 Mpc"
    assert event["90 % area"] == "10183 deg²"
    assert event["Notice"] == "S190425z-2-Initial, revision 2"
    assert event["Classification"].startswith("BNS 99.9 %, Terrestrial 0.06 %, p_astro 0.9994 (as")
    assert event["Instruments"] == "L1, V1"
    assert event["Group and search"] == "CBC, AllSky"


def test_the_page_says_the_result():
    result = facts(content()["result"])
    assert result["p-value (this map, no trials correction)"].startswith(
        "0.0056 (background bns-o3"
    )
    assert result["Odds ratio, common source or not"] == "0.0321"
    assert result["P(one source of wave and neutrinos)"] == "0.0311"
    assert result["P(no wave, astrophysical neutrino)"] == "below 1e-12"
    assert result["P(all noise)"] == "0"
    assert "0.56 %" in content()["lead"]


def test_every_neutrino_has_a_row_in_the_lists_order():
    rows = content()["neutrinos"]["table"]["rows"]
    header = content()["neutrinos"]["table"]["header"]
    first = dict(zip(header, rows[0], strict=True))
    assert [row[0] for row in rows] == ["1", "2", "3"]
    assert first["Id"] == "124551_214972"
    assert first["dt (s)"] == "-225.80"
    assert first["90 % radius (deg)"] == "3.86"  # 1.8 x 2.145966
    assert first["p"] == "5.1e-05"
    assert first["In window"] == "yes"
    assert rows[2][-1] == "no"
    assert first["Time (UTC)"] == "2019-04-25 08:14:19.217"


@pytest.mark.parametrize(
    ("change", "marks"),
    [
        ({"flags": {"ROLE": "test"}}, ["TEST"]),
        ({"flags": {}}, ["TEST"]),
        ({"event": sample.info(graceid="MS190425z")}, ["TEST"]),
        ({"event": sample.info(retracted=True)}, ["RETRACTED", "REAL"]),
        ({"flags": FLAGS | {"VETOED": True}}, ["REAL", "VETOED"]),
        (
            {"neutrinos": sample.neutrino_list([sample.neutrino(0, 1, 2, type="blinded")])},
            ["REAL", "BLINDED NEUTRINOS"],
        ),
        ({"flags": FLAGS | {"BLINDED_NEUTRINOS": True}}, ["REAL", "BLINDED NEUTRINOS"]),
    ],
)
def test_marks(change, marks):
    page = content(**change)
    assert page["marks"] == marks
    void = bool({"RETRACTED", "BLINDED NEUTRINOS"} & set(marks))
    assert page["bad"] is void
    assert page["lead"].startswith("p = ") is not void


@pytest.mark.parametrize(
    ("far_hz", "words"),
    [
        (None, ("–", "")),
        (0.0, ("0 Hz", "0 per year")),
        (1e-4, ("0.0001 Hz", "3.16e+03 per year")),
        (2e-8, ("2e-08 Hz", "one in 1.58 years")),
        (4.5e-13, ("4.5e-13 Hz", "one in 70,400 years")),
        (5.2e-16, ("5.2e-16 Hz", "one in 60.9 million years")),
    ],
)
def test_a_false_alarm_rate_in_words(far_hz, words):
    assert rate_text(far_hz) == words


def test_a_missing_p_value_comes_with_its_reason():
    result = sample.significance(
        p_value=None, p_value_reason="no background; run X", n_background=0
    )
    page = content(result=result)
    assert page["lead"] == "No p-value. No background; run X."
    assert "No background; run X." in facts(page["result"]).values()


def test_bursts_that_count_leave_a_line_without_them():
    label = "Without gamma-ray bursts"
    alone = sample.significance(odds_ratio=0.03, p_value=0.0056)
    result = sample.significance(
        odds_ratio=40.0, p_value=None, p_value_reason="bursts", without_bursts=alone
    )
    page = facts(content(result=result)["result"])
    assert page["Odds ratio, common source or not"] == "40"
    assert page[label].startswith("odds ratio 0.03, p = 0.0056 (")
    assert label not in facts(content()["result"])


def test_lists_that_are_provisional_or_empty_say_so():
    assert "complete" in content()["neutrinos"]["text"][0]
    provisional = content(neutrinos=sample.neutrino_list([], complete=False))["neutrinos"]
    assert "provisional" in provisional["text"][0]
    assert provisional["text"][1] == "It holds no neutrino."


def test_odds_zero_and_assumed_distance():
    page = content(
        result=sample.significance(odds_ratio=0.0, p_value=1.0),
        distances={"distmean_mpc": 90.0, "diststd_mpc": 20.0, "distance": "assumed"},
    )
    assert page["lead"].endswith("odds ratio 0, p = 1.")
    assert "assumed" in facts(page["event"])["Distance"]
    assert "Most probable common direction" not in facts(page["result"])


def test_provenance_ends_with_the_command_that_rebuilds_it():
    rows = content(event_dir="past_runs/o3/S190425z/")["provenance"]["rows"]
    assert rows[-1] == ("Make it again", "snakemake past_runs/o3/S190425z/all")
    assert ("Software", "llama 0.1.0") in rows
    assert ("Inputs: lvc_skymap.hdf5", "cd" * 32) in rows


def test_nothing_is_shown_as_none_or_nan(tmp_path):
    nan = float("nan")
    neutrinos = sample.neutrino_list(
        [sample.neutrino(0, 1, 2, energy=None, subevent=None)], window=None
    )
    html, pdf = write(
        tmp_path,
        info=sample.info(far=None, pipeline="", search=None, revision=None, notice=None),
        p_astro={"p_astro": nan, "BNS": None},
        distances={"distmean_mpc": nan},
        neutrinos=neutrinos,
        significance={"odds_ratio": nan, "p_value": nan, "p_astro_joint": None},
    )
    seen = " ".join(Page(html).words)
    assert not re.search(r"\b(None|nan|inf|NaN|null|undefined)\b", seen)
    assert pdf.startswith(b"%PDF")


def test_the_html_needs_nothing_else_and_can_be_read_aloud(tmp_path):
    html, _ = write(tmp_path)
    page = Page(html)
    assert page.all("html") == [{"lang": "en"}]
    assert len(page.all("h1")) == 1
    assert len(page.all("h2")) == 8
    assert all(image["src"].startswith("data:image/png;base64,") for image in page.all("img"))
    assert len([image for image in page.all("img") if len(image["alt"]) > 40]) == 2
    assert all(cell["scope"] in {"row", "col"} for cell in page.all("th"))
    assert len(page.all("caption")) == 3
    assert not {"script", "link", "iframe", "object", "form"} & {tag for tag, _ in page.tags}
    assert not re.search(r"(src|href|url\()\s*=?\s*[\"']?(https?:)?//", html)


def test_text_on_the_page_has_contrast(tmp_path):
    html, _ = write(tmp_path)

    def luminance(colour):
        digits = colour.lstrip("#")
        digits = "".join(2 * d for d in digits) if len(digits) == 3 else digits
        parts = [int(digits[k : k + 2], 16) / 255 for k in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark = set(re.findall(r"(?<![-\w])color: (#[0-9a-f]{3,6})", html)) - {"#fff"}
    assert len(dark) >= 4
    assert all((1.05) / (luminance(colour) + 0.05) >= 4.5 for colour in dark)
    for ground in re.findall(r"\.marks li[^{]*\{[^}]*background: (#[0-9a-f]{3,6})", html):
        assert 1.05 / (luminance(ground) + 0.05) >= 4.5


def test_hostile_text_stays_text(tmp_path):
    bad = sample.HOSTILE
    neutrinos = sample.neutrino_list(
        [sample.neutrino(0, 1, 2, id=bad, type=bad), sample.neutrino(1, 1, 2, id="'\"><img src=x>")]
    )
    result = sample.significance(
        neutrinos,
        p_value=None,
        p_value_reason=bad * 40,
        provenance={bad: {bad: [bad, None]}},
        p_value_population=bad,
    )
    html, pdf = write(
        tmp_path,
        info=sample.info(pipeline=bad + "A" * 10240, group=bad, notice=bad, instruments=[bad]),
        neutrinos=neutrinos,
        significance=result,
        event_dir="events/" + bad,
    )
    page = Page(html)
    assert not page.all("script")
    assert len(page.all("img")) == 2
    assert "A" * 100 not in html.replace(base64.b64encode(PNG).decode(), "")
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00\x1b]", html)
    assert "{{7*7}}" in "".join(page.words)
    assert pdf.startswith(b"%PDF")
    assert b"root:" not in pdf


def test_equal_input_gives_equal_bytes(tmp_path):
    assert write(tmp_path, "one") == write(tmp_path, "two")


def test_a_missing_figure_is_named_and_nothing_is_written(tmp_path):
    with pytest.raises(LlamaError, match="make the figures first"):
        write(tmp_path, scatter_png=tmp_path / "absent.png")
    assert not (tmp_path / "summary.html").exists()


def test_a_neutrino_without_radius_is_refused():
    with pytest.raises(LlamaError, match="neutrino 1 has no error radius"):
        content(neutrinos=sample.neutrino_list([sample.neutrino(0, 1, 2, sigma=0.0)]))


def test_a_long_list_fits_in_both_documents(tmp_path):
    events = [sample.neutrino(k, k % 360, k % 90, dt=float(k)) for k in range(300)]
    html, pdf = write(
        tmp_path,
        neutrinos=sample.neutrino_list(events),
        significance=sample.significance(single_neutrino=[]),
    )
    assert html.count("<tr") > 300
    assert len(re.findall(rb"/Type\s*/Page\b", pdf)) > 5


def test_how_fast_it_went_is_told_alert_by_alert(tmp_path):
    later = {"taken_over": 86_400.0 * 3, "map": 7200.0, "published": 4e8, "sent": 500.4}
    table = content(latency=sample.latency(**later))["latency"]["table"]
    assert table["header"][2:] == [
        *("Sent", "Heard", "Taken over", "Map", "Neutrinos", "Significance", "Published"),
    ]
    assert table["rows"][0] == [
        "1 Preliminary",
        "2019-04-25 08:19:35 UTC",
        *("91.2 s (1.2 s)", "91.5 s (1.5 s)", "92.0 s (2.0 s)", "94.5 s (4.5 s)"),
        *("95.0 s (5.0 s)", "97.1 s (7.1 s)", "–"),
    ]
    assert table["rows"][1][0] == "2 Update"
    assert table["rows"][1][2:] == [
        *("500 s (410 s)", "–", "72 h (72 h)", "7200 s (7110 s)", "–", "–", "13 yr (13 yr)"),
    ]
    html, pdf = write(tmp_path)
    for words in ("Latency", "97.1 s (7.1 s)", "Taken over"):
        assert words in html
    assert pdf.startswith(b"%PDF")
