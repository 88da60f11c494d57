"""Settings of background studies and of the sky maps simulated for them."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from llama.settings.block import Block, Count, Number, absolute


def _artifacts(value: Any) -> str:
    if isinstance(value, str) and value.startswith("s3://"):
        if not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s?#]*)?", value):
            raise ValueError("should look like s3://bucket/prefix")
        return value.rstrip("/")
    return str(absolute(value))


Artifacts = Annotated[str, BeforeValidator(_artifacts)]
NoiseModel = Annotated[str, Field(pattern=r"^(/.+|[A-Za-z][A-Za-z0-9]*)$")]
Detector = Annotated[str, Field(pattern=r"^[A-Z][0-9]$")]
SimulationName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*-[a-z][a-z0-9]*$")]
StudyMaps = Annotated[
    Path, BeforeValidator(lambda value: Path(value) if value == "simulated" else absolute(value))
]
StudyName = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9]*-[a-z][a-z0-9]*-([A-Z][0-9])+(-[a-z0-9]+(_[a-z0-9]+)*)?$"),
]


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
    def _as_written(self, serialize: SerializerFunctionWrapHandler) -> dict[str, object]:
        return {name: value for name, value in serialize(self).items() if value is not None}


class Simulation(Block):
    """One population of binaries whose sky maps are simulated."""

    distribution: Literal[
        "bns_astro", "bns_broad", "nsbh_astro", "nsbh_broad", "bbh_astro", "bbh_broad"
    ]
    """Masses and spins, by their names in bayestar-inject."""
    psds: dict[Detector, NoiseModel] = Field(min_length=2)
    """Noise of each detector: a model that bayestar-sample-model-psd lists, or the absolute path
    of a text file with frequency [Hz] and amplitude spectral density [1/sqrt(Hz)]."""
    injections: Count = Field(ge=1, le=10**7)
    """Binaries to simulate; about one in four gives a map (docs/populations.md)."""
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
    sampling: Literal["plain", "weighted"] = "plain"
    """How background injections are drawn: "plain" counts chance as it comes, down to p =
    1/injections; "weighted" draws more of what is rare and gives each injection its weight, so that
    100,000 of them tell p-values of 1e-8 (docs/method.md, Weighted backgrounds). Studies of
    artifacts need "plain"."""
    injections: Count = Field(default=20_000, ge=1, le=10**10)
    """Background injections per study; the smallest p-value that can come out is about
    1/injections. More can be added later, those already made stay."""
    map_injections: Count = Field(default=2_500, ge=10, le=10**7)
    """Weighted injections with the sky map of each event, from which its own p-value is. 2,500
    tell one of 1e-8 within some 17 % and take three seconds on two cores, five for wide maps."""
    signal_injections: Count = Field(default=10_000, ge=1, le=10**10)
    """Injections per study with one neutrino of the source, as many with two and as many with four,
    for detection efficiencies. Every energy is a weight on the same ones."""
    shard_size: Count = Field(default=125_000, ge=1, le=10**7)
    """Injections per job. Besides its injections a job costs as much as some thousand of them
    (docs/studies.md, What it costs); an interrupted run loses at most one job per core. Raise it
    for long lists to some times their number of sky maps (a job takes each map that it draws once),
    and on a cluster, where a job costs some seconds, to jobs of five minutes."""
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
        default_factory=dict, examples=[{"bns-o3-H1L1V1": {"skymaps": "/data/bns.csv"}}]
    )
    """Studies to make, named population-run-detectors, each with its sky maps: a file with one path
    per line, a directory, or the word simulated for those of a simulation above. Low-significance
    alerts and early warnings have populations of their own, bnslow and bnsearly. Each is a line
    like bns-o3-H1L1V1: {skymaps: /data/bns.csv}; with {artifacts: s3://bucket/prefix}, or a
    directory, superevents are paired with neutrino lists (docs/studies.md). triggers_per_year: 20
    in such a line is the rate of triggers of the class (joint false-alarm rate = p-value times
    rate); 100, about all significant alerts of O4, if it is left out."""
