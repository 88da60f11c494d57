import copy
import json

import figure_samples as sample
import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012
from test_publish_circular import as_read

from llama.errors import LlamaError
from llama.event.compared import PValue
from llama.event.results import NeutrinoList, Significance
from llama.files import dump_json, read_json, write_json
from llama.publish.notice import build_notice, check_notice, rounded_p

SCHEMAS = sample.DATA / "schemas"
NAME = "gcn-schema_lvk_nu_track_search"
CREATED = "2019-04-25T09:10:00Z"


def build(event=None, result=None, neutrinos=None, sensitivity=sample.SENSITIVITY, combined=None):
    neutrinos = neutrinos or sample.neutrino_list()
    result = result or sample.significance(neutrinos)
    result |= {"neutrino_flux_sensitivity_range": sensitivity}
    return build_notice(
        event or sample.info(),
        as_read(result, Significance),
        as_read(neutrinos, NeutrinoList),
        alert_datetime=CREATED,
        combined=combined,
    )


def test_a_notice_of_a_real_event():
    notice = build()
    assert notice["alert_tense"] == "current"
    assert notice["alert_type"] == "update"
    assert notice["ref_ID"] == "S190425z"
    assert notice["reference"] == {"gcn.notices.LVK.alert": "S190425z-2-Initial"}
    assert notice["trigger_time"] == "2019-04-25T08:18:05.017Z"
    assert notice["observation_start"] == "2019-04-25T08:09:45.017Z"
    assert notice["observation_stop"] == "2019-04-25T08:26:25.017Z"
    assert notice["alert_datetime"] == "2019-04-25T09:10:00.000Z"
    assert notice["pval_generic"] is None
    assert notice["pval_bayesian"] == 0.0056
    assert notice["n_events_coincident"] == 2
    assert notice["coincident_events"][0] == {
        "event_dt": -225.8,
        "localization": {
            "ra": 240.5,
            "dec": 36.1,
            "ra_dec_error": 3.86,
            "containment_probability": 0.9,
            "systematic_included": False,
        },
        "id": ["124551_214972"],
        "event_pval_generic": None,
        "event_pval_bayesian": 5.1e-05,
    }
    assert "most_probable_direction" not in notice  # belongs to the generic search
    assert notice["neutrino_flux_sensitivity_range"]["flux_sensitivity"] == [0.0277, 0.647]
    assert build() == notice
    dump_json(notice)


@pytest.mark.parametrize(
    ("event", "neutrinos"),
    [
        (sample.info(role="test"), None),
        (sample.info(role=None), None),
        (sample.info(search="MDC"), None),
        (sample.info(graceid="MS190425z", notice="MS190425z-1-Initial"), None),
        (None, sample.neutrino_list([sample.neutrino(0, 1, 2, type="blinded")])),
        (None, sample.neutrino_list([sample.neutrino(0, 1, 2, type="simulated")])),
    ],
)
def test_whatever_is_not_clearly_real_is_a_test(event, neutrinos):
    assert build(event, neutrinos=neutrinos)["alert_tense"] == "test"


@pytest.mark.parametrize("p_value", [0.1, 0.5, 1.0])
def test_neutrinos_are_listed_only_below_a_tenth(p_value):
    notice = build(result=sample.significance(p_value=p_value))
    assert notice["n_events_coincident"] == 0
    assert "coincident_events" not in notice
    assert notice["pval_bayesian"] == p_value


def test_bursts_and_retractions_have_no_bayesian_p_value():
    assert build(sample.info(group="Burst"))["pval_bayesian"] is None
    retracted = build(sample.info(retracted=True))
    assert retracted["pval_bayesian"] is None
    assert retracted["alert_type"] == "retraction"


