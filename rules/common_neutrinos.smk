"""What outdates the neutrinos of an event."""

from llama.neutrinos.lists import window_state
from llama.neutrinos.sources import open_sources, state_of
from llama.times import now_gps


@functools.cache
def neutrino_sources():
    return checked(
        open_sources,
        SETTINGS.neutrinos.source,
        SETTINGS.output_dir,
        SETTINGS.neutrinos.archive,
    )


def may_ask(wildcards):
    """Return whether sources on other machines may be asked, where there are such."""
    if any(source.network for source in neutrino_sources()):
        return event_flag("ONLINE")(wildcards)
    return True


_SOURCE_STATES = {}


def source_state(wildcards):
    """Return what changes when an event's sources have something else for it; asked once."""
    info = event_info(wildcards.event)
    if info["neutrino_file"]:
        return info["neutrino_file"]
    if info["graceid"].startswith("M"):
        return archive_identity()
    start, stop = (info["gps_time"] + end_s for end_s in WINDOW)
    if wildcards.event not in _SOURCE_STATES:
        _SOURCE_STATES[wildcards.event] = checked(
            state_of, neutrino_sources(), start, stop, may_ask(wildcards)
        )
    return _SOURCE_STATES[wildcards.event]


def window_version(wildcards):
    """Return what outdates the list: the window has closed, or its sources have other data."""
    gps = event_info(wildcards.event)["gps_time"]
    state = window_state(gps, now_gps(), WINDOW)
    return [state, source_state(wildcards)]
