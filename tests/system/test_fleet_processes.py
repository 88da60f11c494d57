"""The fleet without root: droplets are process groups, Slurm and S3 are real."""

import shutil
from collections.abc import Iterator

import cluster
import pytest
from cluster import Fleet

pytestmark = pytest.mark.skipif(
    not shutil.which("slurmctld", path="/usr/sbin:/sbin:/usr/bin"),
    reason="needs slurmctld slurmd slurm-client munge",
)


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A head without droplets."""
    root = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch, cluster.fleet(root, patch, False) as made:
        yield made


def test_a_study_is_the_local_one_and_a_lost_droplet_costs_nothing(fleet: Fleet) -> None:
    fleet.another_study(8)
    local = fleet.local_run()
    run = fleet.start("snakemake", "--profile", "do-cluster")
    node = fleet.wait(lambda: fleet.jobs("R"))[0].split()[1]
    fleet.droplets.kill(node)
    assert fleet.wait_for(run, 300) == 0
    assert fleet.numbers() == local
    fleet.wait(lambda: not fleet.names(), 120)
    assert fleet.cloud.created == fleet.cloud.deleted


def test_the_same_rules_on_a_site_with_a_shared_file_system(fleet: Fleet) -> None:
    fleet.another_study(3)
    local = fleet.local_run()
    fleet.run("snakemake", "--profile", "profiles/slurm", timeout=400)
    assert fleet.numbers() == local
    # the bank and the tables were jobs, too
    jobs = (fleet.slurm / "log/jobcomp.log").read_text()
    for rule in ("build_bank", "inject", "collate_populations"):
        assert f"Name=llama-{rule} JobState=COMPLETED" in jobs
