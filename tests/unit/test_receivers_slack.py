"""Slack's own client finds in the double what it finds at Slack."""

import ssl
from collections.abc import Iterator

import pytest
from https_server import ca_file
from receivers import TOKEN, SlackDouble, slack_server
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError

CHANNEL = "C0123456789"


@pytest.fixture
def slack() -> Iterator[tuple[WebClient, SlackDouble, str]]:
    with slack_server() as (server, double):
        url = f"{server.url}/api/"
        context = ssl.create_default_context(cafile=ca_file())
        yield WebClient(TOKEN, base_url=url, ssl=context, retry_handlers=[]), double, url


def test_messages_threads_and_pages(slack: tuple[WebClient, SlackDouble, str]) -> None:
    client, _, _ = slack
    about = {"event_type": "llama_publication", "event_payload": {"key": "k0"}}
    first = client.chat_postMessage(channel=CHANNEL, text="0", metadata=about)
    for number in range(1, 5):
        client.chat_postMessage(channel=CHANNEL, text=str(number))
    client.chat_postMessage(channel=CHANNEL, text="reply", thread_ts=first["ts"])
    pages = client.conversations_history(channel=CHANNEL, oldest="0", include_all_metadata=True)
    found = [message for page in pages for message in page["messages"]]  # turns pages by itself
    assert [message["text"] for message in found] == ["4", "3", "2", "1", "0"]
    assert found[-1]["metadata"] == about
    replies = client.conversations_replies(channel=CHANNEL, ts=first["ts"], oldest="0")
    assert [message["text"] for page in replies for message in page["messages"]] == ["0", "reply"]


def test_a_file_is_uploaded(slack: tuple[WebClient, SlackDouble, str]) -> None:
    client, double, _ = slack
    client.files_upload_v2(channel=CHANNEL, content="figure", filename="a.txt", title="a.txt")
    (file,) = double.files.values()
    assert (file["name"], file["content"]) == ("a.txt", b"figure")
    (message,) = double.messages
    assert [one["name"] for one in message["files"]] == ["a.txt"]


def test_what_slack_refuses(slack: tuple[WebClient, SlackDouble, str]) -> None:
    client, _, url = slack
    stranger = WebClient("xoxb-else", base_url=url, ssl=client.ssl, retry_handlers=[])
    with pytest.raises(SlackApiError, match="invalid_auth"):
        stranger.chat_postMessage(channel=CHANNEL, text="x")
