"""The operators' guide, command by command as it stands there, in bash, with real sshd's.

From "DigitalOcean Administration Examples" to "Running the Analysis in Parallel". What is typed is
copied from the guide; only the number of servers is smaller, which its brace expansion tells.
"""

import functools
import io
import re
import shutil
import time
from pathlib import Path

import pytest
from do_double import ApiError, Cloud
from shell import Bash
from standin import StandIns

from llama.cli.main import main
from llama.fleet.crew import Crew

IMAGES = ("llama-parallel-early-er14-o2-bg", "llama-parallel-bns-o3")


@pytest.fixture
def account_of_the_guide(fleet: Cloud) -> Cloud:
    for name in IMAGES:
        fleet.add_image(name)
    fleet.control({"droplets": [{"name": "web"}, {"name": "llama-old", "tags": ["llama"]}]})
    return fleet


def wait_active(cloud: Cloud) -> None:
    while any(d["status"] == "new" for d in list(cloud.droplets.values())):
        time.sleep(0.02)


def test_administration(account_of_the_guide: Cloud, bash: Bash):
    cloud = account_of_the_guide
    done = bash("llama com do -h")
    assert done.returncode == 0
    assert "columns of -D: name, status, ip" in done.stdout
    done = bash("llama com do -D")
    assert re.search(r"^llama-old +active +127\.77\.0\.\d+ ", done.stdout, re.M)
    assert re.match(r"name +status +ip +size +region +image +created\n", done.stderr)
    for typed in ("llama*", "'llama*'", '"llama*"', "llama\\*"):
        done = bash(f"llama com do -D {typed}")
        assert [line.split()[0] for line in done.stdout.splitlines()] == ["llama-old"]
    address = next(d["_ip"] for d in cloud.droplets.values() if d["name"] == "llama-old")
    done = bash("llama com do -D llama* -C ip")
    assert (done.stdout, done.stderr) == (f"{address}\n", "ip\n")
    done = bash("llama com do -n -D llama* -C ip")
    assert (done.stdout, done.stderr) == (f"{address}\n", "")
    done = bash("llama com do -S")
    assert {line.split()[0] for line in done.stdout.splitlines()} == {*IMAGES, "llama-worker"}

    done = bash("llama com do -c llama-provision -i llama-parallel-early-er14-o2-bg", "y\n")
    assert done.returncode == 0
    assert "$0.0357 per hour, with" in done.stderr
    done = bash(
        "llama com do \\\n    -c llama-parallel-{00..11} "
        "\\\n    -i llama-parallel-early-er14-o2-bg",
        "y\n",
    )
    assert done.returncode == 0
    assert "12 x s-2vcpu-4gb in nyc3 from llama-parallel-early-er14-o2-bg" in done.stderr
    assert "llama-parallel-00 .. llama-parallel-11\n$0.4285 per hour" in done.stderr
    assert cloud.created == 15
    wait_active(cloud)
    assert bash("llama com do -D | wc -l").stdout == "15\n"

    for answer in ("", "n\n", "yes\n", "Y\n"):
        done = bash("llama com do -d llama*", answer)
        assert done.returncode == 1
        assert "Destroy these 14 droplets for ever? [y/N]" in done.stderr
        assert len(done.stdout.splitlines()) == 14
    assert cloud.deleted == 0
    done = bash("llama com do -d llama*", "y\n")
    assert done.returncode == 0
    assert [d["name"] for d in cloud.droplets.values()] == ["web"]


def test_wildcards_that_the_shell_takes(account_of_the_guide: Cloud, bash: Bash):
    done = bash("touch llama-notes.txt; llama com do -D llama*")
    assert done.stdout == ""
    assert "no droplet matches llama-notes.txt; the shell has put files" in done.stderr
    done = bash("llama com do -d llama*", "y\n")
    assert done.returncode == 1
    assert "quote the wildcard" in done.stderr
    assert account_of_the_guide.deleted == 0


