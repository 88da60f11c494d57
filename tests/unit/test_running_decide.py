"""The decisions of `llama run`, in worlds where anything may happen, and no process runs."""

import math
from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from llama.running import decide
from llama.running.decide import AT_ONCE, RETRY_S, SWEEP_S, Do, State, step

EVENTS = [f"current_run/S240101{letter}" for letter in "abcdef"]
PARTS: tuple[decide.Part, ...] = ("reap", "take over", "sweep", "start", "show news")
_EVENT = st.sampled_from(EVENTS)
# What happens between two rounds, and to whom: an alert comes, a run of an event ends, somebody
# else locks or unlocks it, its products become outdated, it is kept no longer or again; Snakemake
# says what is outdated, or cannot because of an event; a part fails.
_HAPPENS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "alert",
                "end",
                "lock",
                "unlock",
                "outdate",
                "drop",
                "keep",
                "answer",
                "blame",
                "break",
            ]
        ),
        _EVENT,
        st.sampled_from(PARTS),
    ),
    max_size=4,
)


@dataclass
class World:
    """Events, their spool and runs of Snakemake, and a keeper that does what is decided."""

    now: float = 1000.0
    state: State = field(default_factory=lambda: State(sweep_at=1000.0))
    spool: dict[str, str] = field(default_factory=dict)  # event by entry
    locked: set[str] = field(default_factory=set)
    outdated: set[str] = field(default_factory=set)
    kept: list[str] = field(default_factory=lambda: list(EVENTS))
    running: dict[str, float] = field(default_factory=dict)  # since when
    changed_at: dict[str, float] = field(default_factory=dict)  # revisions not made since
    failing: dict[str, float] = field(default_factory=dict)  # since when
    broken: set[str] = field(default_factory=set)
    retry_s: float = RETRY_S
    tried_at: dict[str, float] = field(default_factory=dict)
    ask_from: float = 0.0
    number: int = 0

    def happen(self, what: str, event: str, part: str) -> None:
        if what == "alert":
            self.number += 1
            self.spool[f"entry-{self.number}"] = event
        elif what == "end" and event in self.running:
            self.end(event)
        elif what == "lock" and event not in self.running:
            self.locked.add(event)
        elif what == "unlock":
            self.locked.discard(event)
        elif what == "outdate":
            self.outdated.add(event)
        elif what == "drop" and event in self.kept:
            self.kept.remove(event)
        elif what == "keep" and event not in self.kept:
            self.kept.append(event)
        elif what in ("answer", "blame") and self.state.asked:
            self.answer({event} if what == "blame" and event in self.state.asked else None)
        elif what == "break":
            self.broken.add(part)

    def end(self, event: str) -> None:
        del self.running[event]
        self.failing.pop(event, None)
        self.tell(decide.Happened("ended", event))
        assert event not in self.state.made
        assert not self.state.is_seen

    def answer(self, blamed: set[str] | None) -> None:
        asked, changing = self.state.asked, self.state.meanwhile
        self.tell(decide.Happened("replied"))
        assert self.state.asked == ()
        if blamed:
            before = set(self.failing)
            self.ask_from = self.now  # the others are asked about at once
            self.tell(decide.Answered(asked, blamed, self.now, "no map"))
            # who was changing when Snakemake looked has not failed
            assert blamed - changing <= self.failing.keys() <= before | (blamed - changing)
            assert self.state.sweep_at <= self.now
            return
        found = self.outdated & set(asked)
        self.tell(decide.Answered(asked, found, self.now))
        assert set(self.state.old) == found - changing
        assert not self.failing.keys() & (set(asked) - found - changing)

    def tell(self, event: decide.Event) -> None:
        before = replace(self.state)
        self.state, actions = step(self.state, [event])
        assert step(before, [event]) == (self.state, actions)  # nothing else decides
        for action in actions:
            self.do(action)

    def do(self, action: Do) -> None:
        if action.what == "take over":
            assert set(action.about) == self.running.keys()
            self.take_over()
        elif action.what == "survey":
            self.tell(decide.Surveyed(self.kept, self.failing.keys(), self.waiting()))
            assert self.failing.keys() <= set(self.kept)
        elif action.what == "clear":
            for event in action.about:
                self.failing.pop(event, None)
        elif action.what == "fail":
            assert action.reason
            self.failing |= dict.fromkeys(action.about, self.now)
        elif action.what == "ask":
            assert set(action.about) == set(self.kept) - self.waiting()
            assert (self.state.asked, self.state.old) == ((), ())
            assert self.now >= self.ask_from
            self.ask_from = self.now + SWEEP_S
            self.tell(decide.Asked(action.about, self.now))
        elif action.what == "look":
            free = frozenset(action.about) - self.locked
            self.tell(decide.Free(free, frozenset(self.kept)))
        elif action.what == "make":
            for event in action.about:
                self.make(event)
        elif action.what == "show":
            assert not self.running

    def waiting(self) -> set[str]:
        return {event for event, at in self.failing.items() if self.now < at + 60}

    def take_over(self) -> None:
        for entry, event in list(self.spool.items()):
            if event in self.running or event in self.locked:
                self.tell(decide.Happened("stays", entry))
                continue
            del self.spool[entry]
            self.changed_at[event] = self.now
            self.outdated.add(event)
            waiting = {*self.state.new, event}
            self.tell(decide.Happened("changed", event))
            assert waiting == {*self.state.new}

    def make(self, event: str) -> None:
        assert event in self.kept
        assert event not in self.locked
        assert event not in self.running
        is_new = event in self.changed_at
        assert len(self.running) < (AT_ONCE if is_new else 1)
        self.changed_at.pop(event, None)
        self.outdated.discard(event)
        self.running[event] = self.now
        self.tell(decide.Happened("started", event))
        assert event in self.state.meanwhile

    def turns(self) -> None:
        """Give every part its turn, as the keeper does."""
        for part in PARTS:
            if self.state.rests(part, self.now):
                assert self.now < self.tried_at[part] + self.retry_s
                continue
            if part in self.broken:
                assert part not in self.tried_at or self.now >= self.tried_at[part] + self.retry_s
                self.tried_at[part] = self.now
                self.broken.discard(part)
                self.tell(decide.Did(part, self.now + self.retry_s))
                continue
            self.tell(decide.Turn(part, self.now, self.spool.keys()))
            self.tell(decide.Did(part))
            # what has to wait is not tried at once again
            assert part != "take over" or not self.state.has_news(self.spool.keys(), self.now)
            if part == "sweep" and not (self.state.asked or self.state.old):
                # however busy the machine is
                assert self.now < self.state.sweep_at + SWEEP_S
        state = self.state
        assert state.made == self.running.keys()
        assert state.new == tuple(dict.fromkeys(state.new))

    def come_to_rest(self) -> None:
        """Have nothing happen but what has to: all runs end, Snakemake answers, nobody disturbs."""
        self.locked.clear()
        self.broken.clear()
        self.kept = list(EVENTS)
        for _ in range(100):
            self.now += 2.0
            if self.state.asked:
                self.answer(None)
            for event in list(self.running):
                self.end(event)
            self.turns()


