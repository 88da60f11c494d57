# PYTHON_ARGCOMPLETE_OK
"""The command `skymap_info`: an event directory from an alert, a notice or a GraceDB id."""

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llama.cli.common import ask, read_file, run_command, say
from llama.cli.parsers import add_switch, add_version
from llama.errors import LlamaError
from llama.layout import to_type

if TYPE_CHECKING:
    from llama.alerts.gracedb import GraceDBClient
    from llama.alerts.intake import IntakeResult
    from llama.alerts.record import Alert
    from llama.settings import Settings

PROG = "skymap_info"
_FACTS = ("id", "time", "far", "p_astro", "instruments")  # that only an event without alert needs
_MAX_SKYMAP_BYTES = 1 << 27  # as the reader has it: published maps have some MB
_MAX_NEUTRINO_BYTES = 20_000_000
_ANSWERS = {
    **dict.fromkeys(("real", "observation", "yes", "y"), "observation"),
    **dict.fromkeys(("test", "no", "n"), "test"),
}
_SHORT_WAIT_S, _LONG_WAIT_S = 1.0, 600.0
_EXAMPLES = """\
examples:
  skymap_info --voevent S190425z-2-Initial.xml --skymap bayestar.fits.gz --role test
  skymap_info --alert S230518h-Update_alert.json --neutrinos neutrinos.csv --role test
  skymap_info --graceid S190425z --skymap LALInference.fits.gz,0
  skymap_info --skymap GW200219.fits --id GW200219_094415 --p-astro 0.96 --instruments H1,L1,V1

The event directory and the next command are printed. An event that exists gets a new
revision, and only if its alert, map or neutrinos differ."""


def main(argv: list[str] | None = None) -> int:
    """Run the command with `argv` (default: the command line) and return its exit code."""
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:
        import argcomplete

        argcomplete.autocomplete(parser)
    args = parser.parse_args(argv)
    if None is args.voevent is args.alert is args.graceid is args.skymap:
        parser.error("one of the arguments --voevent --alert --graceid --skymap is required")
    return run_command(lambda: run(args), PROG)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog=PROG,
        description="Create the directory of a gravitational-wave event, or a new revision of it.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_version(parser)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--voevent", metavar="FILE", type=Path, help="VOEvent notice (XML)")
    source.add_argument("--alert", metavar="FILE", type=Path, help="igwn.gwalert record (JSON)")
    source.add_argument("--graceid", "-graceid", metavar="ID", help="fetch the event from GraceDB")
    parser.add_argument(
        "--skymap",
        metavar="FILE|NAME[,VERSION]",
        help="sky map: a file, or with --graceid the name of one on GraceDB "
        "(default: the one in the alert, or the newest and best on GraceDB); without an alert, "
        "its header says of which event it is",
    )
    _add_facts(parser)
    parser.add_argument(
        "--neutrinos",
        metavar="FILE",
        type=Path,
        help="neutrinos (JSON list, or CSV with mjd, ra, dec, sigma, energy) "
        "instead of the archive's",
    )
    parser.add_argument(
        "--role",
        choices=("test", "observation"),
        help="whether a new event is a test or real; asked if not given",
    )
    add_switch(parser, "confirm that the event is real", "--yes")
    parser.add_argument(
        "--rundir",
        metavar="DIR",
        type=Path,
        help="directory of the event directories (default: current_run in the output directory)",
    )
    forced = "use a notice although a newer one is there, or a map that is of another event"
    add_switch(parser, forced, "--force")
    return parser


def _add_facts(parser: argparse.ArgumentParser) -> None:
    """Add what is said of an event without an alert."""
    facts = parser.add_argument_group("an event without an alert, of which --skymap has no word on")
    name = "its id, or its name in a catalogue, which is never published as an alert"
    facts.add_argument("--id", metavar="NAME", help=name)
    facts.add_argument("--time", metavar="GPS_OR_ISO", help="its time, GPS seconds or UTC")
    facts.add_argument("--far", metavar="HZ", type=float, help="its false-alarm rate")
    p_astro = "the probability that it is real, if known beside or instead of the rate"
    facts.add_argument("--p-astro", metavar="P", type=float, help=p_astro)
    facts.add_argument("--instruments", metavar="H1,L1", help="the detectors that saw it")


