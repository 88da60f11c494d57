"""The one source of every setting: name, type, range, default, and the text the user reads.

Here, and for longer blocks in the modules beside this one that have their names. The docstring
under a field is its comment in `config.yaml` and its row in `docs/settings.md`: meaning, unit in
brackets, when to change it. `python -m llama.settings --write` renews both.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from llama.settings.background import Background
from llama.settings.block import Block, Count, Name, Number, Place, SlackChannel, absolute
from llama.settings.fleet import Fleet, Spaces
from llama.settings.publish import Publish
from llama.settings.search import AlertRates, Grb, Search


def data_home() -> Path:
    """Return the standard output directory: `$XDG_DATA_HOME/llama`, else `~/.local/share/llama`."""
    given = Path(os.environ.get("XDG_DATA_HOME", ""))
    # the XDG standard: a relative value is to be ignored
    return (given if given.is_absolute() else Path.home() / ".local" / "share") / "llama"


OutputDirectory = Annotated[
    Path,
    BeforeValidator(lambda value: data_home() if value is None else absolute(value)),
    PlainSerializer(lambda path: None if path == data_home() else str(path)),
    WithJsonSchema({"type": ["string", "null"], "default": None}),
]


class Events(Block):
    """Which events are kept up to date."""

    tracked_newest: Count = Field(default=40, ge=0, le=10_000)
    """How many of the newest event directories plain `snakemake` keeps up to date. Raise it to have
    older events remade; each one makes every run a little longer."""
    new_event_flags: Literal["TRIGGERED_TEST", "TRIGGERED_INTERNAL", "TRIGGERED_PUBLIC"] = (
        "TRIGGERED_TEST"
    )
    """Flags of an event whose alert was heard: "TRIGGERED_TEST" may send nothing to anybody,
    "TRIGGERED_INTERNAL" only to IceCube, "TRIGGERED_PUBLIC" to everybody; the last two are
    observations, which mock and test events never become."""


RELEASE_DOI = {"icetracks-dr2": "10.7910/DVN/MMIIZA", "icecube-10-year": "10.7910/DVN/VKL316"}


ICECUBE = "icecube"  # the detector that settings without detectors mean


class NeutrinoDetector(Block):
    """One detector of a network."""

    archive: Name
    """Name of the archive with its area, its background and its point spread."""
    rate_hz: Number | None = Field(default=None, gt=0, le=1e3)
    """All-sky rate of its background neutrinos [Hz]; null: of its archive, of IceCube also as for
    search.ratebgnu."""
    nu_51_100: Number | None = Field(default=None, gt=0, le=1e6)
    """Neutrinos that it expects from 1e51 erg at 100 Mpc, averaged over the sky; null: from its
    area."""


DetectorName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]{0,15}$")]


class Neutrinos(Block):
    """Where neutrinos come from."""

    archive: Name = "icecube_10year_ps"
    """Name of the archive that gives neutrinos, their background and the effective area; made by
    `llama neutrinos import PATH --name NAME`, listed by `llama neutrinos show`."""
    source: dict[Name, dict[str, object]] = Field(
        default_factory=dict, examples=[{"archive": {}, "gcn": {}}]
    )
    """Sources that the neutrinos of an event are taken from, the first first, each with its
    options; {} takes the archive alone. Kinds and options are in docs/neutrinos.md. Each is a line
    like gcn: {}."""
    detectors: dict[DetectorName, NeutrinoDetector] = Field(
        default_factory=dict,
        examples=[{"icecube": {"archive": "icetracks-dr2"}, "arca": {"archive": "arca230"}}],
    )
    """Detectors in one likelihood, each with its archive; {} means IceCube alone, with the archive
    above. Each is a line like arca: {archive: arca230}, perhaps with rate_hz and nu_51_100
    (docs/neutrinos.md, Several detectors). Their sources have detector: arca in their lines."""
    effective_area_season: Name | None = Field(default=None, examples=["IC86_II"])
    """Season of the release whose effective area is used, such as "IC86_II"; null takes that of the
    newest season whose events are imported. Takes effect when an archive is imported."""
    data_host: str = Field(
        default="https://dataverse.harvard.edu",
        pattern=r"^(https://|http://(localhost|127\.0\.0\.1)[:/])[^\s?#]*[^\s?#/]$",
    )
    """Dataverse that `llama neutrinos fetch` takes releases from, without a final slash."""
    release_doi: dict[Name, Annotated[str, Field(pattern=r"^10\.\d{4,9}/[A-Za-z0-9./_-]+$")]] = (
        Field(default_factory=lambda: dict(RELEASE_DOI))
    )
    """DOI of each release that `llama neutrinos fetch` knows, by its name there."""

    @property
    def archives(self) -> dict[str, str]:
        """Name of each detector's archive, by the names of the detectors."""
        named = {name: self.detectors[name].archive for name in sorted(self.detectors)}
        return named or {ICECUBE: self.archive}


class GraceDB(Block):
    """The data base of gravitational-wave candidates."""

    service_url: str = Field(
        default="https://gracedb.ligo.org/api/",
        pattern=r"^(https://|http://(localhost|127\.0\.0\.1)[:/])\S*/$",
    )
    """Root of the API, with the final slash. The playground, for tests, is
    https://gracedb-playground.ligo.org/api/."""


