"""`llama dev dv` over real ssh: host keys, hosts that fail, and what is said about them."""

import os
import subprocess
import time
from pathlib import Path

import msgspec
import pytest
import yaml
from do_double import Cloud
from shell import Bash
from standin import StandIns, keygen

from llama.files import write_json
from llama.fleet.hostkeys import fingerprint, fleet_key, user_data
from llama.fleet.launch import Launch, places
from llama.locks import only_one
from llama.settings import load

FOREIGN = [{"name": f"llama-{n}", "tags": ["llama"]} for n in range(3)]


@pytest.fixture
def known(fleet: Cloud, bash: Bash) -> Cloud:
    """Three droplets made on the web page, whose keys have been confirmed."""
    fleet.control({"droplets": FOREIGN})
    assert bash("llama dev dv init", "y\n").returncode == 0
    return fleet


def droplet(cloud: Cloud, name: str) -> dict:
    return next(d for d in cloud.droplets.values() if d["name"] == name)


def test_no_key_is_trusted_unseen(fleet: Cloud, stand_ins: StandIns, bash: Bash):
    fleet.control({"droplets": FOREIGN})
    done = bash("llama dev dv eval true")
    assert done.returncode == 1
    assert "failed: llama-[0-2]: its host key is not known; see llama dev dv init" in done.stderr
    done = bash("llama dev dv init", "n\n")
    assert done.returncode == 1
    assert "llama-[0-2]: not trusted\n0 of 3 known" in done.stderr
    assert len(done.stdout.splitlines()) == 3
    key = stand_ins.place("llama-0") / f"host-{droplet(fleet, 'llama-0')['id']}.pub"
    shown = fingerprint(" ".join(key.read_text().split()[:2]))
    assert f"ssh-ed25519  {shown}" in done.stdout.splitlines()[0]
    assert bash("llama dev dv eval true").returncode == 1
    assert bash("llama dev dv -p 'llama-[01]' init", "y\n").returncode == 0
    done = bash("llama dev dv eval 'echo $HERE'")
    assert "2 of 3 droplets done" in done.stderr
    assert bash("llama dev dv init", "y\n").returncode == 0
    assert bash("llama dev dv init").returncode == 0  # once is enough
    assert bash("llama dev dv eval true").returncode == 0


def test_a_key_that_changes(known: Cloud, stand_ins: StandIns, bash: Bash):
    victim = droplet(known, "llama-1")
    stand_ins.halt(victim)
    path = stand_ins.place("llama-1") / f"host-{victim['id']}"
    path.unlink()
    keygen(path.with_name("other"))
    path.with_name("other").rename(path)
    stand_ins.boot(victim)
    done = bash("llama dev dv eval 'echo in'")
    assert done.returncode == 1
    assert done.stdout == "--- llama-[0,2] (2)\nin\n"
    assert "failed: llama-1: its host key is not known" in done.stderr
    done = bash("llama dev dv init", "y\n")
    assert done.returncode == 1
    assert "llama-1: ANOTHER host key than before" in done.stderr
    assert bash("llama dev dv eval true").returncode == 1


def test_an_address_that_is_used_again(known: Cloud, stand_ins: StandIns, bash: Bash):
    old = droplet(known, "llama-0")
    known.delete(old["id"])
    while old["_ip"] not in known.free_ips:
        time.sleep(0.02)
    known.free_ips.remove(old["_ip"])
    known.free_ips.appendleft(old["_ip"])
    known.control({"droplets": [FOREIGN[0]]})
    new = droplet(known, "llama-0")
    assert new["_ip"] == old["_ip"]
    assert bash("llama dev dv eval true").returncode == 1  # a new droplet, a new key
    done = bash("llama dev dv init", "y\n")
    assert "ANOTHER" not in done.stderr
    assert done.returncode == 0
    known_hosts = Path(str(done.stderr.split("ssh -F ")[1].split()[0])).with_name("known_hosts")
    assert f"droplet-{old['id']} " not in known_hosts.read_text()


def test_one_failing_host_never_stops_the_rest(known: Cloud, stand_ins: StandIns, bash: Bash):
    stand_ins.halt(droplet(known, "llama-1"))
    done = bash("llama dev dv eval 'echo $HERE; echo oops >&2; test $HERE = llama-0 || exit 3'")
    assert done.returncode == 1
    assert "--- llama-0\nllama-0\n" in done.stdout
    assert "--- llama-2\nllama-2\n" in done.stdout
    assert done.stderr.count("oops") == 2
    assert "failed: llama-1: no connection (ssh: connect to host" in done.stderr
    assert "failed: llama-2: exit code 3" in done.stderr
    assert done.stderr.endswith("1 of 3 droplets done\n")
    done = bash("llama dev dv ls-procs")
    assert done.returncode == 1
    assert done.stdout == "total of 0 running processes on 0 droplets\n"
    done = bash("llama dev dv init")
    assert "llama-1: no answer" in done.stderr
    done = bash("llama dev dv -p 'llama-[02]' tail")
    assert done.returncode == 0


