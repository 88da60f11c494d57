"""llama.fleet.cloud against the double: whole lists or none, retries, errors without the token."""

import logging
import time
import traceback

import pytest
from do_double import Cloud as Double
from shell import TOKEN

from llama.errors import LlamaError
from llama.fleet import connection
from llama.fleet.cloud import Cloud
from llama.fleet.connection import (
    BusyError,
    CloudError,
    DropletLimitError,
    ForbiddenError,
    NotFoundError,
    PassingError,
    RefusedError,
)
from llama.fleet.records import Droplet, Order

EVERYTHING = r"\w+ "


@pytest.fixture
def cloud(account: Double, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    monkeypatch.setattr(connection, "ANSWER_WITHIN_S", 0.3)
    return Cloud(TOKEN, patience_s=60.0)


@pytest.fixture
def hasty(cloud: Cloud) -> Cloud:
    """One that gives up after the first attempt."""
    return Cloud(TOKEN, patience_s=0.0)


def order(cloud: Cloud, *names: str, user_data: str = "") -> list[Droplet]:
    image = cloud.image("llama-worker", "nyc3")
    keys = cloud.ssh_keys()
    return cloud.create(
        Order([*names], image.id, "s-1vcpu-1gb", "nyc3", keys, ["llama"], user_data or None)
    )


def test_droplets(account: Double, cloud: Cloud):
    made = order(cloud, "a", "b")
    account.control({"droplets": [{"name": "other"}]})
    assert [d.name for d in made] == ["a", "b"]
    assert made[0].status == "new"
    assert sorted(d.name for d in cloud.droplets()) == ["a", "b", "other"]
    assert {d.name for d in cloud.droplets("llama")} == {"a", "b"}
    time.sleep(0.3)
    (seen,) = (d for d in cloud.droplets() if d.id == made[0].id)
    assert (seen.status, seen.size, seen.region) == ("active", "s-1vcpu-1gb", "nyc3")
    assert (seen.image, seen.tags) == ("llama-worker", ("llama",))
    assert seen.price_hourly_usd == 0.00893
    assert seen.ip.startswith("127.77.")
    assert list(account.keys) == account.droplets[seen.id]["_keys"]
    cloud.destroy(seen.id)
    cloud.destroy(seen.id)  # it is gone, as was wanted
    assert account.deleted == 1
    assert seen.id not in {d.id for d in cloud.droplets()}


@pytest.mark.parametrize("count", [0, 200, 201, 450])
def test_lists_are_whole(account: Double, cloud: Cloud, count: int):
    account.control({"droplets": [{"name": f"n{i}"} for i in range(count)]})
    assert len({d.id for d in cloud.droplets()}) == count


def test_a_page_that_fails_is_no_end(account: Double, cloud: Cloud, hasty: Cloud):
    account.control({"droplets": [{"name": f"n{i}"} for i in range(450)]})
    for fault in (
        {"status": 503}, {"status": 429, "headers": {"Retry-After": "0"}}, {"cut": True},
        {"lose": True}, {"before_s": 0.5}, {"status": 200, "body": "{}"},
    ):  # fmt: skip
        page = {"match": "GET droplets/?.*page=2", **fault}
        account.control({"faults": [page]})
        with pytest.raises(PassingError):
            hasty.droplets()
        account.control({"faults": [page]})
        assert len(cloud.droplets()) == 450


def test_a_list_that_changes_is_read_again(account: Double, cloud: Cloud):
    account.control({"droplets": [{"name": f"n{i}"} for i in range(201)]})
    first = account.droplets[min(account.droplets)]

    # between the pages the first droplet goes, and the 201st slides onto page 1
    def slip() -> None:
        account.delete(first["id"])

    inner = account.fault

    def fault(request: str):
        if "page=2" in request and first["id"] in account.droplets:
            slip()
        return inner(request)

    account.fault = fault  # type: ignore[method-assign]
    assert len(cloud.droplets()) == 200


@pytest.mark.parametrize(
    ("fault", "problem", "said"),
    [
        ({"status": 403}, ForbiddenError, "write access"),
        # no total: how much there is nobody knows
        ({"status": 200, "body": '{"droplets": [], "meta": {}}'}, PassingError, "no total"),
        # half of a droplet
        (
            {"status": 200, "body": '{"droplets": [{"id": 1}], "meta": {"total": 1}}'},
            PassingError,
            "holds no droplets; try again",
        ),
        ({"status": 404}, NotFoundError, "list it again"),
        ({"status": 400}, CloudError, "answers 400"),
        ({"status": 422}, RefusedError, "refuses this"),
        ({"status": 429, "headers": {"Retry-After": "600"}}, BusyError, "in 10 minutes"),
        ({"status": 500}, PassingError, "out of order .500"),
        ({"status": 503, "body": "<html>busy</html>"}, PassingError, "out of order .503"),
        ({"status": 500, "body": "[]"}, PassingError, "out of order .500"),
        ({"status": 500, "body": '{"message": "x"}'}, PassingError, "out of order .500"),
        ({"status": 200, "body": "[1]"}, PassingError, "again later"),
        ({"before_s": 0.5}, PassingError, "did not answer in time"),
        ({"lose": True}, PassingError, "is away"),
        ({"cut": True}, PassingError, "try again later"),
    ],
)
def test_errors(account: Double, hasty: Cloud, fault, problem, said):
    account.control({"faults": [{"match": EVERYTHING, **fault}]})
    with pytest.raises(problem, match=said):
        hasty.droplets()


def test_no_server(account: Double, hasty: Cloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DIGITALOCEAN_END_POINT", "http://127.0.0.1:9/v2/")
    with pytest.raises(PassingError, match="is away"):
        hasty.droplets()


def test_a_file_of_certificates_that_is_gone(hasty: Cloud, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DIGITALOCEAN_END_POINT", "https://127.0.0.1:9/v2/")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/gone.pem")
    with pytest.raises(CloudError, match=r"/gone\.pem; correct or unset REQUESTS_CA_BUNDLE"):
        hasty.droplets()


def test_wrong_token(account: Double):
    with pytest.raises(CloudError, match="does not know this token") as error:
        Cloud("another-token", patience_s=0).droplets()
    assert "another-token" not in str(error.value)


@pytest.mark.parametrize(
    "faults",
    [
        [{"status": 500, "times": 2}],
        [{"status": 429, "times": 3, "headers": {"Retry-After": "0"}}, {"lose": True}],
        [{"cut": True}, {"before_s": 0.5}, {"status": 503}],
    ],
)
def test_patience(account: Double, cloud: Cloud, faults):
    account.control({"droplets": [{"name": "a"}]})
    (droplet,) = account.droplets
    account.control({"faults": [{"match": EVERYTHING, **fault} for fault in faults]})
    assert [d.id for d in cloud.droplets()] == [droplet]
    account.control({"faults": [{"match": EVERYTHING, **fault} for fault in faults]})
    cloud.destroy(droplet)
    assert account.droplets == {}


@pytest.mark.parametrize(
    "headers", [{"Retry-After": "17"}, {"Retry-After": "soon", "Ratelimit-Reset": "in 17 s"}]
)
def test_the_api_says_how_long_to_wait(
    account: Double, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str]
):
    if "Ratelimit-Reset" in headers:
        headers = headers | {"Ratelimit-Reset": str(time.time() + 17)}
    naps: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", lambda s: s and naps.append(s))
    busy = {"match": EVERYTHING, "status": 429, "headers": headers}
    account.control({"faults": [busy]})
    Cloud(TOKEN, patience_s=100).droplets()
    assert len(naps) == 1
    assert 10 <= naps[0] <= 17
    account.control({"faults": [busy]})
    with pytest.raises(BusyError):  # not within its patience
        Cloud(TOKEN, patience_s=5).droplets()
    assert len(naps) == 1


def test_over_the_rate(account: Double, cloud: Cloud):
    account.control({"rate_limit": {"burst": 2, "window": 1}})
    for _ in range(5):
        cloud.droplets()


def test_orders_are_sent_once(account: Double, cloud: Cloud):
    for fault in ({"status": 500}, {"lose": True}, {"before_s": 0.5}, {"status": 429}):
        account.control({"faults": [{"match": "POST droplets", **fault}], "clear_log": True})
        with pytest.raises(PassingError):
            order(cloud, "a")
        assert sum(line.startswith("POST") for line in account.log) == 1


def test_refused_orders(account: Double, cloud: Cloud):
    account.droplet_limit = 1
    with pytest.raises(DropletLimitError, match="droplet limit"):
        order(cloud, "a", "b")
    with pytest.raises(RefusedError, match="hostname characters"):
        order(cloud, "a_b")
    assert account.created == 0


def test_images(account: Double, cloud: Cloud):
    first, second = (account.add_image("bns o3")["id"] for _ in range(2))
    assert cloud.image("bns o3", "nyc3").id == second  # the newest
    assert cloud.image(str(first), "nyc3").id == first
    assert cloud.image("debian-12-x64", "ams3").name == "debian-12-x64"
    assert [image.name for image in cloud.snapshots()] == ["bns o3", "bns o3", "llama-worker"]
    with pytest.raises(CloudError, match="not in ams3 but in nyc3"):
        cloud.image("bns o3", "ams3")
    for name in ("nothing", "../droplets", "a/b?c"):
        with pytest.raises(CloudError, match="no snapshot or public image is called"):
            cloud.image(name, "nyc3")


def test_sizes(cloud: Cloud):
    assert cloud.size("s-2vcpu-4gb", "nyc3").price_hourly_usd == 0.03571
    with pytest.raises(CloudError, match="choose one of s-1vcpu-1gb, s-2vcpu-4gb"):
        cloud.size("huge", "nyc3")
    with pytest.raises(CloudError, match="no region moon"):
        cloud.size("s-2vcpu-4gb", "moon")


@pytest.mark.parametrize("url", ["http://192.0.2.1/v2/", "http://example.org/v2/", "file:///etc"])
def test_the_token_never_travels_in_clear(monkeypatch: pytest.MonkeyPatch, url: str):
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("DIGITALOCEAN_END_POINT", url)
        with pytest.raises(LlamaError, match="in clear"):
            Cloud(TOKEN)


def test_errors_never_show_the_token(account: Double, hasty: Cloud, caplog):
    caplog.set_level(logging.DEBUG)
    for status in (400, 401, 403, 404, 422, 429, 500, 200):
        body = f'{{"id": "{TOKEN}", "message": "Bearer {TOKEN} is not liked"}}'
        body = body if status != 200 else f"{TOKEN} {body}"
        fault = {"match": EVERYTHING, "status": status, "body": body}
        account.control({"faults": [fault]})
        with pytest.raises(CloudError) as error:
            hasty.droplets()
        shown = "".join(traceback.format_exception(error.value))
        assert TOKEN not in shown
    assert "GET http" in caplog.text  # the library's own log is there, and has been looked at
    assert TOKEN not in caplog.text
