"""Answers of receivers that say nothing, or more than they should."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import receivers
from https_server import Answer
from publish_samples import make_event
from publish_sites import SITES, Site, SlackSite, WebhookSite

from llama.errors import LlamaError
from llama.publish import outbox
from llama.publish.deliver import sentence


@pytest.fixture(params=[SlackSite, WebhookSite], ids=lambda site: site.name)
def site(request: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("SLACK_TOKEN", receivers.TOKEN)
    monkeypatch.setattr("llama.web.PAUSE_S", 0.001)
    with SITES[request.param]() as (server, double):
        monkeypatch.setenv("SLACK_API_URL", f"{server.url}/api/")
        yield request.param(server, double)


@pytest.fixture
def event(tmp_path: Path) -> Path:
    return make_event(tmp_path / "current_run")


@pytest.mark.parametrize("identity", ["", True, None, 1.5, ["x"]])
@pytest.mark.parametrize("site", [WebhookSite], indirect=True)
def test_what_is_no_id_is_no_receipt(
    site: Site, event: Path, identity: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.spoil("/hook", [Answer(200, {"id": identity})])
    with pytest.raises(LlamaError, match="answered without an id"):
        site.publish(event)
    monkeypatch.setattr(outbox, "SETTLE_S", 0.0)
    assert site.publish(event).status == "sent"
    assert len(site.arrived()) == 1


@pytest.mark.parametrize("site", [WebhookSite], indirect=True)
def test_an_id_moves_nothing_on_a_terminal(site: Site, event: Path) -> None:
    site.spoil("/hook", [Answer(200, {"id": "\x1b[31m7\n\ud800"})])
    receipt = site.publish(event)
    assert receipt.remote_id == r"\x1b[31m7\n\ud800"
    assert sentence(receipt).isprintable()


@pytest.mark.parametrize("site", [SlackSite], indirect=True)
def test_a_gateway_of_slack_does_not_say_that_nothing_was_sent(site: Site, event: Path) -> None:
    site.spoil("/chat.postMessage", [Answer(502, {"ok": False, "error": "bad_gateway"})])
    with pytest.raises(LlamaError, match="bad_gateway"):
        site.publish(event)
    with pytest.raises(LlamaError, match="run the same command again in"):  # it may come yet
        site.publish(event)


@pytest.mark.parametrize("site", [SlackSite], indirect=True)
def test_slack_cannot_make_us_show_the_token(site: Site, event: Path) -> None:
    site.spoil("/chat.postMessage", [Answer(200, {"error": f"not {receivers.TOKEN}"})])
    with pytest.raises(LlamaError) as caught:
        site.publish(event)
    assert "canary" not in str(caught.value)