TOPICS = [
    "igwn.gwalert",
    "gcn.notices.icecube.gold_bronze_track_alerts",
    "gcn.notices.icecube.lvk_nu_track_search",
    "gcn.classic.voevent.ICECUBE_ASTROTRACK_GOLD",
    "gcn.classic.voevent.ICECUBE_ASTROTRACK_BRONZE",
    "gcn.classic.voevent.ICECUBE_CASCADE",
    "gcn.notices.km3net.alert",
    "gcn.notices.fermi.gbm",
    "gcn.classic.voevent.FERMI_GBM_FLT_POS",
    "gcn.classic.voevent.FERMI_GBM_GND_POS",
    "gcn.classic.voevent.FERMI_GBM_FIN_POS",
    "gcn.classic.voevent.FERMI_GBM_SUBTHRESH",
    "gcn.classic.voevent.SWIFT_BAT_GRB_POS_ACK",
    "gcn.notices.swift.bat.guano",
    "gcn.notices.einstein_probe.wxt.alert",
    "gcn.notices.svom.voevent.grm",
    "gcn.notices.svom.voevent.eclairs",
]


class Listen(Block):
    """What `llama listen gcn` hears. Client id and secret, made at https://gcn.nasa.gov/quickstart,
    are no settings: they come from GCN_CLIENT_ID and GCN_CLIENT_SECRET, or from systemd."""

    domain: Literal["gcn.nasa.gov", "test.gcn.nasa.gov"] = "gcn.nasa.gov"
    """Which GCN; test.gcn.nasa.gov is its rehearsal, with a client id of its own."""
    topics: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{1,249}$")]] = Field(
        default_factory=lambda: list(TOPICS), min_length=1, max_length=1000
    )
    """Topics that are archived and given to `llama run`; those that GCN does not have do no harm.
    The heartbeat is always heard. Add to them what else the archive shall hold."""
    group_id: Name | None = Field(default=None, examples=["llama-site-b"])
    """Name under which GCN remembers what has been heard; null means llama-HOSTNAME. Two listeners
    of one name would get half of the records each. Set it where the host's name changes."""
    heartbeat_silence_s: Number = Field(default=300.0, ge=1, le=86_400)
    """Alarm when GCN's heartbeat, one a second, has been silent for so long [s]."""
    alert_silence_h: Number | None = Field(default=6.0, gt=0, le=10_000, examples=[24.0])
    """Alarm when igwn.gwalert has been silent for so long [h]; it has a mock alert every hour.
    null disables the alarm, e.g. between observing runs."""
    health_port: Count | None = Field(default=None, ge=1024, le=65_535, examples=[8099])
    """Port on this machine where monitoring can read /healthz; null opens none."""
    alarm_slack: SlackChannel | None = Field(default=None, examples=["C0123456789"])
    """Slack channel for alarms: when the listener is not well, or the fleet's head cannot look
    after its droplets, and when that is over. The token comes from SLACK_TOKEN. null: none."""


class Settings(Block):
    """Every setting of LLAMA."""

    output_dir: OutputDirectory = Field(default_factory=data_home)
    """Where events, studies, archives and logs live: an absolute path, or one that starts with ~.
    null means $XDG_DATA_HOME/llama, else ~/.local/share/llama. Change it to use another disk."""
    events: Events = Field(default_factory=Events)
    search: Search = Field(default_factory=Search)
    grb: Grb = Field(default_factory=Grb)
    alert_rates: AlertRates = Field(default_factory=AlertRates)
    neutrinos: Neutrinos = Field(default_factory=Neutrinos)
    gracedb: GraceDB = Field(default_factory=GraceDB)
    listen: Listen = Field(default_factory=Listen)
    publish: Publish = Field(default_factory=Publish)
    background: Background = Field(default_factory=Background)
    fleet: Fleet = Field(default_factory=Fleet)
    spaces: Spaces = Field(default_factory=Spaces)

    def search_parameters(self) -> dict[str, Any]:
        """Return the block `search` as a plain dict, for `params` and outputs.

        `real_time`: whether neutrinos of other streams than the archive are asked for, of IceCube.
        `detectors`: those of a network, by name.
        """
        real_time = any(
            options.get("kind", name) != "archive"
            for name, options in self.neutrinos.source.items()
            if options.get("detector", ICECUBE) == ICECUBE
        )
        search = self.search.model_dump(mode="json") | {"real_time": real_time}
        if named := self.neutrinos.detectors:
            search["detectors"] = {name: named[name].model_dump() for name in sorted(named)}
        return search


def block_of(model: type[Block], name: str) -> type[Block] | None:
    """Return the block class behind field `name` of `model`, or None for a plain value."""
    annotation = model.model_fields[name].annotation
    if isinstance(annotation, type) and issubclass(annotation, Block):
        return annotation
    return None


def block_at(place: Place) -> type[Block] | None:
    """Return the block class at `place`, or None for a plain value."""
    model: type[Block] | None = Settings
    for name in place:
        model = block_of(model, name) if model else None
    return model


def leaves(model: type[Block] = Settings, above: Place = ()) -> Iterator[Place]:
    """Yield the place of every setting, in the order of `config.yaml`."""
    for name in model.model_fields:
        block, place = block_of(model, name), (*above, name)
        if block:
            yield from leaves(block, place)
        else:
            yield place