_ROUNDS = st.lists(st.tuples(st.sampled_from([0.2, 1.0, 7.0, 61.0]), _HAPPENS), max_size=25)


def lived(rounds: list[tuple[float, list[tuple[str, str, str]]]], retry_s: float) -> World:
    world = World(retry_s=retry_s)
    for wait_s, happens in rounds:
        world.now += wait_s
        for what, event, part in happens:
            world.happen(what, event, part)
        world.turns()
    world.come_to_rest()
    return world


@given(_ROUNDS)
@settings(max_examples=60)
def test_whatever_happens_every_revision_is_made_and_nothing_twice_at_a_time(
    rounds: list[tuple[float, list[tuple[str, str, str]]]],
) -> None:
    world = lived(rounds, RETRY_S)
    assert (world.spool, world.changed_at, world.outdated) == ({}, {}, set())
    assert (world.state.new, world.state.old, world.running) == ((), (), {})
    assert world.failing == {}
    assert world.state.is_done(set(), world.now)
    assert world.state.is_seen


@given(_ROUNDS)
@settings(max_examples=60)
def test_a_pass_ends_even_if_parts_of_it_fail(
    rounds: list[tuple[float, list[tuple[str, str, str]]]],
) -> None:
    world = lived(rounds, math.inf)
    assert world.state.is_done(world.spool.keys(), world.now)
    assert bool(world.spool) <= ("take over" in world.tried_at)
    # one that was not kept when its turn came is found by a sweep
    assert not world.changed_at or world.tried_at.keys() & {"start", "sweep"}
