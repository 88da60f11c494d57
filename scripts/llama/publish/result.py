"""What there is to say about an event, as every channel says it."""

import re
from dataclasses import dataclass
from pathlib import Path

from msgspec import UNSET, Struct, UnsetType, to_builtins
from msgspec.structs import asdict

from llama.errors import LlamaError
from llama.event.compared import Number
from llama.event.joint_far import joint_far_text
from llama.event.messages import About
from llama.event.names import significance_name
from llama.event.provenance import other_inputs
from llama.event.results import NeutrinoList, Significance, read
from llama.event.skymap_info import EventInfo, read_info
from llama.files import dump_json, sha256_bytes
from llama.neutrinos.table import list_window
from llama.publish.notice import bayesian_p_value, coincident_neutrinos, rounded_p


class Coincident(Struct, frozen=True):
    """A neutrino in coincidence, with the names and units of `Single`; its radius is known."""

    id: str | int | None
    dt: Number
    ra: Number
    dec: Number
    sigma: Number
    radius_90_deg: Number
    p_value: Number | None
    p_value_is_limit: bool
    detector: str | UnsetType = UNSET


class Facts(Struct, frozen=True, kw_only=True):
    """A result in short, for machines; this is all that there is of a retraction."""

    graceid: str
    notice: str
    revision: int
    event_time: str | None
    test: bool
    retracted: bool


class JointRate(Struct, frozen=True):
    """p times the rate of alerts of the event's kind [1/yr], as number and in words."""

    per_year: Number
    is_limit: bool
    words: str
    alert_kind: str | None
    alert_rate_per_year: Number | None


class Findings(Facts, frozen=True, kw_only=True):
    """The result; livetime_s only with gaps, coincident_neutrinos None when nothing was tested.

    gamma_ray_bursts: in the event's list, only where odds and p-value count them;
    neutrino_detectors: of a network, what was on and off.
    """

    livetime_s: int | UnsetType
    far_hz: Number | None
    skymap: str | None
    neutrinos: int
    neutrinos_final: bool
    odds_ratio: Number | None
    p_value: float | None
    p_value_is_limit: bool
    p_value_for: str | UnsetType
    joint_far: JointRate | UnsetType
    gamma_ray_bursts: int | UnsetType
    coincident_neutrinos: list[Coincident] | None
    energy_response: str | UnsetType
    psf: str | UnsetType
    neutrino_detectors: str | UnsetType = UNSET


@dataclass(frozen=True)
class Result:
    """An event's files; of a retracted one only what its alerts say."""

    event_dir: Path
    info: EventInfo
    real: bool
    neutrinos: NeutrinoList | None = None
    significance: Significance | None = None

    def about(self) -> About:
        """Return what the outbox notes of a message: event, alert and audience."""
        return About(
            graceid=self.info.graceid,
            notice=self.info.notice,
            revision=self.info.revision,
            audience="real" if self.real else "test",
        )

    def facts(self) -> Facts:
        """Return the result in short, for machines and for telling whether anything is new."""
        info = self.info
        facts = Facts(
            graceid=info.graceid,
            notice=info.notice,
            revision=info.revision,
            event_time=info.event_time,
            test=not self.real,
            retracted=info.retracted,
        )
        if self.significance is None or self.neutrinos is None:
            return facts
        listed = coincident_neutrinos(self.info, self.significance)
        p_value = bayesian_p_value(self.info, self.significance)
        live_s = self.neutrinos.livetime_s
        window = list_window(self.neutrinos.window)
        is_whole = live_s is None or round(live_s) >= window.length_s
        return Findings(
            **asdict(facts),
            livetime_s=UNSET if live_s is None or is_whole else round(live_s),
            far_hz=self.info.far_hz,
            skymap=self.info.skymap_filename,
            neutrinos=sum(one.in_window is not False for one in self.neutrinos.events),
            neutrinos_final=self.neutrinos.complete,
            odds_ratio=self.significance.odds_ratio,
            p_value=None if p_value is None else rounded_p(self.significance),
            p_value_is_limit=p_value is not None and self.significance.p_is_limit,
            p_value_for=UNSET if p_value is None else self.significance.p_is_for,
            joint_far=UNSET if p_value is None else _joint_rate(self.significance),
            gamma_ray_bursts=len(self.significance.inputs.burst_info)
            if self.significance.without_bursts
            else UNSET,
            coincident_neutrinos=None
            if listed is None
            else [
                Coincident(
                    *(s.id, s.dt, s.ra, s.dec, s.sigma, s.circle_deg, rounded_p(s)),
                    s.p_is_limit,
                    s.detector or UNSET,
                )
                for s in listed
            ],
            energy_response=self.significance.energy_response or UNSET,
            psf=self.significance.psf or UNSET,
            neutrino_detectors=self.neutrinos.observed or UNSET,
        )

    def sha256(self) -> str:
        """Return what changes when there is something new to say.

        Another rate of alerts is nothing new about the event, nor are other words.
        """
        facts = to_builtins(self.facts())
        for name in ("joint_far", "p_value_for", "p_value_is_limit"):
            facts.pop(name, None)
        for one in facts.get("coincident_neutrinos") or []:
            del one["p_value_is_limit"]
        return sha256_bytes(dump_json(facts).encode())

    def text(self, kind: str) -> str:
        """Return the result in a few lines of plain text; kind: new, update or withdrawal."""
        facts, info = self.facts(), self.info
        mark = "" if self.real else "[TEST] "
        if kind == "withdrawal" or not isinstance(facts, Findings):
            return (
                f"{mark}{info.graceid}: RETRACTED. LIGO/Virgo/KAGRA have retracted this candidate "
                f"({info.notice}); what was reported here about it no longer stands."
            )
        return _text(facts, f"{mark}{'UPDATE ' if kind == 'update' else ''}{facts.notice}")