def test_who_is_meant(known: Cloud, bash: Bash):
    known.control({"droplets": [{"name": "llama-x"}, FOREIGN[0]]})
    done = bash("llama dev dv -p 'llama-*' eval 'echo $HERE'")
    twin = max(d["id"] for d in known.droplets.values())
    assert "llama-x" not in done.stdout + done.stderr  # it has not the fleet's tag
    assert f"failed: llama-0.{twin}: its host key" in done.stderr
    assert "3 of 4 droplets done" in done.stderr
    done = bash("llama dev dv -p nobody eval true")
    assert done.returncode == 1
    assert "no active droplet with the tag llama matches nobody" in done.stderr
    droplet(known, "llama-2")["status"] = "off"
    done = bash("llama dev dv eval true")
    assert "1 droplet is not active and left out" in done.stderr


def test_commands_reach_the_host_as_typed(known: Cloud, bash: Bash):
    done = bash("""llama dev dv -p llama-0 eval 'echo "a  b" $((1+1)) %h \\$ ; printf "\\377x"'""")
    assert done.stdout == "--- llama-0\na  b 2 %h $\n\ufffdx\n"
    done = bash("llama dev dv -p llama-0 eval 'cat; echo end' ")  # stdin is not the host's
    assert done.stdout == "--- llama-0\nend\n"


def test_killall_takes_those_that_do_not_listen(known: Cloud, bash: Bash):
    start = "trap '' TERM; exec -a /usr/bin/llama sleep 600"
    line = f"""llama dev dv -p llama-0 eval 'nohup bash -c "{start}" >/dev/null 2>&1 & sleep 0.2'"""
    assert bash(line.replace("''", "'\\'''\\''")).returncode == 0
    assert bash("llama dev dv ls-procs").stdout.endswith(
        "total of 1 running process on 1 droplet\n"
    )
    assert bash("llama dev dv killall").returncode == 0
    assert bash("llama dev dv ls-procs").stdout.startswith("total of 0")


def test_killall_says_what_ends_a_launch(known: Cloud, bash: Bash, tmp_path: Path):
    settings, maps = load(), "/maps/bns-o3/H 1.csv"
    launch = Launch("bns-o3-H1", maps, None, "do-cluster", 1.0)
    batch = msgspec.structs.replace(launch, study="cbc-o3-L1", skymaps="")
    for one in (launch, batch, msgspec.structs.replace(launch, study="bbh-o3-V1")):
        write_json(places(settings, one.study).record, msgspec.to_builtins(one))
    with only_one(places(settings, "bns-o3-H1").lock, "it"):
        with only_one(places(settings, "cbc-o3-L1").lock, "it"):
            done = bash("llama dev dv killall")
        assert done.returncode == 1
        assert "3 of 3 droplets done" in done.stderr
        until = "was launched here and is at work: its jobs start again until you end it with:"
        assert (
            f"bns-o3-H1 {until} llama dev dv launch bg '/maps/bns-o3/H 1.csv' -k\n" in done.stderr
        )
        # the settings have no such study, which a command could name
        assert f"cbc-o3-L1 {until} kill -INT {os.getpid()}\n" in done.stderr
        assert "bbh" not in done.stderr
        done = bash("llama dev dv -p nobody killall")  # before there are droplets, too
        assert "bns-o3-H1 was launched here" in done.stderr
    assert bash("llama dev dv killall").returncode == 0


def test_the_fleet_key(tmp_path: Path):
    private, public = fleet_key(tmp_path)
    assert (tmp_path / "host_ed25519").stat().st_mode & 0o777 == 0o600
    assert fleet_key(tmp_path) == (private, public)
    derived = subprocess.check_output(
        ["ssh-keygen", "-y", "-f", tmp_path / "host_ed25519"], text=True
    )
    assert derived.split()[:2] == public.split()
    config = yaml.safe_load(user_data(tmp_path))
    assert config["ssh_keys"] == {"ed25519_private": private, "ed25519_public": public}
    assert config["ssh_deletekeys"] is True