def run(args: argparse.Namespace) -> None:
    """Create or revise the event directory; print it and the next command."""
    from llama.settings import load

    settings = load()
    run_dir = args.rundir or settings.output_dir / "current_run"
    alert, content, suffix, client = _alert(args, settings, run_dir)
    skymap = _skymap(args.skymap, alert, client)
    neutrinos, neutrino_maps = None, {}
    if given := args.neutrinos:
        neutrinos = (given.name, read_file(given, _MAX_NEUTRINO_BYTES, "--neutrinos"))
        neutrino_maps = _neutrino_maps(given, neutrinos[1], alert.gps_time or 0.0)
    result = _create(
        run_dir,
        alert,
        alert_content=content,
        alert_suffix=suffix,
        skymap=skymap,
        neutrinos=neutrinos,
        neutrino_maps=neutrino_maps,
        role=_role(args, alert, run_dir / alert.graceid),
        force=args.force,
        by_hand=True,
    )
    for note in (*alert.notes, *result.notes):
        say(f"note: {note}")
    if result.changed:
        retracted = " (RETRACTED)" if alert.kind == "Retraction" else ""
        say(f"{alert.graceid}: revision {result.revision}, {alert.kind}{retracted}")
    else:
        say(f"{alert.graceid}: nothing new, revision {result.revision} stays")
    print(result.event_dir)
    if command := next_command(result.event_dir, settings.output_dir):
        print(command)
        return
    where = "current_run nor past_runs/<run> of an output directory"
    say(f"note: the workflow makes no event of this directory, which is neither {where}")


def _create(run_dir: Path, alert: "Alert", **given: Any) -> "IntakeResult":
    """Make the event or its new revision, and wait for the end of a run of Snakemake on it."""
    from llama.alerts.intake import create_event
    from llama.locks import LockedError

    try:
        return create_event(run_dir, alert, **given, wait_s=_SHORT_WAIT_S)
    except LockedError:
        say(
            f"{alert.graceid} is being made by snakemake, or by llama run; waiting until that has "
            f"ended, at most {_LONG_WAIT_S / 60:.0f} min (Ctrl-C: nothing is written)"
        )
    try:
        return create_event(run_dir, alert, **given, wait_s=_LONG_WAIT_S)
    except LockedError as error:
        raise LlamaError(
            f"{alert.graceid} is still being made after {_LONG_WAIT_S / 60:.0f} min, and nothing "
            "was written; end that run (llama run -k, or Ctrl-C where snakemake was typed), then "
            "run the same command again"
        ) from error


def next_command(event_dir: Path, output_dir: Path) -> str | None:
    """Return the snakemake command that makes the event, None if no command can."""
    from llama.event.find import CURRENT, EventRef

    run_dir, command = event_dir.absolute().parent, None
    if run_dir.resolve() == (output_dir / "current_run").resolve():
        return to_type(EventRef(CURRENT, event_dir.name).target)
    for place in (run_dir.resolve(), run_dir):  # a run may be a link to a directory of any name
        if place.name in ("current_run", "events"):
            base, run = place.parent, CURRENT
        elif place.parent.name == "past_runs":
            base, run = place.parents[1], f"past_runs/{place.name}"
        else:
            continue
        target = EventRef(run, event_dir.name).target
        if base.resolve() == output_dir.resolve():
            return to_type(target)
        command = to_type(shlex.join([target, "--config", f"output_dir={base}"]))
    return command


