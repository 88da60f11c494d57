"""Files for IceCube's combination script, under its names, in a directory that it watches.

It looks for `<notice>.significance_opa_lvc-i3.json` when one instrument is listed, else for
`<notice>.significance_subthreshold_lvc-i3.json`. A file appears whole or not at all.
"""

from pathlib import Path

from msgspec import Struct, json, to_builtins

from llama.errors import LlamaError
from llama.event.names import significance_name
from llama.files import dump_json, sha256_bytes, sha256_file, write_bytes
from llama.publish.outbox import Found, Post
from llama.publish.result import Result


class File(Struct, frozen=True):
    """What is written."""

    name: str
    content: str


def file_name(result: Result) -> str:
    """Return the name that the script looks for, and a name of its own for a retraction."""
    notice = result.info.notice
    if result.info.retracted:
        return f"{notice}.retraction_lvc-i3.json"
    word = "opa" if len(result.info.instruments) == 1 else "subthreshold"
    return f"{notice}.significance_{word}_lvc-i3.json"


def build(result: Result, key: str, kind: str, refers_to: str | None) -> bytes:
    """Return name and content of the file."""
    if kind == "withdrawal":
        content = to_builtins(result.facts()) | {"key": key, "refers_to": refers_to}
        text = dump_json(content)
    else:
        text = (result.event_dir / significance_name(result.info)).read_text(encoding="utf-8")
    return dump_json(to_builtins(File(file_name(result), text))).encode()


class IceCubeFiles:
    """The directory; it must be there, so that a disk that is not mounted is noticed."""

    def __init__(self, destination: str) -> None:
        self._directory = Path(destination)

    def find(self, post: Post) -> Found | None:
        """Return the path if the file is there with just this content."""
        path, content = self._file(post)
        same = path.exists() and sha256_file(path) == sha256_bytes(content)
        return Found(str(path)) if same else None

    def send(self, post: Post) -> str:
        """Write the file."""
        path, content = self._file(post)
        if not self._directory.is_dir():
            raise LlamaError(
                f"{self._directory} is not there; make or mount it, or correct publish in "
                "the settings"
            )
        write_bytes(path, content)
        return str(path)

    def _file(self, post: Post) -> tuple[Path, bytes]:
        file = json.decode(post.payload, type=File)
        return self._directory / file.name, file.content.encode()
