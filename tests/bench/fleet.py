"""One command on 100 droplets: stand-ins with a real sshd each, all on this machine."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import CLONE, environment, row

sys.path.insert(0, str(CLONE / "tests/system"))

from do_double import Cloud
from do_server import running
from standin import StandIns

from llama.settings import default_yaml

COUNT = 100


def rows() -> Iterator[dict[str, Any]]:
    """Yield the rows of the fleet; half of the processor time is the servers'."""
    with tempfile.TemporaryDirectory() as directory:
        output = Path(directory)
        stand_ins = StandIns(output / "droplets")
        cloud = Cloud(boot=stand_ins.boot, halt=stand_ins.halt)
        cloud.droplet_limit = COUNT
        config = output / "config.yaml"
        config.write_text(default_yaml().replace("output_dir: null", f"output_dir: {output}/out"))
        try:
            with running(cloud) as end_point:
                os.environ |= {
                    "DIGITALOCEAN_END_POINT": end_point,
                    "DIGITALOCEAN": cloud.token,
                    "LLAMA_CONFIG": str(config),
                    "HOME": str(stand_ins.home),
                }
                yield from _measured(cloud)
        finally:
            stand_ins.halt_all()


def _measured(cloud: Cloud) -> Iterator[dict[str, Any]]:
    names = [f"llama-{number:02}" for number in range(COUNT)]
    yield row(f"fleet_create_{COUNT}_s", _timed("com", "do", "-c", *names), "s", None)
    while any(droplet["status"] == "new" for droplet in list(cloud.droplets.values())):
        time.sleep(0.1)
    yield row("fleet_list_s", _timed("com", "do", "-D"), "s", None)
    yield row(f"fleet_init_{COUNT}_hosts_s", _timed("dev", "dv", "init"), "s", None)
    seconds = _timed("dev", "dv", "eval", "hostname; ls /")
    yield row(f"fleet_eval_{COUNT}_hosts_s", seconds, "s", 10)


def _timed(*words: str) -> float:
    start = time.perf_counter()
    done = subprocess.run(
        ["llama", *words], input="y\n", capture_output=True, text=True, env=environment()
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return time.perf_counter() - start
