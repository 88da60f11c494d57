"""`make fuzz`: look for bytes that break a parser, guided by coverage (atheris, libFuzzer).

    python tests/fuzz/fuzz.py                    # every target, ten minutes of processor each
    python tests/fuzz/fuzz.py --seconds 60 skymap

What breaks one is written to `tests/fuzz/corpus/<target>/` and stays there as a test.
"""

import argparse
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from llama.errors import LlamaError

if "--inside" in sys.argv:
    import atheris

    with atheris.instrument_imports(include=["llama"]):
        from targets import CORPUS, TARGETS, corpus, samples
else:
    from targets import CORPUS, TARGETS, corpus, samples

# A whole input in memory, and the interpreter; for one input so long: more is a defect of its own.
_MEMORY_MIB, _INPUT_S = 2048, 20
_HANGS_S = 3600  # by libFuzzer's clock, which goes on while the machine does something else


def main() -> int:
    """Fuzz the targets named on the command line, each in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)}")
    parser.add_argument(
        "--seconds", type=int, default=600, help="of processor for each target (default: 600)"
    )
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.targets) - TARGETS.keys():
        parser.error(f"no targets: {', '.join(sorted(unknown))}")
    if options.inside:
        return _fuzz(options.targets[0], options.seconds)
    failed = []
    for name in options.targets or TARGETS:
        print(f"{name}: {options.seconds} s", flush=True)
        command = [sys.executable, __file__, name, "--seconds", str(options.seconds), "--inside"]
        if subprocess.run(command, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"broken: {', '.join(failed)}; see {CORPUS}")
    return 1 if failed else 0


def _processor_s() -> float:
    return sum(os.times()[:4])  # with children: Slurm's commands


def _fuzz(name: str, seconds: int) -> int:
    target = TARGETS[name]

    def one(content: bytes) -> None:
        begin_s = _processor_s()
        if begin_s > seconds:
            os.kill(os.getpid(), signal.SIGUSR1)  # libFuzzer ends, and prints what it has done
        with contextlib.suppress(LlamaError):
            target(content)
        assert _processor_s() - begin_s < _INPUT_S

    found = CORPUS / name
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        for k, sample in enumerate(samples(name) + corpus(name)):
            (Path(work) / f"sample-{k}").write_bytes(sample)
        atheris.Setup(
            [
                sys.argv[0],
                work,
                f"-artifact_prefix={found}/",
                f"-rss_limit_mb={_MEMORY_MIB}",
                f"-timeout={_HANGS_S}",
                f"-report_slow_units={_HANGS_S}",
                "-max_len=65536",
                "-print_final_stats=1",
                "-verbosity=0",
            ],
            one,
        )
        atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
