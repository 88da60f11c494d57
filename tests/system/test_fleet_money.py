"""Cost and limits, against a count of hours done another way; a ledger that survives."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llama.errors import LlamaError
from llama.fleet.money import Ledger, Life, OverBudgetError, check_budget, hours_left, running_cost
from llama.settings.fleet import Fleet

HOUR, DAY = 3600.0, 86400.0
NOW = 1.8e9
seconds = st.integers(0, 4 * 86400).map(float)


def life(age_s: float, ended_s: float | None = None, price: float = 1.0, study: str = "s") -> Life:
    """A droplet `age_s` old that ended `ended_s` ago."""
    return Life(1, "a", price, study, NOW - age_s, None if ended_s is None else NOW - ended_s)


def started_hours(start: float, stop: float, since: float) -> int:
    """Count the hours one by one; the first begins with the droplet."""
    count, begin = 0, start
    while begin == start or begin < stop:
        count += begin > since
        begin += HOUR
    return count


@given(seconds, seconds, st.booleans())
def test_started_hours_count_whole(age_s: float, lived_s: float, alive: bool):
    stop_s = 0.0 if alive else max(age_s - lived_s, 0.0)
    one = life(age_s, None if alive else stop_s)
    for window in (DAY, 3 * HOUR, 1e12):
        expected = started_hours(NOW - age_s, NOW - stop_s, NOW - window)
        assert one.hours_started(NOW, NOW - window) == expected
    assert one.hours_started(NOW) * HOUR >= age_s - stop_s  # never below what was used


def test_running_cost():
    lives = [life(90 * 60, price=0.5), life(3 * DAY, 3 * DAY - 10, price=2, study="t")]
    cost = running_cost(lives, NOW)
    assert (cost.droplets, cost.usd_per_hour) == (1, 0.5)
    assert (cost.usd_of_day, cost.usd) == (1.0, 3.0)
    assert cost.usd_of_study == {"s": 1.0, "t": 2.0}
    assert running_cost([], NOW).usd == 0


def test_the_day_rolls():
    assert running_cost([life(2 * DAY + 60)], NOW).usd_of_day == 24.0
    assert running_cost([life(2 * DAY, DAY + 2 * HOUR)], NOW).usd_of_day == 0.0


@pytest.mark.parametrize(
    ("limit", "lives", "count", "said"),
    [
        ({"max_droplets": 2}, [life(60), life(60)], 1, "max_droplets = 2; destroy some or raise"),
        ({"max_hours": 3}, [life(4 * HOUR)], 1, "max_hours = 3; destroy it"),
        ({"max_usd_per_day": 5}, [life(4 * HOUR)], 2, r"cost \$6.00, above fleet.max_usd_per_day"),
        ({"max_usd_per_study": 5}, [life(9 * DAY, 9 * DAY - 5 * HOUR)], 1, "s would have cost"),
    ],
)
def test_limits(limit, lives, count, said):
    generous = Fleet(max_usd_per_day=1e3, max_hours=1e3)
    check_budget(generous, lives, NOW, count, float(count), "s")
    with pytest.raises(OverBudgetError, match=said):
        check_budget(generous.model_copy(update=limit), lives, NOW, count, float(count), "s")


def test_a_fleet_that_runs_into_its_limit():
    limits = Fleet(max_usd_per_day=5)
    check_budget(limits, [life(4 * HOUR)], NOW, 0, 0.0, "s")
    with pytest.raises(OverBudgetError):
        check_budget(limits, [life(5 * HOUR + 1)], NOW, 0, 0.0, "s")


def test_hours_left():
    limits, cost = Fleet(max_usd_per_day=10), running_cost([life(60, price=2)], NOW)
    assert hours_left(limits, cost, 2.0) == 2.0
    assert hours_left(limits, running_cost([], NOW), 0.1) == float("inf")
    assert hours_left(limits, running_cost([], NOW), 0.0) == float("inf")


def enter(ledger: Ledger, ident: int, since: str = "2026-01-01T00:00:00Z") -> None:
    ledger.record(
        "created", NOW, id=ident, name=f"n{ident}", price_hourly_usd=0.1, study="", found=False,
        since=since,
    )  # fmt: skip


def test_the_ledger(tmp_path: Path):
    ledger = Ledger(tmp_path / "fleet")
    assert ledger.entries() == ledger.lives() == []
    assert ledger.study_of("n1") is None
    ledger.record("ordered", NOW, names=["n1"], study="s")
    enter(ledger, 1)
    enter(ledger, 2)
    ledger.record("gone", NOW, id=1)
    ledger.record("gone", NOW, id=7)
    assert [(one.id, one.end) for one in ledger.lives()] == [(1, NOW), (2, None)]
    assert ledger.study_of("n1") == "s"


@given(cut=st.integers(1, 200))
def test_a_torn_line_costs_no_other(tmp_path_factory: pytest.TempPathFactory, cut: int):
    ledger = Ledger(tmp_path_factory.mktemp("ledger"))
    enter(ledger, 1)
    whole = ledger.path.read_bytes()
    ledger.path.write_bytes(whole + whole[: min(cut, len(whole) - 2)])
    enter(ledger, 2)
    assert [one.id for one in ledger.lives()] == [1, 2]


def test_writers_do_not_mix(tmp_path: Path):
    program = (
        "import sys; from pathlib import Path; from llama.fleet.money import Ledger\n"
        "for n in range(50): Ledger(Path(sys.argv[1])).record('ordered', 0, names=['x' * 3000])"
    )
    two = [subprocess.Popen([sys.executable, "-c", program, tmp_path]) for _ in range(2)]
    assert [child.wait() for child in two] == [0, 0]
    assert len(Ledger(tmp_path).entries()) == 100
    assert len((tmp_path / "ledger.jsonl").read_text().splitlines()) == 100


def test_a_ledger_that_cannot_be_written(tmp_path: Path):
    ledger = Ledger(tmp_path)
    ledger.path.symlink_to("/dev/full")
    with pytest.raises(LlamaError, match="no droplet is made without it"):
        enter(ledger, 1)


def test_alone_waits_for_the_other(tmp_path: Path):
    program = (
        "import sys, time; from pathlib import Path; from llama.fleet.money import Ledger\n"
        "with Ledger(Path(sys.argv[1])).alone():\n"
        "    print('in', flush=True); time.sleep(0.5); Path(sys.argv[1], 'done').touch()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, env=os.environ
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with Ledger(tmp_path).alone():
            assert (tmp_path / "done").exists()


def test_alone_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("llama.fleet.money._ALONE_WITHIN_S", 0.2)
    with (
        Ledger(tmp_path).alone(),
        pytest.raises(LlamaError, match="another command has been making droplets"),
        Ledger(tmp_path).alone(),
    ):
        pass


def test_now_is_later_than_the_ledger(tmp_path: Path):
    ledger = Ledger(tmp_path)
    enter(ledger, 1, "2999-01-01T00:00:00Z")  # a clock that is wrong counts one hour, not minus
    assert running_cost(ledger.lives(), time.time()).usd == pytest.approx(0.1)
