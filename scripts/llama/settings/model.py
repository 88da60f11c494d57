"""The one source of every setting: name, type, range, default, and the text the user reads.

The docstring under a field is its comment in `config.yaml` and its row in `docs/settings.md`:
meaning, unit in brackets, when to change it. `python -m llama.settings --write` renews both.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    SerializerFunctionWrapHandler,
    ValidationInfo,
    WithJsonSchema,
    model_serializer,
    model_validator,
)

from llama.settings.block import AbsolutePath, Block, absolute
from llama.settings.publish import Publish


def data_home() -> Path:
    """Return the standard output directory: `$XDG_DATA_HOME/llama`, else `~/.local/share/llama`."""
    given = Path(os.environ.get("XDG_DATA_HOME", ""))
    # the XDG standard: a relative value is to be ignored
    return (given if given.is_absolute() else Path.home() / ".local" / "share") / "llama"


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("should be a number")
    return value


def _artifacts(value: Any) -> str:
    if isinstance(value, str) and value.startswith("s3://"):
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s?#]*)?", value):
            raise ValueError("should look like s3://bucket/prefix")
        return value.rstrip("/")
    return str(absolute(value))


Number = Annotated[float, BeforeValidator(_not_bool)]
Count = Annotated[int, BeforeValidator(_not_bool)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
Artifacts = Annotated[str, BeforeValidator(_artifacts)]
OutputDirectory = Annotated[
    Path,
    BeforeValidator(lambda value: data_home() if value is None else absolute(value)),
    PlainSerializer(lambda path: None if path == data_home() else str(path)),
    WithJsonSchema({"type": ["string", "null"], "default": None}),
]
NoiseModel = Annotated[str, Field(pattern=r"^(/.+|[A-Za-z][A-Za-z0-9]*)$")]
Detector = Annotated[str, Field(pattern=r"^[A-Z][0-9]$")]
SimulationName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*-[a-z][a-z0-9]*$")]
StudyMaps = Annotated[
    Path,
    BeforeValidator(lambda value: Path(value) if value == "simulated" else absolute(value)),
]
StudyName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*-[a-z][a-z0-9]*-([A-Z][0-9])+$")]


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


class AssumedHorizon(Block):
    """Farthest distance assumed when a map tells none, by class [Mpc]. The source is then taken to
    be anywhere within it, uniform in volume, and the result says that its distance is assumed.
    Change with the detectors' sensitivity."""

    bns: Number = Field(default=200.0, gt=0, le=1e5)
    """Two neutron stars [Mpc]."""
    nsbh: Number = Field(default=400.0, gt=0, le=1e5)
    """Neutron star and black hole [Mpc]."""
    bbh: Number = Field(default=2000.0, gt=0, le=1e5)
    """Two black holes [Mpc]."""
    burst: Number = Field(default=100.0, gt=0, le=1e5)
    """Unmodelled burst [Mpc]."""
    cbc: Number = Field(default=500.0, gt=0, le=1e5)
    """Binary of unknown class [Mpc]."""


LOWER_END = {
    "Enumax": "Enumin",
    "tgwplus": "tgwminus",
    "tnuplus": "tnuminus",
    "epsilon_max_gev": "epsilon_min_gev",
    "delay_max_s": "delay_min_s",
}


def _above_its_lower_end(value: float, info: ValidationInfo) -> float:
    lower = LOWER_END[info.field_name or ""]
    if value <= info.data.get(lower, float("-inf")):
        raise ValueError(f"should be greater than {lower} = {info.data[lower]:g}")
    return value


UpperEnd = Annotated[Number, AfterValidator(_above_its_lower_end)]