def test_a_name_that_cannot_be_is_refused_before_anything_is_ordered(fleet: Cloud, bash: Bash):
    done = bash("llama com do -c llama-{00..10} llama_11", "y\n")
    assert done.returncode == 1
    assert "no droplet can be called llama_11; use letters, digits, dashes and dots" in done.stderr
    assert fleet.created == 0
    assert "[y/N]" not in done.stderr


SHELLS = [name for name in ("bash", "zsh", "fish") if shutil.which(name)]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_guide_in_other_shells(account_of_the_guide: Cloud, bash: Bash, shell: str):
    """Wildcards are quoted there; fish hands {00..01} on as it is, and LLAMA knows what it is."""
    typed = "llama com do -c llama-parallel-{00..02} -i llama-parallel-bns-o3"
    done = bash(f"{shell} -c '{typed}'", "y\n")
    assert done.returncode == 0, done.stderr
    names = sorted(d["name"] for d in account_of_the_guide.droplets.values())
    assert names[1:4] == [f"llama-parallel-{n:02}" for n in range(3)]
    done = bash(f"{shell} -c 'llama com do -n -D \"llama*\" -C name'")
    assert done.stdout.split() == ["llama-old", *names[1:4]]
    done = bash(f"{shell} -c 'llama com do -d llama-parallel-{{00..02}}'", "y\n")
    assert done.returncode == 0, done.stderr
    assert account_of_the_guide.deleted == 3


def test_what_is_said_of_the_account(fleet: Cloud, bash: Bash, tmp_path: Path):
    fleet.control({"droplets": [{"name": "web"}]})
    done = bash("llama com do -c a", "n\n")
    assert f"limits count what this output directory orders, {tmp_path}/out" in done.stderr
    line = "1 of 25 droplets, $11.21 used this month, "
    assert f"{line}$23.44 due)" in done.stderr
    assert fleet.balance is not None
    fleet.balance["month_to_date_balance"] = "-40.00"
    fleet.status, fleet.status_message = "warning", "no card"
    done = bash("llama com do -c a", "n\n")
    assert f"{line}$40.00 of credit left, 1,120 h, status WARNING: no card)" in done.stderr
    fleet.balance = None
    done = bash("llama com do -c a", "y\n")
    assert "its balance is not shown to this token" in done.stderr
    assert done.returncode == 0
    fleet.balance = {}
    done = bash("llama com do -c b", "y\n")
    assert "its balance is not known: DigitalOcean's answer holds no balance" in done.stderr
    assert fleet.created == 3


def test_an_order_that_comes_twice(
    fleet: Cloud, settings_file: Path, monkeypatch: pytest.MonkeyPatch, capsys
):
    orders, real = [], fleet.create

    def create(order):
        orders.append(order)
        if len(orders) == 1:
            raise ApiError(500, "server_error", "Server Error")
        return real(order)

    fleet.create = create  # type: ignore[method-assign]
    # the clock of the command: in its minute the first order comes true
    patient = functools.partial(Crew, pause=lambda seconds: real(orders[0]))
    monkeypatch.setattr("llama.cli.com.Crew", patient)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert main(["com", "do", "-c", "a", "-i", "debian-12-x64"]) == 0
    assert "left an order unanswered; looking for what comes late, 60 s" in capsys.readouterr().err
    assert (fleet.created, fleet.deleted) == (2, 1)


def test_destroying_everything(account_of_the_guide: Cloud, bash: Bash):
    for typed in ("'**'", "'?*'", "''", "'*?' llama-old"):
        assert bash(f"llama com do -d {typed}", "y\n2\n").returncode == 1
    assert bash("llama com do -d").returncode == 2
    for answer in ("y\n", "", "1\n"):
        done = bash("llama com do -d '*'", answer)
        assert done.returncode == 1
        assert "ALL droplets of the account" in done.stderr
    assert account_of_the_guide.deleted == 0
    assert bash("llama com do -d '*'", "2\n").returncode == 0
    assert account_of_the_guide.droplets == {}


