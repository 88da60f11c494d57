"""The settings of publication: for every channel a real destination and one for rehearsals."""

from typing import Annotated

from pydantic import Field, model_validator

from llama.settings.block import AbsolutePath, Block, SlackChannel
from llama.settings.places import place

_LOOPBACK = r"http://(localhost|127\.0\.0\.1)[:/]"
Address = Annotated[str, Field(pattern=r"^[^@\s<>,;\"]+@[A-Za-z0-9.-]+$", max_length=254)]


class Destinations(Block):
    """One destination per channel; null for none."""

    slack: SlackChannel | None = Field(default=None, examples=["C0123456789"])
    """Id of a Slack channel, from its "About" page; the token comes from SLACK_TOKEN."""
    gracedb: str | None = Field(
        default=None,
        pattern=rf"^(https://|{_LOOPBACK})[^\s@]*/$",
        examples=["https://gracedb-playground.ligo.org/api/"],
    )
    """Root of a GraceDB's API, with the final slash; the result is uploaded to the superevent's
    log. The token comes from GRACEDB_TOKEN, or is found as IGWN's tools do."""
    gcn: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$",
        max_length=200,
        examples=["gcn.notices.llama"],
    )
    """Prefix of a topic of GCN's Kafka; notices go to PREFIX.lvk_nu_track_search. Client id and
    secret come from GCN_CLIENT_ID and GCN_CLIENT_SECRET and must be allowed to write there."""
    webhook: str | None = Field(
        default=None,
        pattern=rf"^(https://|{_LOOPBACK})[^\s@]+$",
        examples=["https://example.org/llama"],
    )
    """Address that results are posted to as JSON, and where they can be asked for
    (docs/publishing.md); a token comes from LLAMA_WEBHOOK_TOKEN."""
    icecube: AbsolutePath | None = Field(
        default=None, examples=["/data/llama"], json_schema_extra={"type": ["string", "null"]}
    )
    """Directory in which IceCube's combination script looks for significance files."""
    circular: Address | None = Field(default=None, examples=["circulars@gcn.nasa.gov"])
    """Address that `llama publish --circular-by-email` writes to; nothing else does."""


class Rehearsal(Destinations):
    """Where everything goes that is not clearly real, once its flag UPLOAD (for icecube
    ICECUBE_UPLOAD) is true; null for none. Never a real destination, however it is spelled."""


class RealDestinations(Destinations):
    """Where real results go: flags ROLE=observation and UPLOAD=true (for icecube
    ICECUBE_UPLOAD=true), unblinded neutrinos, a real alert; null for none."""


class Publish(Block):
    """Who gets results. `llama publish --dry-run` says what would go where, and why not; secrets
    are no settings, they come from the environment or from systemd (docs/publishing.md)."""

    mail_server: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9.-]+:[0-9]{1,5}$", examples=["smtp.example.org:587"]
    )
    """Mail server for circulars, HOST:PORT, with STARTTLS; user and password come from
    LLAMA_MAIL_USER and LLAMA_MAIL_PASSWORD."""
    mail_from: Address | None = Field(default=None, examples=["shift@example.org"])
    """Sender of circulars; GCN takes them only from addresses that may submit."""
    real: RealDestinations = Field(default_factory=RealDestinations)
    test: Rehearsal = Field(default_factory=Rehearsal)

    @model_validator(mode="after")
    def _apart(self) -> "Publish":
        for name in Destinations.model_fields:
            real, test = getattr(self.real, name), getattr(self.test, name)
            if None not in (real, test) and place(name, str(real)) == place(name, str(test)):
                raise ValueError(
                    f"should not have the same {name} for real and test, however it is spelled"
                )
        return self
