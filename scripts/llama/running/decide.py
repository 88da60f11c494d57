"""What `llama run` does next: from what it knows and what has happened; no process, no file.

The keeper does the actions of `step` and tells what came of them by events. Times are in seconds of
the monotonic clock, directories those of events, such as current_run/S190425z.
"""

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

SWEEP_S = 60.0
RETRY_S = 5.0  # what could not be written, or is in another run's hands
AT_ONCE = 2  # new revisions that are made at the same time

Part = Literal["reap", "take over", "sweep", "start", "show news"]


@dataclass(frozen=True)
class State:
    """What is being made, what waits for it, and what the spool said last."""

    sweep_at: float  # when Snakemake is next asked what is outdated
    swept: bool = False
    new: tuple[str, ...] = ()  # directories with a new revision
    old: tuple[str, ...] = ()  # those that were found outdated
    made: frozenset[str] = frozenset()
    asked: tuple[str, ...] = ()  # about which Snakemake is being asked
    meanwhile: frozenset[str] = frozenset()  # what was being made since it was asked
    left: frozenset[str] = frozenset()  # entries of the spool that have to wait
    look_at: float = 0.0  # when they are tried again
    is_seen: bool = True  # whether what is shown is what there is
    again: Mapping[Part, float] = field(default_factory=dict)  # when a failed part is tried again

    def rests(self, part: Part, now: float) -> bool:
        """Tell whether it is too early to try a part again that has failed."""
        return self.again.get(part, 0.0) > now

    def has_news(self, spool: AbstractSet[str], now: float) -> bool:
        """Tell whether the spool has what has not been looked at, or may be tried again."""
        return bool(spool) and (now >= self.look_at or not spool <= self.left)

    def is_done(self, spool: AbstractSet[str], now: float) -> bool:
        """Tell whether nothing is left but what parts that have failed had to do."""
        done = self.swept or "sweep" in self.again
        done &= not (self.made or self.asked) or "reap" in self.again
        done &= not (self.new or self.old) or "start" in self.again
        return done and (not self.has_news(spool, now) or "take over" in self.again)


class Turn(NamedTuple):
    """A part may act; `spool` names the entries that wait there."""

    part: Part
    now: float
    spool: AbstractSet[str] = frozenset()


class Did(NamedTuple):
    """A part has had its turn; one that failed is tried again at `again_at`."""

    part: Part
    again_at: float | None = None


class Happened(NamedTuple):
    """Something happened to an event or to an entry of the spool.

    changed: the event has a new revision; stays: the entry has to wait; started, ended: a Snakemake
    makes the event, does so no more; replied: the one that was asked what is outdated has ended.
    """

    what: Literal["changed", "stays", "started", "ended", "replied"]
    name: str = ""


class Surveyed(NamedTuple):
    """Which events are kept, which have failed, and for which of these it is too early."""

    kept: Sequence[str]
    failing: AbstractSet[str]
    waiting: AbstractSet[str]


class Asked(NamedTuple):
    """Snakemake is being asked about these; nobody is if there are none."""

    directories: Sequence[str]
    now: float


class Answered(NamedTuple):
    """What is outdated of what Snakemake was asked about; with a reason, what it failed at."""

    asked: Sequence[str]
    named: AbstractSet[str]
    now: float
    reason: str = ""


class Free(NamedTuple):
    """Of those that wait: in no other run's hands; and which events are kept."""

    directories: AbstractSet[str]
    kept: AbstractSet[str]


class Do(NamedTuple):
    """What is to be done, about which directories or entries.

    clear: the event is as it should be, or nobody's business; forget: the entry has gone.
    """

    what: Literal["forget", "take over", "survey", "clear", "ask", "fail", "look", "make", "show"]
    about: Sequence[str] = ()
    reason: str = ""


Event = Turn | Did | Happened | Surveyed | Asked | Answered | Free


def step(state: State, events: Iterable[Event]) -> tuple[State, list[Do]]:
    """Return the state after events, and what is to be done, in this order."""
    actions: list[Do] = []
    for event in events:
        state, more = _turn(state, event) if isinstance(event, Turn) else _after(state, event)
        actions += more
    return state, actions


