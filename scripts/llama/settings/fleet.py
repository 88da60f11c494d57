"""Settings of the fleet: droplets, what they may cost, and the store they share."""

from pydantic import Field

from llama.settings.block import AbsolutePath, Block, Count, Name, Number


class Fleet(Block):
    """Droplets that background studies run on, and what they may cost. Prices are DigitalOcean's,
    asked for when droplets are made; every started hour is counted whole."""

    tag: Name = "llama"
    """Tag of the fleet's droplets; droplets without it are never controlled, counted or reaped.
    Change it when two fleets share one account."""
    image: str = Field(default="debian-12-x64", min_length=1, max_length=255)
    """Snapshot, or public image, that droplets are made from when `-i` does not name one."""
    size: Name = "s-2vcpu-4gb"
    """Size of a droplet, by DigitalOcean's name."""
    region: Name = "nyc3"
    """Data centre of the droplets; the snapshot must be there."""
    max_droplets: Count = Field(default=100, ge=0, le=10_000)
    """Most droplets of the fleet at one time. This and the other limits count what this output
    directory ordered (`fleet/ledger.jsonl`) and every droplet that has the fleet's tag at the time
    of the check: they hold for one output directory, not for an account that several share."""
    max_hours: Number = Field(default=48.0, gt=0, le=8760)
    """Longest life of a droplet [h]. No droplet is made while an older one is there, and
    `llama com do --reap` offers to destroy it."""
    max_usd_per_day: Number = Field(default=50.0, ge=0, le=1e6)
    """Most that may be spent in any 24 hours [USD]; droplets that would exceed it within their
    first hour are not made."""
    max_usd_per_study: Number = Field(default=200.0, ge=0, le=1e6)
    """Most that one study may cost [USD]."""
    silent_minutes: Number = Field(default=20.0, gt=0, le=1440)
    """A worker that cannot reach the head for so long powers itself off [min]. DigitalOcean goes on
    charging for it until it is destroyed, see `llama com do --reap`."""


class Spaces(Block):
    """DigitalOcean's object store, which the fleet shares, or another that speaks S3. Keys are not
    settings: they are in `credentials_file`."""

    bucket: str | None = Field(
        default=None, pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", examples=["llama"]
    )
    """Bucket (a Space) for inputs and results of the fleet. It must exist: LLAMA never makes one,
    nor deletes one."""
    endpoint_url: str = Field(
        default="https://nyc3.digitaloceanspaces.com",
        pattern=r"^(https://[A-Za-z0-9.-]+|http://(127|10)(\.[0-9]+){3})(:[0-9]+)?$",
    )
    """Where the bucket is; take the data centre of `fleet.region`."""
    credentials_file: AbsolutePath | None = None
    """File with the keys, as Amazon's tools write it ([default], aws_access_key_id,
    aws_secret_access_key), which only you may read (mode 600); null means
    ~/.config/llama/spaces-credentials."""
