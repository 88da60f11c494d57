"""Whether an event is real: each sign by itself, and everything that says so agrees."""

import figure_samples as sample
import pytest

from llama.event.results import NeutrinoList, Significance
from llama.event.vetoes import Facts, not_real, signs_of_test
from llama.figures.text import marks
from llama.publish.circular import draft_circular
from llama.publish.notice import build_notice
from llama.typed import typed

SIGNS = [
    ({}, {}, None),
    ({"graceid": "G268562"}, {}, None),
    ({}, {"kinds": ["observation", "alert"]}, None),
    ({"role": "test"}, {}, "its alert is a test or hardware injection"),
    ({"role": None}, {}, "its alert is a test or hardware injection"),
    ({"graceid": "MS190425z"}, {}, "MS190425z is not the id of a real one"),
    ({"graceid": "TS190425z"}, {}, "TS190425z is not the id of a real one"),
    ({"graceid": "M3"}, {}, "M3 is not the id of a real one"),
    ({"search": "mdc"}, {}, "its search is MDC, a mock data challenge"),
    ({"alert_type": "injection"}, {}, "it comes from injection, not an alert"),
    (
        {"gracedb_service_url": "https://gracedb-playground.ligo.org/api/"},
        {},
        "it comes from the test server gracedb-playground.ligo.org",
    ),
    ({}, {"role": "test"}, "the flag ROLE is not observation"),
    ({}, {"role": None}, "the flag ROLE is not observation"),
    ({}, {"kinds": ["observation", "blinded"]}, "its neutrinos are blinded"),
    ({}, {"kinds": ["simulated", None]}, "its neutrinos are None and simulated"),
]


@pytest.mark.parametrize(("changes", "others", "sign"), SIGNS)
def test_each_sign_alone_makes_a_test_everywhere(tmp_path, changes, others, sign):
    graceid = changes.get("graceid", "S190425z")
    info = sample.info(notice=f"{graceid}-2-Initial", **changes)
    assert signs_of_test(info, **others) == ([sign] if sign else [])
    role, kinds = others.get("role", "observation"), others.get("kinds", ["observation"])
    directory = tmp_path.parent / "current_run"  # pytest's own has the word test in it
    flags = {"ROLE": role, "BLINDED_NEUTRINOS": False}
    facts = Facts(info, flags, directory, True, frozenset(map(str, kinds)), True)
    assert [s for s in not_real(facts) if not s.startswith("its path")] == ([sign] if sign else [])
    neutrinos = sample.neutrino_list([sample.neutrino(1, 240, 36, type=kind) for kind in kinds])
    significance = typed(sample.significance(neutrinos), Significance, "result", "")
    neutrinos = typed(neutrinos, NeutrinoList, "list", "")
    notice = build_notice(info, significance, neutrinos, alert_datetime=info.notice_time, role=role)
    assert notice["alert_tense"] == ("test" if sign else "current")
    draft = draft_circular(info, significance, neutrinos, role=role)
    assert ("THIS IS A TEST" in draft) is bool(sign)
    if "kinds" not in others:  # figures say in words of their own what neutrinos are
        assert marks(info, (), {"ROLE": role}) == ["TEST" if sign else "REAL"]