class Search(Block):
    """The astrophysical model behind the odds ratio, names as published. A change here outdates
    significances and backgrounds, not maps."""

    fb: Number = Field(default=10.0, ge=1, le=1e6)
    """Beaming factor: one source in fb points its neutrinos at us. 1 means isotropic emission."""
    nu_51_100: Number = Field(default=1.1, gt=0, le=1e6)
    """Neutrinos expected from 1e51 erg (isotropic-equivalent) at 100 Mpc, averaged over the sky.
    Change together with the neutrino archive: it belongs to the detector's effective area."""
    Enumin: Number = Field(default=1e-6, gt=0, le=1e6)
    """Smallest energy a source emits in neutrinos [1e51 erg], true energy, that is before fb."""
    Enumax: UpperEnd = Field(default=0.1, gt=0, le=1e6)
    """Largest energy a source emits in neutrinos [1e51 erg], true energy, that is before fb."""
    ratebgnu: Number = Field(default=0.0064, gt=0, le=1e3)
    """All-sky rate of background neutrinos [Hz]. 0.0064 is the real-time track stream; the
    10-year point-source sample has 0.0035."""
    ndotgwnu_gpc3_yr: Number = Field(default=23.9, gt=0, le=1e9)
    """Rate density of sources of both messengers [Gpc^-3 yr^-1]. Counts only for neutrinos whose
    gravitational wave was missed, a small term; 23.9 is GWTC-2's rate of binary black holes."""
    tgwminus: Number = Field(default=-250.0, ge=-1e5, le=1e5)
    """Earliest gravitational-wave emission, relative to the source's time [s]."""
    tgwplus: UpperEnd = Field(default=250.0, ge=-1e5, le=1e5)
    """Latest gravitational-wave emission, relative to the source's time [s]."""
    tnuminus: Number = Field(default=-250.0, ge=-1e5, le=1e5)
    """Earliest neutrino emission, relative to the source's time [s]."""
    tnuplus: UpperEnd = Field(default=250.0, ge=-1e5, le=1e5)
    """Latest neutrino emission, relative to the source's time [s]."""
    epsilon_min_gev: Number = Field(default=10.0, gt=0, le=1e12)
    """Lowest neutrino energy of the E^-2 spectrum [GeV]."""
    epsilon_max_gev: UpperEnd = Field(default=1e8, gt=0, le=1e12)
    """Highest neutrino energy of the E^-2 spectrum [GeV]."""
    sigma_floor_deg: Number = Field(default=0.2, gt=0, le=10)
    """Smallest angular error believed of any neutrino [deg]: the detector's systematic error."""
    far_signal_rate_hz: Number = Field(default=6.5e-8, gt=0, le=1)
    """Rate of true gravitational-wave triggers [Hz]; p_astro = rate / (rate + FAR) for alerts that
    carry no classification. 6.5e-8 reproduces the published O4 output."""
    max_set_size: Count = Field(default=4, ge=1, le=4)
    """Most neutrinos that one source may explain together. Lower it only to compare methods."""
    cnu_horizon_mpc: Number = Field(default=3000.0, gt=0, le=1e5)
    """Farthest neutrino source that counts when the gravitational-wave trigger is noise [Mpc]."""
    assumed_horizon_mpc: AssumedHorizon = Field(default_factory=AssumedHorizon)


class Grb(Block):
    """Gamma-ray bursts as a third messenger: what an event's `fermi_grbs.json` counts in its odds
    (docs/messengers.md). Off while efficiency is 0; a change outdates events that have the file."""

    efficiency: Number = Field(default=0.0, ge=0, lt=1)
    """Fraction of the sources that point at us whose burst is in the list; 0 leaves bursts out.
    A list without a burst counts against the source by 1 - efficiency."""
    rate_hz: Number = Field(default=7.5e-6, gt=0, le=1)
    """All-sky rate of bursts that reach the list and have nothing to do with the event [Hz].
    7.5e-6 is the 240 per year of Fermi's GBM; change it with the instrument."""
    delay_min_s: Number = Field(default=-1.0, ge=-1e5, le=1e5)
    """Earliest burst of a source, relative to its gravitational wave [s]."""
    delay_max_s: UpperEnd = Field(default=5.0, ge=-1e5, le=1e5)
    """Latest burst of a source, relative to its gravitational wave [s]."""


