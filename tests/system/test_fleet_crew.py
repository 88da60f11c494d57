"""Droplets are made within the budget and never twice, whatever the API answers."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from do_double import ApiError
from do_double import Cloud as Double
from shell import TOKEN, change

from llama.errors import LlamaError
from llama.fleet import connection
from llama.fleet import crew as module
from llama.fleet.cloud import Cloud, take_snapshot
from llama.fleet.connection import CloudError, PassingError
from llama.fleet.crew import Crew, Made, orphans
from llama.fleet.money import OverBudgetError
from llama.settings import load

SIZE, REGION = "s-2vcpu-4gb", "nyc3"


@pytest.fixture
def crew(account: Double, settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> Crew:
    monkeypatch.setattr(connection, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.3)
    monkeypatch.setattr(module, "LIST_LAGS_S", 0.0)
    return Crew(load(), Cloud(TOKEN, patience_s=20))


def make(crew: Crew, names: list[str], study: str = "", **more) -> Made:
    return crew.create(names, crew.offer(len(names), "llama-worker", SIZE, REGION), study, **more)


def names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number:02}" for number in range(count)]


def events(crew: Crew) -> list[str]:
    return [entry.event for entry in crew.ledger.entries()]


def test_made_in_tens_and_once(account: Double, crew: Crew):
    wanted, account.droplet_limit = names("llama", 23), 100
    made = make(crew, wanted, "bns-o3-H1L1V1")
    assert sorted(d.name for d in made.new) == wanted
    assert (made.old, made.missing) == ([], {})
    assert sum(line.startswith("POST") for line in account.log) == 3
    again = make(crew, [*wanted, "llama-99"])
    assert [d.name for d in again.new] == ["llama-99"]
    assert len(again.old) == 23
    assert account.created == 24
    assert events(crew) == ["ordered"] + 23 * ["created"] + ["ordered", "created"]
    cost = crew.cost()
    assert cost.droplets == 24
    assert cost.usd_of_study == pytest.approx({"bns-o3-H1L1V1": 23 * 0.03571, "": 0.03571})
    assert make(crew, wanted).new == []
    assert account.created == 24


@pytest.mark.parametrize(
    "faults",
    [
        [{"lose": True}],  # done, answer lost
        [{"before_s": 0.8}],  # done after we have hung up
        [{"lose": True, "late_s": 0.4}],
        [{"status": 500, "times": 2}],  # not done
        [{"status": 429, "headers": {"Retry-After": "0"}, "times": 3}],
        [{"cut": True}, {"status": 503, "body": "<html>"}],
    ],
)
def test_an_answer_that_is_lost(account: Double, crew: Crew, faults):
    offer = crew.offer(15, "llama-worker", SIZE, REGION)
    account.control({"faults": [{"match": "POST droplets", **fault} for fault in faults]})
    made = crew.create(names("llama", 15), offer)
    assert sorted(d.name for d in made.new) == names("llama", 15)
    assert len(account.droplets) == account.created == 15
    assert crew.cost().droplets == 15


def test_an_order_that_comes_true_after_it_was_given_up(account: Double, crew: Crew):
    offer = crew.offer(2, "llama-worker", SIZE, REGION)
    orders, real = [], account.create

    def create(order):
        orders.append(order)
        if len(orders) == 1:
            raise ApiError(500, "server_error", "Server Error")
        real(orders[0])
        return real(order)

    account.create = create  # type: ignore[method-assign]
    made = crew.create(["a", "b"], offer)
    assert account.created == 4
    assert set(account.droplets) == {droplet.id for droplet in made.new}
    assert sorted(droplet.name for droplet in made.new) == ["a", "b"]
    crew.reconcile()
    assert crew.cost().droplets == 2


def test_the_account_limit_leaves_some_missing(account: Double, crew: Crew):
    offer = crew.offer(20, "llama-worker", SIZE, REGION)
    account.droplet_limit = 13  # somebody else has been quicker
    made = crew.create(names("llama", 20), offer)
    assert len(made.new) == len(account.droplets) == 13
    assert len(made.missing) == 7
    assert "droplet limit" in made.missing["llama-19"]
    account.droplet_limit = 25
    assert len(crew.create(names("llama", 20), offer).new) == 7


def test_an_api_that_stays_away(account: Double, crew: Crew):
    offer = crew.offer(12, "llama-worker", SIZE, REGION)
    account.control({"faults": [{"match": "POST droplets", "status": 503, "times": 99}]})
    made = crew.create(names("llama", 12), offer, patience_s=1)
    assert made.new == []
    assert set(made.missing) == set(names("llama", 12))
    assert account.created == 0


def test_a_name_that_cannot_be(account: Double, crew: Crew):
    ten = names("llama", 10)
    for wrong in ("a_b", "-a", "a.", "", "a b", "ä", "a" * 256, "a\n", "llama-{a,b}"):
        with pytest.raises(LlamaError, match="no droplet can be called"):
            make(crew, [*ten, wrong])
    assert events(crew) == []
    assert not any(line.startswith("POST") for line in account.log)
    assert len(make(crew, ["a", "A.b-9", "0"]).new) == 3


def test_nothing_is_made_when_the_list_fails(account: Double, crew: Crew):
    offer = crew.offer(1, "llama-worker", SIZE, REGION)
    crew.cloud = Cloud(TOKEN, patience_s=0)
    account.control({"faults": [{"match": "GET droplets", "status": 500}]})
    with pytest.raises(PassingError):
        crew.create(["a"], offer)
    assert account.created == 0


def test_limits(account: Double, crew: Crew, settings_file: Path):
    change(settings_file, max_droplets=5)
    crew = Crew(load(), crew.cloud)
    make(crew, names("llama", 4))
    offer = crew.offer(1, "llama-worker", SIZE, REGION)
    with pytest.raises(OverBudgetError, match="max_droplets = 5; destroy some or raise it"):
        crew.offer(2, "llama-worker", SIZE, REGION)
    with pytest.raises(OverBudgetError):  # an offer that is not for so many
        crew.create(["x", "y"], offer)
    assert account.created == 4
    change(settings_file, max_usd_per_day=0.2)
    crew = Crew(load(), crew.cloud)
    crew.destroy(crew.droplets())
    with pytest.raises(OverBudgetError, match="max_usd_per_day"):  # spent is spent
        make(crew, names("other", 2))
    assert crew.cost().droplets == 0


def test_two_at_once_keep_the_limit(account: Double, crew: Crew, settings_file: Path):
    change(settings_file, max_droplets=6)
    account.control({"faults": [{"match": "POST droplets", "before_s": 0.3, "times": 2}]})
    program = (
        "import sys; from llama.fleet.crew import Crew; from llama.settings import load\n"
        "crew = Crew(load()); offer = crew.offer(4, 'llama-worker', 's-2vcpu-4gb', 'nyc3')\n"
        "crew.create([sys.argv[1] + str(n) for n in range(4)], offer)"
    )
    two = [
        subprocess.Popen([sys.executable, "-c", program, name], stderr=subprocess.PIPE, text=True)
        for name in "ab"
    ]
    said = [child.communicate()[1] for child in two]
    assert sorted(child.returncode for child in two) == [0, 1]
    assert "max_droplets = 6" in "".join(said)
    assert account.created == 4


def test_destroy_goes_on_after_a_failure(account: Double, crew: Crew):
    make(crew, names("llama", 3))
    crew.cloud = Cloud(TOKEN, patience_s=0)
    droplets = crew.droplets()
    account.control(
        {"faults": [{"match": f"DELETE droplets/{droplets[1].id}", "status": 500, "times": 9}]}
    )
    failed = crew.destroy(droplets)
    assert list(failed) == ["llama-01"]
    assert [d["name"] for d in account.droplets.values()] == ["llama-01"]
    assert crew.cost().droplets == 1
    assert orphans(crew) == []


def test_the_ledger_follows_the_cloud(account: Double, crew: Crew):
    make(crew, names("llama", 3), "bns-o3-H1L1V1")
    (one, *_) = account.droplets
    account.delete(one)  # on the web page
    old = {"name": "stray", "tags": ["llama"], "created_at": "2020-01-01T00:00:00Z"}
    account.control({"droplets": [old, {"name": "foreign"}]})
    crew.reconcile()
    assert crew.cost().droplets == 3
    assert crew.cost().usd_of_study[""] > 100  # as long as it has lived
    with pytest.raises(OverBudgetError, match=r"stray has lived for .*--reap"):
        crew.offer(1, "llama-worker", SIZE, REGION)
    # an order whose process was killed before it wrote down what came of it
    crew.ledger.record("ordered", time.time(), names=["lost"], study="bbh-o3-H1L1")
    account.control({"droplets": [{"name": "lost", "tags": ["llama"]}]})
    crew.reconcile()
    assert crew.cost().usd_of_study["bbh-o3-H1L1"] > 0
    assert [(d.name, why) for d, why in orphans(crew)] == [("stray", "not made from here")]


def test_orphans(account: Double, crew: Crew, settings_file: Path):
    make(crew, ["a", "b", "c"])
    (a, _, c) = crew.droplets()
    assert orphans(crew) == []
    crew.ledger.record("gone", time.time(), id=a.id, name=a.name, why="asked for")
    account.droplets[c.id]["created_at"] = "2020-01-01T00:00:00Z"
    twin = account.add_droplet("b", {"size": SIZE, "region": REGION, "tags": ["llama"]}, {})
    crew.ledger.record(
        "created", time.time(), id=twin["id"], name="b", price_hourly_usd=1.0, study="",
        found=False, since=twin["created_at"],
    )  # fmt: skip
    time.sleep(0.01)
    found = {(d.id, why.split(",")[0].split(" h old")[-1]) for d, why in orphans(crew)}
    assert found == {
        (a.id, "was destroyed"),
        (c.id, ""),
        (twin["id"], "another droplet has the same name"),
    }


def test_a_worker_that_is_off_has_lost_its_head_and_is_an_orphan(account: Double, crew: Crew):
    made = make(crew, ["llama-worker-000", "llama-provision"]).new
    for droplet in made:
        account.off(account.droplets[droplet.id])
    found = [(d.name, why) for d, why in orphans(crew)]
    assert found == [("llama-worker-000", "a worker that has powered itself off")]


def test_a_disk_too_small(account: Double, crew: Crew):
    account.add_image("large")["min_disk_size"] = 100
    with pytest.raises(CloudError, match="needs a disk of 100 GB"):
        crew.offer(1, "large", SIZE, REGION)


def test_no_droplet_without_a_ledger(account: Double, crew: Crew):
    offer = crew.offer(1, "llama-worker", SIZE, REGION)
    crew.ledger.path.unlink(missing_ok=True)
    crew.ledger.path.mkdir(parents=True)
    with pytest.raises(LlamaError, match="ledger"):
        crew.create(["a"], offer)
    assert account.created == 0


def test_snapshots(account: Double, crew: Crew):
    (droplet,) = make(crew, ["a"]).new
    time.sleep(0.3)
    with pytest.raises(LlamaError, match=r"a is active.*shutdown now"):
        take_snapshot(crew.cloud, crew.droplets()[0], "s")
    action = crew.cloud.act(droplet.id, "power_off")
    while crew.cloud.action_status(action) == "in-progress":
        time.sleep(0.05)
    ticks: list[float] = []
    take_snapshot(crew.cloud, crew.droplets()[0], "s", ticks.append, every_s=0.03)
    assert ticks
    assert crew.cloud.image("s", REGION).name == "s"
    account.snapshot_s = 60
    with pytest.raises(CloudError, match="takes too long"):
        take_snapshot(crew.cloud, crew.droplets()[0], "t", every_s=0.01, within_s=0.1)


def test_what_is_ordered(account: Double, crew: Crew):
    make(crew, ["a"], user_data="#cloud-config\n")
    (droplet,) = account.droplets.values()
    assert droplet["_user_data"] == "#cloud-config\n"
    assert droplet["tags"] == ["llama"]
    assert droplet["_keys"] == list(account.keys)
    with pytest.raises(LlamaError, match="the user data holds the account's token"):
        make(crew, ["b"], user_data=json.dumps({"token": TOKEN}))
    assert account.created == 1
