"""The fleet's droplets that nobody owns any more, and why."""

import time
from collections.abc import Callable

from llama.fleet import crew as module
from llama.fleet.crew import Crew
from llama.fleet.money import unix
from llama.fleet.names import doubles
from llama.fleet.records import Droplet


def orphans(
    crew: Crew, owned: Callable[[Droplet], bool] | None = None
) -> list[tuple[Droplet, str]]:
    """Return the fleet's droplets that nobody owns any more, each with the reason.

    Those are droplets that are too old, that were destroyed by us and are still there, or that
    no ledger here knows; workers that are off; and those that `owned`, when given, says no to.
    """
    now, found = time.time(), []
    lives = {life.id: life for life in crew.ledger.lives()}
    droplets = crew.droplets()
    twice = doubles(droplets)
    for droplet in droplets:
        life = lives.get(droplet.id)
        hours = (now - unix(droplet.created)) / 3600
        if droplet in twice:
            found.append((droplet, "another droplet has the same name, it was ordered twice"))
        elif life is None and crew.ledger.study_of(droplet.name) is not None:
            found.append((droplet, "ordered from here, came after it was given up"))
        elif life is None or life.found:
            found.append((droplet, "not made from here"))
        elif life.end is not None and now - life.end > module.LIST_LAGS_S:
            found.append((droplet, "was destroyed, and is still there"))
        elif hours > crew.limits.max_hours:
            found.append((droplet, f"{hours:.0f} h old, fleet.max_hours is over"))
        elif droplet.status == "off" and droplet.name.startswith(crew.worker_prefix):
            found.append((droplet, "a worker that has powered itself off"))
        elif owned is not None and not owned(droplet):
            found.append((droplet, "without work"))
    return found
