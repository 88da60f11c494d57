"""The double answers what the real API does, as far as python-digitalocean's own tests record it.

Its sdist (1.17.0) has no tests; the keys below are those of the files in digitalocean/tests/data
of its repository, each named, as found at various commits up to that release. A key that is missing
in the double would let code pass that the real cloud breaks.
"""

import json
import os
import urllib.error
import urllib.request
from typing import Any

import digitalocean
import pytest
from do_double import Cloud
from shell import TOKEN

DROPLET = {
    "id", "name", "memory", "vcpus", "disk", "locked", "status", "kernel", "created_at", "features",
    "backup_ids", "snapshot_ids", "image", "size_slug", "networks", "region",
}  # fmt: skip
IMAGE = {"id", "name", "distribution", "slug", "public", "regions", "created_at"}
ACTION = {
    "id", "status", "type", "started_at", "completed_at", "resource_id", "resource_type", "region",
}  # fmt: skip
LISTS = {
    "droplets": DROPLET,  # droplets/all.json
    "images": IMAGE | {"min_disk_size"},  # images/all.json, droplets/all.json
    "snapshots": {  # snapshots/droplets.json
        "id", "name", "regions", "created_at", "resource_id", "resource_type", "min_disk_size",
        "size_gigabytes",
    },
    "sizes": {  # sizes/all.json
        "slug", "memory", "vcpus", "disk", "transfer", "price_monthly", "price_hourly", "regions",
    },
    "account/keys": {"id", "fingerprint", "public_key", "name"},  # keys/all.json
}  # fmt: skip
ORDER = {"image": "debian-12-x64", "size": "s-1vcpu-1gb", "region": "nyc3"}


def ask(path: str, body: Any = None, token: str = TOKEN, method: str | None = None) -> Any:
    request = urllib.request.Request(  # noqa: S310
        os.environ["DIGITALOCEAN_END_POINT"] + path,
        None if body is None else json.dumps(body).encode(),
        {"Authorization": f"Bearer {token}"},
        method=method,
    )
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310
            return answer.status, json.loads(answer.read() or b"null"), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


@pytest.mark.parametrize("path", LISTS)
def test_lists(account: Cloud, path: str):
    ask("droplets", ORDER | {"name": "a", "tags": ["web"]})
    status, answer, headers = ask(path)
    assert status == 200
    (key,) = set(answer) - {"links", "meta"}
    assert answer["meta"] == {"total": len(answer[key])}
    assert all(LISTS[path] <= set(item) for item in answer[key])
    assert int(headers["Ratelimit-Remaining"]) < int(headers["Ratelimit-Limit"]) == 5000


def test_orders_and_actions(account: Cloud):
    # droplet_actions/create.json, create_multiple.json
    status, answer, _ = ask("droplets", ORDER | {"name": "a"})
    assert status == 202
    assert set(answer["droplet"]) >= DROPLET
    assert answer["droplet"]["status"] == "new"
    status, answer, _ = ask("droplets", ORDER | {"names": ["b", "c"], "tags": ["web"]})
    assert [d["name"] for d in answer["droplets"]] == ["b", "c"]
    assert answer["droplets"][0]["tags"] == ["web"]
    assert {"id", "rel", "href"} <= set(answer["links"]["actions"][0])
    # droplet_actions/snapshot.json, actions/create_completed.json
    ident = answer["droplets"][0]["id"]
    status, made, _ = ask(f"droplets/{ident}/actions", {"type": "snapshot", "name": "s"})
    assert status == 201
    for action in (made, ask(f"actions/{made['action']['id']}")[1]):
        assert set(action["action"]) >= ACTION
    # account/account.json
    keys = {"droplet_limit", "email", "uuid", "email_verified", "status", "status_message"}
    assert keys <= set(ask("account")[1]["account"])
    # balance/balance.json: amounts are texts
    balance = ask("customers/my/balance")[1]
    amounts = {"month_to_date_balance", "account_balance", "month_to_date_usage"}
    assert set(balance) == amounts | {"generated_at"}
    assert all(isinstance(balance[name], str) for name in amounts)


def test_refusals(account: Cloud):
    # errors/unauthorized.json
    wanted = {"id": "unauthorized", "message": "Unable to authenticate you."}
    assert ask("droplets", token="other")[:2] == (401, wanted)  # noqa: S106
    assert ask("droplets/1")[0] == 404
    assert ask("droplets/1", method="DELETE")[0] == 404
    for wrong in (
        {"names": [f"n{i}" for i in range(11)]}, {"name": "a_b"}, {"name": "a", "image": "none"},
        {"name": "a", "size": "huge"}, {"name": "a", "region": "moon"}, {},
        {"names": [f"n{i}" for i in range(10)], "user_data": "x" * 65537},
    ):  # fmt: skip
        status, answer, _ = ask("droplets", ORDER | wrong)
        assert (status, set(answer)) == (422, {"id", "message"})
    assert account.created == 0


def test_pages(account: Cloud):
    account.droplet_limit = 100
    for start in range(0, 30, 10):
        ask("droplets", ORDER | {"names": [f"n{i}" for i in range(start, start + 10)]})
    _, first, _ = ask("droplets?per_page=20")
    assert len(first["droplets"]) == 20
    assert "page=2" in first["links"]["pages"]["next"]
    _, last, _ = ask("droplets?per_page=20&page=2")
    assert (len(last["droplets"]), last["links"]["pages"]) == (10, {})


def test_the_library_reads_it(account: Cloud):
    manager = digitalocean.Manager(token=TOKEN)
    droplet = digitalocean.Droplet(
        token=TOKEN, name="a", region="nyc3", image="debian-12-x64", size_slug="s-1vcpu-1gb"
    )
    droplet.create()
    action = manager.get_action(droplet.action_ids[0])
    assert action.type == "create"
    assert action.wait(update_every_seconds=0.05)
    (seen,) = manager.get_all_droplets()
    assert (seen.name, seen.status, seen.ip_address) == ("a", "active", droplet.load().ip_address)
    assert [image.name for image in manager.get_my_images()] == ["llama-worker"]
    assert manager.get_all_sizes()[0].price_hourly > 0
    assert len(manager.get_all_sshkeys()) == 1
    assert seen.destroy()
    assert manager.get_all_droplets() == []


def test_the_library_takes_a_part_for_the_whole(account: Cloud):
    """Why `llama.fleet.cloud` walks the pages itself: it fails when the library has learnt it."""
    account.control({"droplets": [{"name": f"n{i}"} for i in range(250)]})
    account.control({"faults": [{"match": r"GET droplets/?\?.*page=2", "status": 503}]})
    assert len(digitalocean.Manager(token=TOKEN).get_all_droplets()) == 200