class Neutrinos(Block):
    """Where neutrinos come from."""

    archive: Name = "icecube_10year_ps"
    """Name of the archive that gives neutrinos, their background and the effective area; made by
    `llama neutrinos import PATH --name NAME`, listed by `llama neutrinos show`."""
    source: dict[Name, dict[str, Any]] = Field(
        default_factory=dict,
        examples=[{"archive": {}, "gcn": {}}],
    )
    """Sources that the neutrinos of an event are taken from, the first first, each with its
    options; {} takes the archive alone. Kinds and options are in docs/neutrinos.md. Each is a line
    like gcn: {}."""
    effective_area_season: Name | None = Field(default=None, examples=["IC86_II"])
    """Season of the release whose effective area is used, such as "IC86_II"; null takes the newest.
    Takes effect when an archive is imported."""


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
    null never; set that while LVK sends none."""
    health_port: Count | None = Field(default=None, ge=1024, le=65_535, examples=[8099])
    """Port on this machine where monitoring can read /healthz; null opens none."""


class Study(Block):
    """One class of gravitational-wave triggers."""

    model_config = ConfigDict(
        json_schema_extra={"oneOf": [{"required": ["skymaps"]}, {"required": ["artifacts"]}]}
    )

    skymaps: StudyMaps | None = Field(default=None, json_schema_extra={"type": "string"})
    """List of sky maps, one path per line, or a directory of them; "simulated" takes those of the
    simulation population-run that were seen by just these detectors."""
    artifacts: Artifacts | None = None
    """Directory, or s3://bucket/prefix, with superevents and neutrino lists made before."""
    triggers_per_year: Number = Field(default=100.0, gt=0, le=1e9)
    """Rate of gravitational-wave triggers of this class [1/yr]; joint false-alarm rate = p-value
    times this. 100 is about that of all significant alerts of O4 together."""

    @model_validator(mode="after")
    def _one_source(self) -> "Study":
        if (self.skymaps is None) == (self.artifacts is None):
            raise ValueError("should name either skymaps or artifacts")
        return self

    @model_serializer(mode="wrap")
    def _as_written(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in serialize(self).items() if value is not None}


class Simulation(Block):
    """One population of binaries whose sky maps are simulated."""

    # rows of a table: what has a default may be left out
    model_config = ConfigDict(json_schema_extra={})

    distribution: Literal[
        "bns_astro", "bns_broad", "nsbh_astro", "nsbh_broad", "bbh_astro", "bbh_broad"
    ]
    """Masses and spins, by their names in bayestar-inject."""
    psds: dict[Detector, NoiseModel] = Field(min_length=2)
    """Noise of each detector: a model that bayestar-sample-model-psd lists, or the absolute path
    of a text file with frequency [Hz] and amplitude spectral density [1/sqrt(Hz)]."""
    injections: Count = Field(ge=1, le=10**7)
    """Binaries to simulate; about one in ten is detected."""
    net_snr: Number = Field(default=8.0, ge=5.7, le=100)
    """Lowest signal-to-noise ratio of the network; each of two or more detectors needs 4."""
    duty_cycle: Number = Field(default=0.7, gt=0, le=1)
    """Fraction of time that each detector observes."""
    f_high_hz: Number | None = Field(default=None, ge=60, le=2048)
    """Frequency at which the signal is cut off [Hz], for early warnings; null for none."""
    seed: Count = Field(default=1, ge=0, lt=2**63)
    """Seed of the simulation."""


