"""What there is to say about an event, as every channel says it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llama.errors import LlamaError
from llama.event.messages import About
from llama.event.names import significance_name
from llama.event.origin import other_inputs
from llama.event.skymap_info import EventInfo, read_info
from llama.files import dump_json, read_json, sha256_bytes
from llama.publish.notice import bayesian_p_value, coincident_neutrinos, round_p
from llama.stats.window import list_window


@dataclass(frozen=True)
class Result:
    """An event's files; of a retracted one only what its alerts say."""

    event_dir: Path
    info: EventInfo
    real: bool
    neutrinos: Mapping[str, Any] | None = None
    significance: Mapping[str, Any] | None = None

    @property
    def graceid(self) -> str:
        """The event's id."""
        return str(self.info.graceid)

    @property
    def retracted(self) -> bool:
        """Whether there is nothing left to say but that."""
        return bool(self.info.retracted)

    def about(self) -> About:
        """Return what the outbox notes of a message: event, alert and audience."""
        return About(
            graceid=self.graceid,
            notice=self.info.notice,
            revision=self.info.revision,
            audience="real" if self.real else "test",
        )

    def facts(self) -> dict[str, Any]:
        """Return the result in short, for machines and for telling whether anything is new."""
        short = {
            "graceid": self.graceid,
            "notice": self.info.notice,
            "revision": self.info.revision,
            "event_time": self.info.event_time,
            "test": not self.real,
            "retracted": self.retracted,
        }
        if self.significance is None or self.neutrinos is None:
            return short
        listed = coincident_neutrinos(self.info, self.significance)
        livetime_s = self.neutrinos.get("livetime_s")
        if livetime_s is not None and round(livetime_s) < list_window(self.neutrinos).length_s:
            short["livetime_s"] = round(livetime_s)
        return short | {
            "far_hz": self.info.far_hz,
            "skymap": self.info.skymap_filename,
            "neutrinos": sum(bool(e.get("in_window", True)) for e in self.neutrinos["events"]),
            "neutrinos_final": self.neutrinos.get("complete") is True,
            "odds_ratio": self.significance["odds_ratio"],
            "p_value": round_p(bayesian_p_value(self.info, self.significance)),
            # null when nothing was tested
            "coincident_neutrinos": None
            if listed is None
            else [
                {key: one[key] for key in ("id", "dt", "ra", "dec", "sigma", "p_value")}
                for one in listed
            ],
        }

    def sha256(self) -> str:
        """Return what changes when there is something new to say."""
        return sha256_bytes(dump_json(self.facts()).encode())

    def text(self, kind: str) -> str:
        """Return the result in a few lines of plain text; kind: new, update or withdrawal."""
        facts = self.facts()
        mark = "" if self.real else "[TEST] "
        if kind == "withdrawal":
            return (
                f"{mark}{self.graceid}: RETRACTED. LIGO/Virgo/KAGRA have retracted this candidate "
                f"({self.info.notice}); what was reported here about it no longer stands."
            )
        update = "UPDATE " if kind == "update" else ""
        p_value, far_hz = facts["p_value"], facts["far_hz"]
        listed = facts["coincident_neutrinos"] or []
        count = f"{len(listed) or 'no'} coincident neutrino{'' if len(listed) == 1 else 's'}"
        if facts["coincident_neutrinos"] is None:
            count = "coincidence not tested"
        livetime = ""
        if "livetime_s" in facts:
            livetime = f", of which the detector observed {facts['livetime_s']} s"
        lines = [
            f"{mark}{update}{facts['notice']}: {count}, p-value "
            + ("not available" if p_value is None else f"{p_value:g}")
            + f", odds ratio {facts['odds_ratio']:.3g}",
            f"event time {facts['event_time']}, false-alarm rate "
            + ("unknown" if far_hz is None else f"{far_hz:.3g} Hz")
            + f", sky map {_safe(facts['skymap'])}, {facts['neutrinos']} neutrinos in the window"
            + livetime
            + ("" if facts["neutrinos_final"] else " (PROVISIONAL: it is still being filled)"),
        ]
        lines += [
            f"{_safe(one['id'])}: {one['dt']:+.1f} s, RA {one['ra']:.2f}, Dec {one['dec']:+.2f}, "
            f"sigma {one['sigma']:.2f} deg, p-value {round_p(one['p_value']):g}"
            for one in listed
        ]
        return "\n".join(lines)


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
    significance = read_json(event_dir / name)
    neutrinos = read_json(event_dir / "icecube_neutrino_list.json")
    if others := other_inputs(event_dir, info, significance):
        raise LlamaError(f"{event_dir / name} was made from another {', '.join(others)}; {remedy}")
    return Result(event_dir, info, real, neutrinos, significance)
