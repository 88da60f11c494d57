"""Prints the bill of materials of a container image, in CycloneDX's form: see Containerfile."""

import json
import subprocess
import sys
from importlib import metadata
from urllib.parse import quote

packages = []
listed = ["dpkg-query", "--show", "--showformat", "${Package}\t${Version}\t${Architecture}\n"]
for line in subprocess.run(listed, capture_output=True, text=True, check=True).stdout.splitlines():
    name, version, arch = line.split("\t")
    purl = f"pkg:deb/debian/{name}@{quote(version, safe='')}?arch={arch}"
    packages.append({"name": name, "version": version, "purl": purl})
for found in metadata.distributions():
    name, version = found.metadata["Name"], found.version
    purl = f"pkg:pypi/{name.lower().replace('_', '-')}@{quote(version, safe='')}"
    packages.append({"name": name, "version": version, "purl": purl})
    if said := found.metadata["License-Expression"]:
        packages[-1]["licenses"] = [{"expression": said}]
components = [{"type": "library", "bom-ref": entry["purl"], **entry} for entry in packages]
bill = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.6",
    "metadata": {"component": {"type": "container", "name": "llama"}},
    "components": sorted(components, key=lambda entry: entry["purl"]),
}
json.dump(bill, sys.stdout, indent=1)
