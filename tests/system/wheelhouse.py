"""What is installed beside this Python as wheels again, for an installation without a network."""

import zipfile
from importlib import metadata
from pathlib import Path

_INSTALLERS = ("INSTALLER", "REQUESTED", "direct_url.json")


def fill(directory: Path) -> None:
    """Pack what is installed here, but LLAMA, into wheels; programs that are scripts get lost."""
    for found in metadata.distributions():
        about = found.read_text("WHEEL") or ""
        tags = [line[5:].split("-") for line in about.splitlines() if line.startswith("Tag: ")]
        if not tags or found.metadata["Name"] == "llama-multimessenger":
            continue
        name = found.metadata["Name"].replace("-", "_").replace(".", "_")
        tag = "-".join(".".join(dict.fromkeys(part)) for part in zip(*tags, strict=True))
        files = [
            path
            for path in found.files or ()
            if ".." not in path.parts and path.suffix != ".pyc" and path.name not in _INSTALLERS
        ]
        with zipfile.ZipFile(directory / f"{name}-{found.version}-{tag}.whl", "w") as wheel:
            for path in files:
                if path.match("*.dist-info/RECORD"):
                    wheel.writestr(str(path), "".join(f'"{file}",,\n' for file in files))
                else:
                    wheel.write(str(path.locate()), str(path))
