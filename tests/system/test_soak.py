"""Two minutes of soak.py: three events, every fault, a killed process of each kind."""

from soak import soak

SEED = 8


def test_a_day_in_which_everything_goes_wrong(tmp_path):
    told = soak(minutes=2.0, seed=SEED, keep=tmp_path / "kept")
    print(told)
    assert told["events"] == 3
    assert {"slack", "gracedb", "gcn", "icecube", "webhook"} == told["messages"].keys()
    # a job that publishes is waited for; whether others are met in time depends on the machine
    assert {"listener", "daemon", "publisher"} <= told["killed"].keys()
    assert {"disk", "clock", "broker", "slack", "gracedb", "webhook", "stream"} <= told[
        "faults"
    ].keys()
    assert "llama run" in told["commands"]