def _turn(state: State, turn: Turn) -> tuple[State, list[Do]]:
    part, now = turn.part, turn.now
    if state.rests(part, now):
        return state, []
    if part == "take over":
        gone = sorted(state.left - turn.spool)
        actions = [Do("forget", gone)] if gone else []
        if not state.has_news(turn.spool, now):
            return state, actions
        state = replace(state, left=frozenset(), look_at=now + RETRY_S)
        return state, [*actions, Do("take over", sorted(state.made))]
    if part == "sweep":
        # not while new revisions need the machine
        patience_s = SWEEP_S if state.made or state.new else 0.0
        if state.asked or state.old or now < state.sweep_at + patience_s:
            return state, []
        # ages and silence change by themselves
        return replace(state, is_seen=False, meanwhile=state.made), [Do("survey")]
    if part == "start" and (waiting := _candidates(state)):
        return state, [Do("look", waiting)]
    if part == "show news" and not (state.is_seen or state.made or state.new):
        return replace(state, is_seen=True), [Do("show")]
    return state, []


def _candidates(state: State) -> list[str]:
    """Return what may be made now, in this order: two new revisions at once, else one old event."""
    queues = [*state.new] if len(state.made) < AT_ONCE else []
    queues += [*state.old] if not state.made else []
    return [directory for directory in dict.fromkeys(queues) if directory not in state.made]


def _after(state: State, event: Event) -> tuple[State, list[Do]]:
    match event:
        case Did(part, again_at):
            again = {other: at for other, at in state.again.items() if other != part}
            if again_at is not None:
                again[part] = again_at
                state = replace(state, is_seen=state.is_seen and part != "show news")
            return replace(state, again=again), []
        case Happened("changed", directory):
            new = tuple(dict.fromkeys((*state.new, directory)))
            return replace(state, new=new), [Do("clear", [directory])]
        case Happened("stays", entry):
            return replace(state, left=state.left | {entry}), []
        case Surveyed(kept, failing, waiting):
            clear = Do("clear", sorted(failing - {*kept}))
            return state, [clear, Do("ask", [d for d in kept if d not in waiting])]
        case Asked(directories, now):
            asked = tuple(directories)
            return replace(state, asked=asked, swept=True, sweep_at=now + SWEEP_S), []
        case Answered():
            return _answered(state, event)
        case Free(directories, kept):
            return _free(state, directories, kept)
        case Happened("started", directory):
            return replace(state, made=state.made | {directory}), []
        case Happened("replied"):
            return replace(state, asked=(), is_seen=False), []
        case Happened("ended", directory):
            # alerts of this event may have waited
            made = state.made - {directory}
            return replace(state, made=made, is_seen=False, left=frozenset()), []
    raise AssertionError(event)


def _answered(state: State, answer: Answered) -> tuple[State, list[Do]]:
    asked, named = answer.asked, answer.named
    meant = [d for d in asked if d in named and d not in state.meanwhile]
    if answer.reason:  # others were changing when it looked, and the rest is asked about at once
        sweep_at = answer.now if named else state.sweep_at
        return replace(state, sweep_at=sweep_at), [Do("fail", meant, answer.reason)]
    good = [d for d in asked if d not in named and d not in state.meanwhile]
    return replace(state, old=tuple(meant)), [Do("clear", good)]


def _free(state: State, free: AbstractSet[str], kept: AbstractSet[str]) -> tuple[State, list[Do]]:
    starting: list[str] = []
    for waiting, most in ((state.new, AT_ONCE), (state.old, 1)):
        for directory in waiting:
            if len(state.made) + len(starting) >= most:
                break
            if directory not in free or directory in state.made:
                continue
            state = replace(  # it may wait in both: once is enough
                state,
                new=tuple(d for d in state.new if d != directory),
                old=tuple(d for d in state.old if d != directory),
            )
            if directory in kept and directory not in starting:
                state = replace(state, meanwhile=state.meanwhile | {directory})
                starting.append(directory)
    return state, [Do("make", starting)]