def test_first_revision_is_initial_and_sensitivity_may_be_unknown():
    empty = {"flux_sensitivity": [], "sensitive_energy_range": []}
    for sensitivity in (None, empty):
        notice = build(sample.info(revision=1), sensitivity=sensitivity)
        assert notice["alert_type"] == "initial"
        assert "neutrino_flux_sensitivity_range" not in notice


def test_edges_of_the_sphere_and_strange_ids_are_made_valid():
    events = [sample.neutrino(0, 359.9999, 89.999, 120.0, 499.999, id="ü <x> " + "y" * 100)]
    neutrinos = sample.neutrino_list(events)
    event = build(result=sample.significance(neutrinos), neutrinos=neutrinos)["coincident_events"][
        0
    ]
    assert event["localization"]["ra"] == 0.0
    assert event["localization"]["ra_dec_error"] == 180.0
    assert event["id"][0].startswith("___x")
    assert len(event["id"][0]) == 64


def test_the_notice_states_the_window_that_was_used():
    events = [sample.neutrino(0, 100.0, 20.0, 1.0, -1200.0)]
    longer = sample.neutrino_list(events, livetime_s=1750.0, window=sample.window(-1250, 500))
    notice = build(result=sample.significance(longer), neutrinos=longer)
    assert notice["observation_start"] == "2019-04-25T07:57:15.017Z"
    assert notice["observation_stop"] == "2019-04-25T08:26:25.017Z"
    assert notice["observation_livetime"] == 1750
    assert notice["coincident_events"][0]["event_dt"] == -1200.0
    for changes, message in (
        ({"observation_start": "2019-04-25T08:00:00Z", "observation_livetime": 9}, "outside of"),
        ({"observation_livetime": 1751}, "longer than its observation"),
        ({"observation_start": "2019-04-22T08:09:45.017Z"}, "not about trigger_time"),
    ):
        with pytest.raises(LlamaError, match=message):
            check_notice(notice | changes)


def test_events_without_time_or_with_an_odd_name_are_refused():
    with pytest.raises(LlamaError, match="no event time"):
        build(sample.info(event_time=None))
    with pytest.raises(LlamaError, match="LVK"):
        build(sample.info(notice=None))
    with pytest.raises(LlamaError, match="ref_ID"):
        build(sample.info(graceid="../../etc"))


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 1))
def test_rounding(p_value):
    rounded = rounded_p(PValue(p_value))
    assert 0 <= rounded <= 1
    assert rounded == pytest.approx(p_value, abs=5.1e-5)
    if 1e-300 < p_value < 1e-4:
        assert rounded == pytest.approx(p_value, rel=0.051)


def change(path, value):
    def act(notice):
        place = notice
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value

    return act


def remove(name):
    return lambda notice: notice.pop(name)


