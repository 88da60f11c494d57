"""What a summary says of its event, result and neutrinos."""

import figure_samples as sample
import pytest
from figure_samples import FLAGS

from llama.errors import LlamaError
from llama.figures.summary import summary_content
from llama.figures.text import rate_text


def content(event=None, flags=FLAGS, neutrinos=None, result=None, **changes):
    latency = changes.pop("latency", sample.latency())
    event_dir = changes.pop("event_dir", "events/S190425z")
    files = {
        "info": event or sample.info(),
        "flags": flags,
        "neutrinos": neutrinos or sample.neutrino_list(),
        "significance": result or sample.significance(),
    }
    return summary_content(sample.event_files(**files, **changes), latency["revisions"], event_dir)


def test_the_page_says_what_the_event_is():
    page = content()
    event = sample.facts(page["event"])
    assert page["marks"] == ["REAL"]
    assert event["Time"] == "2019-04-25 08:18:05.017 UTC"
    assert event["False-alarm rate"] == "4.5e-13 Hz, one in 70,400 years"
    assert event["Distance"] == "155 ± 45 Mpc"
    assert event["90 % area"] == "10183 deg²"
    assert event["Notice"] == "S190425z-2-Initial, revision 2"
    assert event["Classification"].startswith("BNS 99.9 %, Terrestrial 0.06 %, p_astro 0.9994 (as")
    assert event["Instruments"] == "L1, V1"
    assert event["Group and search"] == "CBC, AllSky"


def test_every_class_is_shown_with_the_background_that_serves_it():
    classes = {"BNS": 0.0, "NSBH": 0.0, "BBH": 0.0, "Terrestrial": 0.01, "MassGap": 0.99}
    known = classes | {"p_astro": 0.99, "source": "alert", "reason": None, "class": "MassGap"}
    shown = sample.facts(content(p_astro=known | {"population": "cbc"})["event"])["Classification"]
    assert "MassGap 99 %, p_astro 0.99 (as in the alert), background of class cbc" in shown
    rate = {"Terrestrial": 1.0, "p_astro": 0.0065, "source": "far", "reason": "the alert gives 0"}
    shown = sample.facts(content(p_astro=rate)["event"])["Classification"]
    assert "p_astro 0.0065 (from the false-alarm rate: the alert gives 0)" in shown


def test_odds_of_0_by_p_astro_are_not_a_p_value_of_1():
    result = sample.significance(odds_ratio=0.0, p_astro=0.0, p_value=0.0056)
    assert content(result=result)["lead"].startswith("p = 0.0056: chance")
    result = sample.significance(odds_ratio=0.0, p_value=1.0)
    assert "odds ratio 0, p = 1" in content(result=result)["lead"]


def test_the_page_says_the_result():
    result = sample.facts(content()["result"])
    assert result["p-value for a sky map of class bns-o3-L1V1 (24 of them)"] == "0.0056 ± 0.0002"
    assert result["p-value for this sky map"] == "2.1e-07 ± 9e-08, decided by 4.5 injections"
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
        (1e-4, ("0.0001 Hz", "3,160 per year")),
        (2e-8, ("2e-08 Hz", "one in 1.58 years")),
        (4.5e-13, ("4.5e-13 Hz", "one in 70,400 years")),
        (5.2e-16, ("5.2e-16 Hz", "one in 60.9 million years")),
    ],
)
def test_a_false_alarm_rate_in_words(far_hz, words):
    assert rate_text(far_hz) == words


def test_a_missing_p_value_comes_with_its_reason():
    result = sample.significance(
        p_value=None, p_value_reason="no background; run X", n_background=0,
        p_value_class=None, p_value_map=None,
    )  # fmt: skip
    page = content(result=result)
    assert page["lead"] == "No p-value. No background; run X."
    assert "none: no background; run X" in sample.facts(page["result"]).values()


def test_bursts_that_count_leave_a_line_without_them():
    label = "Without gamma-ray bursts"
    alone = sample.significance(odds_ratio=0.03, p_value=0.0056)
    result = sample.significance(
        odds_ratio=40.0, p_value=None, p_value_reason="bursts", without_bursts=alone
    )
    page = sample.facts(content(result=result)["result"])
    assert page["Odds ratio, common source or not"] == "40"
    assert page[label].startswith("odds ratio 0.03, p = 0.0056 (")
    assert label not in sample.facts(content()["result"])


def test_lists_that_are_provisional_or_empty_say_so():
    assert "complete" in content()["neutrinos"]["text"][0]
    provisional = content(neutrinos=sample.neutrino_list([], complete=False))["neutrinos"]
    assert "provisional" in provisional["text"][0]
    assert provisional["text"][1] == "It holds no neutrino."


def test_what_a_source_has_but_cannot_be_used_is_said():
    bad = "notice x.json of IceCube cannot be used: it has no dec"
    listed = sample.neutrino_list([], complete=False) | {"unusable": [bad]}
    assert "is incomplete" in (said := content(neutrinos=listed)["neutrinos"]["text"][0])
    assert bad in said


def test_odds_zero_and_assumed_distance():
    page = content(
        result=sample.significance(odds_ratio=0.0, p_value=1.0),
        distances={"distmean_mpc": 90.0, "diststd_mpc": 20.0, "distance": "assumed"},
    )
    assert page["lead"].endswith("odds ratio 0, p = 1.")
    assert "assumed" in sample.facts(page["event"])["Distance"]
    assert "Most probable common direction" not in sample.facts(page["result"])


def test_provenance_ends_with_the_command_that_rebuilds_it():
    rows = content(event_dir="past_runs/o3/S190425z/")["provenance"]["rows"]
    assert rows[-1] == ("Make it again", "snakemake past_runs/o3/S190425z/all")
    assert ("Software", "llama 0.1.0") in rows
    assert ("Inputs: lvc_skymap.hdf5", "cd" * 32) in rows


def test_a_neutrino_without_radius_is_refused():
    with pytest.raises(LlamaError, match="neutrino 1 has no error radius"):
        content(neutrinos=sample.neutrino_list([sample.neutrino(0, 1, 2, sigma=0.0)]))


def test_how_fast_it_went_is_told_alert_by_alert():
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
