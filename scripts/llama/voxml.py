"""VOEvent notices as XML, whoever sent them: read without entities, network and surprises."""

from typing import Any

from llama.errors import LlamaError

MAX_BYTES = 1_000_000

Params = dict[tuple[str, str], str]


def parse(content: bytes) -> Any:
    """Return the root of a VOEvent; `LlamaError` for anything else, and for what could do harm."""
    from lxml import etree

    if len(content) > MAX_BYTES:
        raise LlamaError(
            f"the VOEvent has {len(content):,} bytes, more than the {MAX_BYTES:,} of any real "
            "notice; give the notice itself"
        )
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        huge_tree=False,
        recover=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        root = etree.fromstring(content, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise LlamaError(
            f"this is not well-formed XML ({str(error)[:100]}); give the VOEvent as it was sent"
        ) from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise LlamaError(
            "the VOEvent has a DTD or entities, which no real notice has; "
            "give the notice as it was sent"
        )
    name = root.tag.rpartition("}")[2]  # a prefix without a namespace stays in it
    if name != "VOEvent":
        raise LlamaError(f"the XML is a {name[:40]!r}, not a VOEvent; give the notice")
    return root


def params_of(root: Any) -> Params:
    """Return {(type or name of the group, name of the Param): value}; the first one wins."""
    found: Params = {}
    for param in root.iterfind("{*}What//{*}Param"):
        parent = param.getparent()
        in_group = parent.tag.rpartition("}")[2] == "Group"
        group = (parent.get("type") or parent.get("name") or "?") if in_group else ""
        found.setdefault((group, param.get("name", "")), param.get("value", "").strip())
    return found


def text(root: Any, path: str) -> str | None:
    """Return the text of the first element at `path`, None if there is none."""
    found = root.findtext(path)
    return found.strip() or None if found else None
