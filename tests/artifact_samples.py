"""The artifacts of an O3B study, made here: superevents with maps, lists of neutrinos."""

import gzip
import json

import numpy as np

from llama.sky.mock import mock_skymap, to_fits
from llama.times import gps_to_mjd, iso_to_gps

EVENT_TIME = "2019-09-01T00:00:00Z"
GPS = iso_to_gps(EVENT_TIME)
GRACEIDS = ["S190408an", "S190412m", "S190421ar"]
TEMPLATE = {
    "alert_type": "lvalert",
    "graceid": "{graceid}",
    "event_time": EVENT_TIME,
    "far": 3.8e-6,
    "skymap_filename": "bayestar.multiorder.fits,0",
}


def neutrinos(number, count):
    """The rows of one list."""
    rng = np.random.default_rng(number)
    columns = {
        "mjd": gps_to_mjd(GPS + rng.uniform(-500, 500, count)),
        "ra": rng.uniform(0, 360, count),
        "dec": rng.uniform(-80, 80, count),
        "sigma": rng.uniform(0.3, 3, count),
        "energy": 10 ** rng.uniform(2, 5, count),
    }
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in values]


def write_artifacts(root, lists=5, graceids=GRACEIDS):
    """Write the layout of the operators' guide; the last superevent has no map, as it says."""
    for k, graceid in enumerate(graceids):
        (root / "superevents" / graceid).mkdir(parents=True)
        tiles = mock_skymap(40.0 + 100 * k, 20.0 - 20 * k, (6.0, 4.0 + k), (100.0, 30.0))
        content = to_fits(tiles, EVENT_TIME)
        (root / "superevents" / graceid / "bayestar.multiorder.fits").write_bytes(content)
    (root / "bklist").mkdir()
    for k in range(lists):
        (root / "bklist" / f"{k}.json").write_text(json.dumps(neutrinos(k, k)))
    (root / "superevents.txt").write_text("".join(f"{g}\n" for g in [*graceids, "S190930zz"]))
    (root / "bklist_names.txt").write_text("".join(f"{k}.json\n" for k in range(lists)))
    (root / "skymap_info.json.template").write_text(json.dumps(TEMPLATE))
    (root / "placeholder.json").write_text('{"placeholder": "content"}\n')
    np.save(root / "missing_event_ids_cwb.npy", np.array(["S190930zz"]))
    return root


def upload(client, bucket, prefix, root):
    """Put every file below `root` into a new bucket."""
    client.create_bucket(Bucket=bucket)
    for path in sorted(root.rglob("*")):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(root)}"
            client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


def compress(path):
    """Replace a file by its gzip form."""
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
