"""Whether an event is real, and why it may not be published: facts in, sentences out.

An event is real only when every sign says so; everything else is a test and can only reach the
destination for tests. What is forbidden is forbidden by any one reason.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from llama.event.flags import read_flags
from llama.event.skymap_info import EventInfo, read_info
from llama.files import read_json
from llama.graceid import is_of_catalogue
from llama.typed import typed

MAX_FAR_HZ = 10 / 86_400
_TEST_PLACES = ("scratch", "test", "injection")
_REAL_ID = r"S[0-9]{6}[a-z]+|G[0-9]+"
_REAL_ALERTS = ("igwn-alert", "gcn", "gracedb", "manual")
_REAL_NEUTRINOS = {"observation", "alert"}


@dataclass(frozen=True)
class Facts:
    """Everything that decides who may see an event.

    `info` is skymap_info.json; `kinds` are the types of its neutrinos, None while there is no
    list; `event_dir` is absolute, with its links followed; `current` tells that it is in
    current_run, which may be a link.
    """

    info: EventInfo
    flags: Mapping[str, object]
    event_dir: Path
    current: bool
    kinds: frozenset[str] | None
    complete: bool


class _Neutrino(Struct):
    type: object = None


class _Source(Struct, frozen=True):
    scrambled: object = None


class _List(Struct):
    events: list[_Neutrino]
    complete: object = False
    source: _Source = _Source()

    @property
    def kinds(self) -> frozenset[str]:
        """The types of its neutrinos; a list of scrambled ones may hold none."""
        scrambled = {"scrambled"} if self.source.scrambled else set()
        return frozenset({str(event.type) for event in self.events} | scrambled)


@dataclass(frozen=True)
class Terms:
    """What a channel asks for: the flag that opens it, the network, the final neutrino list."""

    flag: str = "UPLOAD"
    online: bool = True
    final: bool = True


def read_facts(event_dir: Path) -> Facts:
    """Return the facts of an event directory; `LlamaError` for files that are missing or wrong."""
    info = read_info(event_dir)
    path = event_dir / "icecube_neutrino_list.json"
    remedy = "delete it and run snakemake again"
    listed = typed(read_json(path), _List, str(path), remedy) if path.exists() else None
    return Facts(
        info=info,
        flags=read_flags(event_dir),
        event_dir=event_dir.resolve(),
        current=_is_current(event_dir),
        kinds=listed.kinds if listed else None,
        complete=bool(listed and listed.complete is True),
    )


def _is_current(event_dir: Path) -> bool:
    """Tell whether an event is in current_run: where it lies, not where a link to it is."""
    while event_dir.is_symlink():
        event_dir = event_dir.parent / event_dir.readlink()
    run_dir = event_dir.absolute().parent
    while run_dir.name != "current_run" and run_dir.is_symlink():  # events leads to current_run
        run_dir = run_dir.parent / run_dir.readlink()
    return run_dir.name == "current_run"


def not_real(facts: Facts) -> list[str]:
    """Return every sign that event or neutrinos are not real; with none, the event is real."""
    place = word_in(str(facts.event_dir), _TEST_PLACES)
    signs = [
        (place is not None, f"its path {facts.event_dir} has {place!r} in it"),
        (not facts.current, "it is not in current_run"),
        (facts.flags.get("BLINDED_NEUTRINOS") is not False, "the flag BLINDED_NEUTRINOS is true"),
        (facts.kinds is None, "there is no list of neutrinos"),
    ]
    return [
        *signs_of_test(facts.info, facts.flags.get("ROLE"), facts.kinds or ()),
        *(reason for applies, reason in signs if applies),
    ]


def vetoes(facts: Facts, terms: Terms, real: bool) -> list[str]:
    """Return every reason why no result may be sent to a destination; with none, it may.

    real: whether the destination is a real one. A withdrawal asks for nothing: it goes where
    the event was published.
    """
    flags = facts.flags
    reasons = [
        (flags.get("VETOED") is not False, "the flag VETOED is true"),
        (flags.get(terms.flag) is not True, f"the flag {terms.flag} is false"),
        (terms.online and flags.get("ONLINE") is not True, "the flag ONLINE is false"),
        (facts.info.retracted, "the alert was retracted"),
        (
            is_of_catalogue(facts.info.graceid),
            f"{facts.info.graceid} is of a catalogue, which is never published as an alert",
        ),
    ]
    if real:
        far_hz = facts.info.far_hz
        too_high = f"its false-alarm rate of {(far_hz or 0) * 86_400:.3g} per day is above "
        reasons += [
            *((True, reason) for reason in not_real(facts)),
            (facts.info.internal, "its alert is internal to LVK"),
            (far_hz is None, "its alert has no false-alarm rate"),
            # written so that NaN is refused too
            (not (far_hz or 0.0) <= MAX_FAR_HZ, f"{too_high}{MAX_FAR_HZ * 86_400:.0f}"),
            (terms.final and not facts.complete, "its list of neutrinos is provisional"),
        ]
    return [reason for applies, reason in reasons if applies]


def signs_of_test(
    info: EventInfo, role: object = "observation", kinds: Iterable[object] = ()
) -> list[str]:
    """Return every sign, in words, that an event is not real; [] if it is.

    role: the operator's flag ROLE; kinds: the types of its neutrinos. Alert, operator and
    neutrinos must all be real.
    """
    host = re.sub(r"^https?://([^/]*).*", r"\1", info.gracedb_service_url or "")
    is_test_server = word_in(host, ("playground", "test", "dev")) is not None
    is_real_id = re.fullmatch(_REAL_ID, str(info.graceid)) is not None
    unreal = sorted({str(kind) for kind in kinds} - _REAL_NEUTRINOS)
    signs = [
        (role != "observation", "the flag ROLE is not observation"),
        (info.role != "observation", "its alert is a test or hardware injection"),
        (not is_real_id, f"{info.graceid} is not the id of a real one"),
        (str(info.search).upper() == "MDC", "its search is MDC, a mock data challenge"),
        (info.alert_type not in _REAL_ALERTS, f"it comes from {info.alert_type}, not an alert"),
        (is_test_server, f"it comes from the test server {host}"),
        (bool(unreal), f"its neutrinos are {' and '.join(unreal)}"),
    ]
    return [reason for applies, reason in signs if applies]


def word_in(text: str, words: Iterable[str]) -> str | None:
    """Return the first of `words` (lower case) with which a word of `text` begins, None without.

    `test` is in TEST-2 and o3_tests, not in latest or contest.
    """
    return next((word for word in words if re.search(f"(?<![a-z]){word}", text.lower())), None)