class Background(Block):
    """Simulated triggers that turn odds into p-values."""

    run: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9]*$", examples=["o3"])
    """Observing run whose background is used, such as o3; null takes the run of the event's date.
    Set it while the running observing run has no background of its own."""
    seed: Count = Field(default=20261122, ge=0, lt=2**63)
    """Seed of all injections. A new value makes an independent background."""
    p_astro: Number = Field(default=0.99, gt=0, lt=1)
    """Probability of being astrophysical given to every background trigger. An event's odds are
    taken to the same value before they are compared, so that it need not be changed."""
    injections: Count = Field(default=20_000, ge=1, le=10**10)
    """Background injections per study; the smallest p-value that can come out is about
    1/injections. More can be added later, those already made stay."""
    signal_injections: Count = Field(default=10_000, ge=1, le=10**10)
    """Injections per study with one neutrino of the source, as many with two and as many with four,
    for detection efficiencies. Every energy is a weight on the same ones."""
    shard_size: Count = Field(default=100_000, ge=1, le=10**7)
    """Injections per job. A job costs 1 s besides its injections: 3 % of 100,000, 23 % of 10,000;
    an interrupted run loses at most one job per core, here half a minute. Raise it for long lists
    to some times their number of sky maps (a job takes each map that it draws once), and on a
    cluster, where a job costs some seconds, to jobs of five minutes."""
    broken_maps: Literal["fail", "skip"] = "fail"
    """What to do when sky maps of a study cannot be read, or artifacts are missing: "fail" names
    them and stops the study, "skip" goes on without them; the log of link_bank names them."""
    simulations: dict[SimulationName, Simulation] = Field(
        default_factory=dict,
        examples=[
            {
                "bns-o4": {
                    "distribution": "bns_astro",
                    "psds": {"H1": "aLIGO175MpcT1800545", "L1": "aLIGO175MpcT1800545"},
                    "injections": 10000,
                }
            }
        ],
    )
    """Populations of sky maps to simulate, named population-run, each a line like bns-o4:
    {distribution: bns_astro, psds: {H1: aLIGO175MpcT1800545, L1: aLIGO175MpcT1800545}, injections:
    10000}; docs/populations.md has all that may be set."""
    studies: dict[StudyName, Study] = Field(
        default_factory=dict,
        examples=[{"bns-o3-H1L1V1": {"skymaps": "/data/bns.csv"}}],
    )
    """Studies to make, named population-run-detectors, each with its sky maps: a file with one path
    per line, a directory, or the word simulated for those of a simulation above. Each is a line
    like bns-o3-H1L1V1: {skymaps: /data/bns.csv}; with {artifacts: s3://bucket/prefix}, or a
    directory, superevents are paired with neutrino lists (docs/studies.md). triggers_per_year: 20
    in such a line is the rate of triggers of the class (joint false-alarm rate = p-value times
    rate); 100, about all significant alerts of O4, if it is left out."""


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
    """Most droplets of the fleet at one time."""
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


class Settings(Block):
    """Every setting of LLAMA."""

    output_dir: OutputDirectory = Field(default_factory=data_home)
    """Where events, studies, archives and logs live: an absolute path, or one that starts with ~.
    null means $XDG_DATA_HOME/llama, else ~/.local/share/llama. Change it to use another disk."""
    events: Events = Field(default_factory=Events)
    search: Search = Field(default_factory=Search)
    grb: Grb = Field(default_factory=Grb)
    neutrinos: Neutrinos = Field(default_factory=Neutrinos)
    gracedb: GraceDB = Field(default_factory=GraceDB)
    listen: Listen = Field(default_factory=Listen)
    publish: Publish = Field(default_factory=Publish)
    background: Background = Field(default_factory=Background)
    fleet: Fleet = Field(default_factory=Fleet)
    spaces: Spaces = Field(default_factory=Spaces)

    def search_parameters(self) -> dict[str, Any]:
        """Return the block `search` as a plain dict of numbers, for `params` and outputs."""
        return self.search.model_dump(mode="json")


def block_of(model: type[Block], name: str) -> type[Block] | None:
    """Return the block class behind field `name` of `model`, or None for a plain value."""
    annotation = model.model_fields[name].annotation
    if isinstance(annotation, type) and issubclass(annotation, Block):
        return annotation
    return None
