"""Orders whose answers come late, names in ranges, and what the account itself allows."""

import subprocess
from pathlib import Path

import pytest
from do_double import ApiError
from do_double import Cloud as Double
from shell import TOKEN

from llama.errors import LlamaError
from llama.fleet import connection
from llama.fleet import crew as module
from llama.fleet.cloud import Cloud
from llama.fleet.crew import Crew, orphans
from llama.fleet.money import OverBudgetError
from llama.fleet.records import expand
from llama.settings import load

SIZE, REGION = "s-2vcpu-4gb", "nyc3"


@pytest.fixture
def crew(account: Double, settings_file: Path, monkeypatch: pytest.MonkeyPatch) -> Crew:
    monkeypatch.setattr(connection, "ANSWER_WITHIN_S", 0.5)
    monkeypatch.setattr(module, "_LOOK_EVERY_S", 0.3)
    monkeypatch.setattr(module, "LIST_LAGS_S", 0.0)
    return Crew(load(), Cloud(TOKEN, patience_s=20))


def test_an_order_that_comes_true_a_minute_later(account: Double, crew: Crew):
    """Its answer is lost, the order is given again; then both come."""
    offer = crew.offer(2, "llama-worker", SIZE, REGION)
    orders, real, pauses = [], account.create, list[float]()

    def create(order):
        orders.append(order)
        if len(orders) == 1:
            raise ApiError(500, "server_error", "Server Error")
        return real(order)

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        real(orders[0])

    account.create = create  # type: ignore[method-assign]
    crew = Crew(load(), crew.cloud, pause)
    made = crew.create(["a", "b"], offer)
    assert made.unanswered
    assert account.created == 2
    done = crew.look_again(made)
    assert pauses == [60.0]
    assert done == (made.new, [], {}, False)
    assert account.created == 4
    assert set(account.droplets) == {droplet.id for droplet in made.new}
    assert crew.look_again(done) == done  # there is nothing to wait for
    assert pauses == [60.0]
    # the second ones are paid for, too
    assert crew.cost().usd == pytest.approx(4 * 0.03571)
    assert orphans(crew) == []


def test_an_order_that_was_given_up_and_comes_late(account: Double, crew: Crew):
    account.control({"faults": [{"match": "POST droplets", "status": 503, "times": 99}]})
    offer = crew.offer(2, "llama-worker", SIZE, REGION)
    made = crew.create(["a", "b"], offer, "bns-o3-H1", patience_s=0.5)
    assert sorted(made.missing) == ["a", "b"]
    account.control({"faults": [], "droplets": [{"name": "a", "tags": ["llama"]}]})
    # whoever has not waited for it
    assert [why for _, why in orphans(crew)] == ["ordered from here, came after it was given up"]
    done = Crew(load(), crew.cloud, lambda seconds: None).look_again(made)
    assert ([d.name for d in done.new], sorted(done.missing)) == (["a"], ["b"])
    assert crew.cost().usd_of_study["bns-o3-H1"] > 0
    assert orphans(crew) == []
    # twins that nobody has looked for are named as what they are, entered or not
    account.control({"droplets": [{"name": "a", "tags": ["llama"]}]})
    twice = "another droplet has the same name, it was ordered twice"
    assert [why for _, why in orphans(crew)] == [twice]
    crew.reconcile()
    assert crew.cost().droplets == 2
    assert [why for _, why in orphans(crew)] == [twice]


def test_the_account_is_asked_before_an_order(account: Double, crew: Crew):
    account.control({"droplets": [{"name": f"web{n}"} for n in range(20)]})  # without the tag
    with pytest.raises(OverBudgetError, match="the account may have only 5 more droplets"):
        crew.offer(6, "llama-worker", SIZE, REGION)
    crew.offer(5, "llama-worker", SIZE, REGION)
    account.status, account.status_message = "locked", "Please update  your\nbilling"
    with pytest.raises(OverBudgetError, match=r"locked this account \(Please update your billing"):
        crew.offer(1, "llama-worker", SIZE, REGION)
    assert account.created == 20


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        ("llama-{08..10}", ["llama-08", "llama-09", "llama-10"]),
        ("a{2..1}b{7..7}", ["a2b7", "a1b7"]),
        ("a{9..10}", ["a9", "a10"]),
        ("a{1..010}", [f"a{n:03}" for n in range(1, 11)]),
        ("a{x..y}", ["a{x..y}"]),
        ("llama-0", ["llama-0"]),
    ],
)
def test_ranges_are_those_of_bash(typed: str, wanted: list[str]):
    assert expand(typed) == wanted
    printed = subprocess.run(["bash", "-c", f"echo {typed}"], capture_output=True, text=True)
    if "x" not in typed:
        assert printed.stdout.split() == wanted


@pytest.mark.parametrize("typed", ["a{0..999999999}", "a{0..9999}-{0..9999}", "a" + "{0..9}" * 20])
def test_a_range_without_end_is_refused(typed: str):
    with pytest.raises(LlamaError, match="is more than 10,000 names"):
        expand(typed)
