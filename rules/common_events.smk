"""What an event's rules are given: its own files, its products, and what outdates them."""

from llama.event.bursts import read_bursts
from llama.event.flags import read_flags
from llama.event.latency import published_at
from llama.event.names import (
    BURSTS_NAME,
    check_graceid,
    products,
    run_name,
    significance_name,
    skymap_name,
)
from llama.event.newest import tracked_events
from llama.event.populations import class_versions
from llama.event.skymap_info import read_info


@functools.cache
def event_info(directory):
    """Return the event's skymap_info.json, checked, of an event that this run then has locked."""
    if (SETTINGS.output_dir / directory).is_dir():
        checked(lock_or_refuse, directory)
    return checked(read_info, SETTINGS.output_dir / directory)


def event_products(directory):
    """Return the path of every product of an event whose own files are good."""
    names = products(event_info(directory))
    checked(read_flags, SETTINGS.output_dir / directory)
    return [f"{directory}/{name}" for name in names]


def requested_products(directory):
    """Return the input function of an event named on the command line."""
    return lambda wildcards: event_products(directory) + receipts(directory)


def requested_events():
    """Return {target as typed: event directory} of the events named on the command line."""
    found = requested_injections()
    for target in sys.argv[1:]:
        match = re.fullmatch(
            r"(?:\./)?(events|current_run|past_runs/[^/]+)/([^/]+)/?(.*)", target
        )
        if not match:
            continue
        directory = f"{match[1].replace('current_run', 'events')}/{checked(check_graceid, match[2])}"
        if match[3] in ("", "all", "all/"):
            # only a look: this run has not yet locked it
            checked(read_info, SETTINGS.output_dir / directory)
            checked(read_flags, SETTINGS.output_dir / directory)
            found[target] = directory
    return found


def tracked_products(wildcards):
    """Return every product of the tracked events that have a sky map or were retracted.

    An event that is broken or in another run's hands is named and does not stop the others.
    """
    run_dir, count = SETTINGS.output_dir / "current_run", SETTINGS.events.tracked_newest
    tracked = []
    for event in (f"events/{name}" for name in tracked_events(run_dir, count)):
        try:
            lock_or_refuse(event)
            read_flags(SETTINGS.output_dir / event)
            info = read_info(SETTINGS.output_dir / event)
            if not (info.has_skymap or info.retracted):
                continue
            find_bursts(event)
        except LlamaError as error:
            logger.warning(f"{event} is left alone: {error}")
        else:
            tracked += event_products(event) + receipts(event)
    return tracked


def event_significance(wildcards):
    return f"{wildcards.event}/{significance_name(event_info(wildcards.event))}"


def received_alerts(wildcards):
    """Return the alerts as received, and what came with them."""
    directory = SETTINGS.output_dir / wildcards.event
    return sorted(
        f"{wildcards.event}/alerts/{path.name}"
        for path in directory.glob("alerts/[0-9]*")
    )


def manifest_products(wildcards):
    """Return every product but manifest and page, the alerts as received, and bursts that count."""
    made = [
        path
        for path in event_products(wildcards.event)
        if not path.endswith(("manifest.json", "index.html"))
    ]
    return made + received_alerts(wildcards) + event_bursts(wildcards)


def is_published(wildcards):
    """Return whether anything of the event's present alert has gone out.

    Not what and when: a page that is sent again because it now says so would be sent for ever.
    """
    info = event_info(wildcards.event)
    return (
        checked(published_at, SETTINGS.output_dir / wildcards.event, info) is not None
    )


def page_inputs(wildcards):
    """Return every product but the page, which comes last."""
    return [
        path
        for path in event_products(wildcards.event)
        if not path.endswith("index.html")
    ]


def page_receipts(wildcards):
    """Return what changes when a receipt does.

    Not an input: a receipt that cannot be made while Slack is away must not keep the page away.
    """
    sent = (SETTINGS.output_dir / wildcards.event).glob("receipts/*.json")
    return {path.stem: sha256_file(path) for path in sent}


def event_skymap(wildcards):
    return f"{wildcards.event}/{skymap_name(event_info(wildcards.event))}"


def event_alert(wildcards):
    """Return the archived alerts that an event's data come from."""
    info = event_info(wildcards.event)
    return [f"{wildcards.event}/{name}" for name in {info.event_alert_file} if name]


def event_map_source(wildcards):
    info = event_info(wildcards.event)
    return f"{wildcards.event}/{info.skymap_source or info.alert_file}"


def event_keys(*keys):
    """Return a params function for what a rule takes from skymap_info.json.

    With the file as ancient input, an alert that says the same there outdates nothing.
    """

    def values(wildcards):
        return [getattr(event_info(wildcards.event), key) for key in keys]

    return values


@functools.cache
def find_bursts(directory):
    """Return an event's list of gamma-ray bursts, if there is one and it shall count.

    It is read here because a job that fails has lost its old product before it starts.
    """
    name = f"{directory}/{BURSTS_NAME}"
    if SETTINGS.grb.efficiency == 0 or not (SETTINGS.output_dir / name).exists():
        return []
    read_bursts(SETTINGS.output_dir / name, BURST_MODEL)
    return [name]


def event_bursts(wildcards):
    return checked(find_bursts, wildcards.event)


def burst_model(wildcards):
    """Return the model of bursts, which outdates only what has a list of them."""
    return BURST_MODEL if event_bursts(wildcards) else None


def burst_version(wildcards):
    """Return what changes when the list does: one from elsewhere may be older than the result."""
    return [sha256_file(SETTINGS.output_dir / name) for name in event_bursts(wildcards)]


def event_flag(name):
    """Return a params function for one flag, so that it outdates only what depends on it."""

    def flag(wildcards):
        return checked(read_flags, SETTINGS.output_dir / wildcards.event)[name]

    return flag


@functools.cache
def archive_identity():
    """Return what changes when the configured archive does, or None if there is none."""
    directory = SETTINGS.output_dir / ARCHIVE
    return (
        Archive.open(directory).identity
        if (directory / "archive.json").exists()
        else None
    )


def given_neutrinos(wildcards):
    name = event_info(wildcards.event).neutrino_file
    return [f"{wildcards.event}/{name}"] if name else []


def event_response(wildcards):
    """Return the detector's tables, or say how to get them."""
    if archive_identity() is None:
        sys.exit(
            f"llama: there is no neutrino archive {SETTINGS.neutrinos.archive}; make it with: llama neutrinos import PATH"
        )
    return f"{ARCHIVE}/response.hdf5"


def background_versions(wildcards):
    """Return what changes when a background that may serve the event does."""
    info = event_info(wildcards.event)
    run = SETTINGS.background.run or run_name(info.gps_time)
    detectors = "".join(sorted(info.instruments))
    return checked(
        class_versions, SETTINGS.output_dir / POPULATIONS, f"-{run}-{detectors}"
    )