def _alert(
    args: argparse.Namespace, settings: "Settings", run_dir: Path
) -> "tuple[Alert, bytes, str, GraceDBClient | None]":
    """Return the alert, its raw content, the suffix to archive it with, and GraceDB if asked."""
    from llama.alerts import gracedb, gwalert, voevent

    if None is args.voevent is args.alert is args.graceid:
        from llama.cli.by_hand import alert_by_hand

        alert, content = alert_by_hand(args, _file(args.skymap), run_dir)
        return alert, content, "json", None
    if given := [name for name in _FACTS if getattr(args, name) is not None]:
        option = f"--{given[0].replace('_', '-')}"
        raise LlamaError(f"{option} is for events without an alert; leave it out")
    if args.graceid is not None:
        client = gracedb.connect(settings.gracedb.service_url)
        content = gracedb.fetch_record(client, args.graceid)
        alert = gwalert.parse_alert(content, f"GraceDB's record of {args.graceid}")
        return alert, content, "json", client
    if args.voevent is not None:
        content = read_file(args.voevent, voevent.MAX_BYTES, "--voevent")
        try:
            return voevent.parse_voevent(content), content, "xml", None
        except LlamaError as error:
            raise LlamaError(f"{args.voevent}: {error}") from error
    content = read_file(args.alert, gwalert.MAX_BYTES, "--alert")
    alert = gwalert.parse_alert(content, str(args.alert))
    return alert, content, "xml" if alert.alert_type == "gcn" else "json", None


def _skymap(
    given: str | None, alert: "Alert", client: "GraceDBClient | None"
) -> tuple[str, bytes] | None:
    """Return name and content of the map that is given as a file or fetched from GraceDB."""
    if given is not None and (client is None or Path(given).exists()):
        return _file(given)
    if client is None:
        return None
    name = given or alert.skymap_filename
    if name and not given:
        say(f"note: the sky map is {name}, the best on GraceDB; choose another with --skymap NAME")
    return (name, client.file(alert.graceid, name)) if name else None


def _file(given: str) -> tuple[str, bytes]:
    if not Path(given).exists():
        raise LlamaError(
            f"there is no file {given}; correct --skymap (a name on GraceDB needs --graceid)"
        )
    return Path(given).name, read_file(Path(given), _MAX_SKYMAP_BYTES, "--skymap")


def _neutrino_maps(given: Path, content: bytes, event_gps: float) -> dict[str, bytes]:
    """Return the maps of neutrinos that lie beside a list, by the names that it has for them."""
    from llama.neutrinos.given import is_url, read_given

    rows = read_given(content, given.name, event_gps)
    names = {str(row["map"]) for row in rows if "map" in row and not is_url(row["map"])}
    return {name: read_file(given.parent / name, _MAX_SKYMAP_BYTES, "map") for name in names}


def _role(args: argparse.Namespace, alert: "Alert", event_dir: Path) -> str:
    """Return test or observation, from the existing flags, the options or the user."""
    reason = alert.test_reason
    if args.role == "observation" and reason:
        raise LlamaError(f"{alert.graceid} can only be a test: {reason}; use --role test")
    if (event_dir / "flags.json").exists():
        from llama.event.flags import read_flags

        role = str(read_flags(event_dir)["ROLE"])
        if args.role not in (None, role):
            say(f"note: the event exists with ROLE={role}; --role does not change it")
        return "test" if reason else role
    if reason:
        if alert.alert_type != "catalogue":
            say(f"{alert.graceid} is a test: {reason}")
        return "test"
    role = args.role or _ask_role(alert.graceid)
    if role == "observation" and not args.yes:
        _confirm(alert.graceid)
    return "test" if role == "test" else "observation"


def _ask_role(graceid: str) -> str:
    """Return test, observation, or confirmed: YES is the word that `_confirm` would ask for."""
    if not sys.stdin.isatty():
        raise LlamaError(
            f"say whether {graceid} is real or a test with --role observation or --role test"
        )
    for _ in range(3):
        answer = ask(
            f"Is {graceid} a real event, whose results may go out to collaborators, or a test? "
            "[real/test]"
        )
        if answer == "YES":
            return "confirmed"
        if answer.lower() in _ANSWERS:
            return _ANSWERS[answer.lower()]
    raise LlamaError("the answer was neither real nor test; start again, nothing was written")


def _confirm(graceid: str) -> None:
    if not sys.stdin.isatty():
        raise LlamaError(f"confirm with --yes that {graceid} is a real event; nothing was written")
    if ask(f"{graceid} will be treated as REAL. Type YES to confirm:") != "YES":
        raise LlamaError("not confirmed with YES; start again, nothing was written")