def _joint_rate(significance: Significance) -> JointRate | UnsetType:
    words, per_year = joint_far_text(significance), significance.joint_far_per_year
    if not words or per_year is None:
        return UNSET
    return JointRate(
        float(f"{per_year:.2g}"),
        significance.joint_far_is_limit,
        words,
        significance.alert_kind,
        significance.alert_rate_per_year,
    )


def _text(facts: Findings, title: str) -> str:
    listed = facts.coincident_neutrinos or []
    count = f"{len(listed) or 'no'} coincident neutrino{'' if len(listed) == 1 else 's'}"
    count += "" if facts.neutrinos_final else " so far"
    if facts.coincident_neutrinos is None:
        count = "coincidence not tested"
    of, livetime = "", "" if facts.livetime_s is UNSET else f"{facts.livetime_s} s"
    if facts.neutrino_detectors is not UNSET:
        of = f" of {facts.neutrino_detectors}"
        of += f"; each that was on observed at least {livetime} of the window" if livetime else ""
    elif livetime:
        of = f", of which the detector observed {livetime}"
    lines = [
        f"{title}: {count}, p-value "
        + ("not available" if facts.p_value is None else _p_text(facts, facts.p_value))
        + ("" if facts.p_value_for is UNSET else f" for {facts.p_value_for}")
        + ("" if facts.joint_far is UNSET else f" (joint false-alarm rate {facts.joint_far.words})")
        + f", odds ratio {facts.odds_ratio:.3g}"
        + ("" if facts.gamma_ray_bursts is UNSET else ", which count its gamma-ray bursts, too"),
        f"event time {facts.event_time}, false-alarm rate "
        + ("unknown" if facts.far_hz is None else f"{facts.far_hz:.3g} Hz")
        + f", sky map {_safe(facts.skymap)}, {facts.neutrinos} neutrinos in the window"
        + of
        + ("" if facts.neutrinos_final else " (PROVISIONAL: it is still being filled)"),
    ]
    lines += [
        f"{_name(one)}: {one.dt:+.1f} s, RA {one.ra:.2f}, Dec {one.dec:+.2f}, "
        f"90 % radius {one.radius_90_deg:.2f} deg, p-value {_p_text(one, one.p_value)}"
        for one in listed
    ]
    return "\n".join(lines)


def _name(one: Coincident) -> str:
    detector = "" if one.detector is UNSET else f"{_safe(one.detector)} "
    return f"{detector}{_safe(one.id)}"


def _p_text(told: Findings | Coincident, p_value: float | None) -> str:
    return f"{'< ' if told.p_value_is_limit else ''}{p_value:g}"


def _safe(name: object) -> str:
    """Return a name of somebody else's that no receiver takes for markup or a mention."""
    return re.sub(r"[^A-Za-z0-9_.,:+-]", "_", str(name))[:80]


def read_result(event_dir: Path, real: bool) -> Result:
    """Return what an event has to say; `LlamaError` when a product is missing or outdated."""
    info = read_info(event_dir)
    if info.retracted:
        return Result(event_dir, info, real)
    name = significance_name(info)
    remedy = f"run: snakemake events/{info.graceid}/all"
    for product in (name, "icecube_neutrino_list.json"):
        if not (event_dir / product).exists():
            raise LlamaError(f"{event_dir / product} is not there yet; {remedy}")
    if others := other_inputs(event_dir, info, name):
        raise LlamaError(f"{event_dir / name} was made from another {', '.join(others)}; {remedy}")
    significance = read(event_dir / name, Significance)
    neutrinos = read(event_dir / "icecube_neutrino_list.json", NeutrinoList)
    return Result(event_dir, info, real, neutrinos, significance)