EVENT = ("coincident_events", 0)


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (remove("$schema"), r"lacks \$schema"),
        (remove("pval_bayesian"), "lacks pval_bayesian"),
        (remove("coincident_events"), "n_events_coincident"),
        (change(["surprise"], 1), "unknown field surprise"),
        (change([*EVENT, "extra"], 1), r"unknown field coincident_events\[0\].extra"),
        (change(["pval_bayesian"], 1.2), "pval_bayesian = 1.2"),
        (change(["pval_bayesian"], -1e-9), "pval_bayesian"),
        (change(["pval_bayesian"], float("nan")), "pval_bayesian = nan"),
        (change(["pval_bayesian"], True), "pval_bayesian = True"),
        (change(["pval_generic"], "0.1"), "pval_generic"),
        (change(["type"], "IceCube"), "type"),
        (change(["$schema"], "https://example.org/x.json"), "schema"),
        (change(["alert_tense"], "archival"), "alert_tense"),
        (change(["alert_datetime"], "2019-04-25T09:10:00"), "alert_datetime"),
        (change(["trigger_time"], "2019-13-25T09:10:00Z"), "trigger_time"),
        (change(["trigger_time"], "2019-04-25T09:10:00Z"), "outside of its observation"),
        (change(["observation_livetime"], 1001), "observation_livetime"),
        (change(["ref_ID"], "S190425zz"), "another event"),
        (change(["n_events_coincident"], 2.0), "n_events_coincident"),
        (change(["n_events_coincident"], 3), "larger n_events_coincident"),
        (change(["record_number"], -1), "record_number"),
        (change([*EVENT, "event_dt"], 501), "event_dt"),
        (change([*EVENT, "id"], []), "id"),
        (change([*EVENT, "id"], ["a b"]), "id"),
        (change([*EVENT, "localization", "dec"], 91), "dec"),
        (change([*EVENT, "localization", "ra"], float("inf")), "ra"),
        (change([*EVENT, "localization", "containment_probability"], 0.5), "containment"),
        (change([*EVENT, "localization", "systematic_included"], 0), "systematic_included"),
        (change([*EVENT, "localization"], None), "localization"),
        (change(["most_probable_direction"], {"ra": 1}), "most_probable_direction.dec"),
        (
            change(["neutrino_flux_sensitivity_range", "flux_sensitivity"], [2, 1]),
            "the smaller first",
        ),
        (change(["reference"], []), "reference"),
    ],
)
def test_the_strict_reading_refuses(act, message):
    notice = copy.deepcopy(build())
    check_notice(notice)
    act(notice)
    with pytest.raises(LlamaError, match=message):
        check_notice(notice)


@pytest.mark.parametrize("garbage", [None, [], "x", {}, {"pval_bayesian": 0.1}])
def test_garbage_that_the_official_schema_lets_through_is_refused(garbage):
    with pytest.raises(LlamaError):
        check_notice(garbage)


def test_a_mock_event_is_never_current():
    notice = build(sample.info(graceid="MS190425z", notice="MS190425z-1-Initial"))
    with pytest.raises(LlamaError, match="mock event current"):
        check_notice(notice | {"alert_tense": "current"})


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=10),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=6,
    ),
    st.data(),
)
def test_the_check_raises_nothing_but_its_sentence(value, data):
    notice = build()
    notice[data.draw(st.sampled_from(sorted(notice)))] = value
    try:
        check_notice(notice)
    except LlamaError:
        pass
    else:
        json.dumps(notice, allow_nan=False)


@pytest.fixture
def official():
    path = SCHEMAS / f"{NAME}.schema.json"
    if not path.exists():
        pytest.skip("the shared schemas are not here")
    return json.loads(path.read_text())


@pytest.fixture
def validator(official):
    # The core schemas are not here: they are optional fields without conditions of ours.
    permissive = Resource({}, specification=DRAFT202012)
    return jsonschema.Draft202012Validator(
        official, registry=Registry(retrieve=lambda _: permissive)
    )


def test_our_notices_satisfy_the_official_schema(validator):
    for event in (sample.info(), sample.info(retracted=True), sample.info(group="Burst")):
        validator.validate(build(event))
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(build() | {"pval_bayesian": "0.1"})


def test_what_goes_to_gcn_satisfies_both(validator, tmp_path):
    from publish_samples import make_event, revise

    from llama.publish import kafka_notice
    from llama.publish.result import read_result

    event = make_event(tmp_path / "current_run", role="test")
    for kind in ("new", "update", "withdrawal"):
        if kind == "withdrawal":
            revise(event, retracted=True)
        result = read_result(event, real=False)
        if kind != "withdrawal":
            made = build_notice(result.info, result.significance, result.neutrinos)
            write_json(event / "gcn_notice.json", made)
        notice = json.loads(kafka_notice.build(result, "key", kind, None))
        validator.validate(notice)
        check_notice(notice)
        assert notice["alert_tense"] == "test"
    assert read_json(event / "gcn_notice.json")["alert_type"] == "initial"


def test_the_official_example_passes_the_strict_reading(official):
    check_notice(json.loads((SCHEMAS / f"{NAME}.example.json").read_text()))