def test_in_parallel(account_of_the_guide: Cloud, stand_ins: StandIns, bash: Bash):
    cloud = account_of_the_guide
    cloud.delete(next(i for i, d in cloud.droplets.items() if d["name"] == "llama-old"))
    done = bash("llama com do -c llama-parallel-bns-o3-00 -i llama-parallel-bns-o3", "y\n")
    assert done.returncode == 0
    done = bash("llama com do -c llama-parallel-bns-o3-{01..03} -i llama-parallel-bns-o3", "y\n")
    assert done.returncode == 0
    wait_active(cloud)
    # cloud-init has told them the fleet's key: nothing to confirm
    done = bash("llama dev dv init")
    assert done.returncode == 0
    assert done.stderr.startswith("4 of 4 known")
    done = bash("llama dev dv ls-procs")
    assert done.stdout.splitlines()[-1] == "total of 0 running processes on 0 droplets"

    work = "(exec -a snakemake sleep 600) >/dev/null 2>&1 & sleep 0.2"
    assert bash(f"llama dev dv -p '*-0[1-3]' eval 'bash -c \"{work}\"'").returncode == 0
    done = bash("llama dev dv ls-procs")
    assert done.stdout.splitlines()[-1] == "total of 3 running processes on 3 droplets"
    assert re.search(r"^--- llama-parallel-bns-o3-01\n\d+ snakemake 600$", done.stdout, re.M)

    assert bash("llama dev dv done bg").returncode == 0
    logs = stand_ins.place("llama-parallel-bns-o3-02") / "logs"
    (logs / "1.log").write_text("old\n")
    (logs / "2.log").write_text("".join(f"line {n}\n" for n in range(40)))
    done = bash("llama dev dv tail")
    assert f"--- llama-parallel-bns-o3-02\n{logs}/2.log\nline 30\n" in done.stdout
    assert "line 29\n" not in done.stdout
    assert done.stdout.count("no log in") == 3

    place = stand_ins.place("llama-parallel-bns-o3-00")
    done = bash(f"llama dev dv -p llama-parallel-bns-o3-00 eval \\\n   'ls {place}/..'")
    assert "llama-parallel-bns-o3-00\n" in done.stdout
    assert done.stderr == "1 of 1 droplets done\n"
    assert bash("llama dev dv killall").returncode == 0
    done = bash("llama dev dv ls-procs")
    assert done.stdout == "total of 0 running processes on 0 droplets\n"


def test_what_an_operator_sees_of_trouble(fleet: Cloud, bash: Bash):
    away = {"match": "GET droplets", "status": 503, "times": 1}
    fleet.control({"droplets": [{"name": "web"}], "faults": [away]})
    done = bash("llama com do -n -D -C name,status")
    assert (done.returncode, done.stdout) == (0, "web  active\n")
    assert re.fullmatch(r"DigitalOcean is out of order \(503: .*\); again in \d+ s\n", done.stderr)
    for line, code, said in (
        ("llama com do -D -C nonsense", 2, "no column nonsense; choose of name, status"),
        ("llama com do --snapshot s", 2, "--snapshot needs -i"),
        ("llama com do --snapshot s -i nobody", 1, "-i nobody names no droplet"),
        ("llama com do -c a -i nothing", 1, "no snapshot or public image is called nothing"),
        ("llama com do -c a --size huge", 1, "choose one of s-1vcpu-1gb, s-2vcpu-4gb"),
        ("llama com do -c n{00..99}", 1, "the account may have only 24 more droplets"),
        ("llama com do -c n{000..100}", 1, "fleet.max_droplets = 100; destroy some or raise it"),
        ("DIGITALOCEAN= llama com do -D", 1, "there is no DigitalOcean token; export"),
        ("DIGITALOCEAN=wrong-token llama com do -D", 1, "does not know this token"),
        ("DIGITALOCEAN_END_POINT=http://127.0.0.2:9/ llama com do -D", 1, "in clear"),
    ):
        done = bash(line, "y\n")
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert "Traceback" not in done.stderr
    assert fleet.created == 1
    assert bash("llama com do -c web2", "n\n").returncode == 1
    assert bash("llama com do --reap").stderr == "no droplet to reap\n"
    assert fleet.created == 1
