"""One form for all spellings of a destination, to tell whether two settings are one place.

Nothing is sent to this form: it is compared. Where spellings may or may not lead to one place, as
letter case in a path, they count as one: then a setting is refused, or no second message goes.
"""

import ipaddress
import os
import posixpath
import re
import socket
import unicodedata
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

_PORTS = {"http": 80, "https": 443}


def place(channel: str, destination: str) -> str:
    """Return the form that all spellings of a channel's destination share."""
    text = unicodedata.normalize("NFKC", str(destination)).strip()
    if channel in ("webhook", "gracedb"):
        # a GraceDB has one log, whichever root of its API is used
        return _url(text, with_path=channel == "webhook")
    if channel == "icecube":
        return _directory(text).casefold()
    if channel == "gcn":  # DOMAIN/PREFIX or PREFIX; Kafka takes . and _ for one in its metrics
        domain, slash, prefix = text.casefold().rpartition("/")
        return f"{domain.rstrip('.')}{slash}{prefix.replace('_', '.').strip('.')}"
    return text.casefold().rstrip(".")


def _directory(text: str) -> str:
    try:
        return os.path.realpath(text)
    except (OSError, ValueError):  # no path at all
        return text


def _url(text: str, with_path: bool) -> str:
    """Return host:port/path?query of an address; what has no host, as it is but for its case."""
    try:
        parts = urlsplit(text.replace("\\", "/"))
        host = _host(parts.hostname or "")
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return text.casefold()
    if not host:
        return text.casefold()
    if not with_path:
        return f"{host}:{port}"
    path = posixpath.normpath("/" + unquote(parts.path).casefold().replace("\\", "/").lstrip("/"))
    query = urlencode(sorted(parse_qsl(parts.query.casefold(), keep_blank_values=True)))
    return f"{host}:{port}{quote(path).rstrip('/')}{'?' if query else ''}{query}"


def _host(name: str) -> str:
    """Return a host's name in ASCII, or its address in one form; this machine is localhost."""
    name = unquote(name).casefold().rstrip(".")
    address = _address(name)
    if address is None:
        labels = re.split("[.\u3002\uff0e\uff61]", name)
        name = ".".join(map(_ascii, labels)).rstrip(".")
        address = _address(name)
    if address is None:
        return "localhost" if name.endswith(".localhost") else name
    return "localhost" if address.is_loopback or address.is_unspecified else f"[{address}]"


def _ascii(label: str) -> str:
    try:
        return label.encode("idna").decode().casefold()
    except UnicodeError:
        return label


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that a host is written as, also as one number or in octal."""
    try:
        address = ipaddress.ip_address(name.strip("[]").partition("%")[0])
    except ValueError:
        if not re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)(\.(0x[0-9a-f]*|[0-9]+)){0,3}", name):
            return None
        try:
            return ipaddress.IPv4Address(socket.inet_aton(name))
        except (OSError, ValueError):
            return None
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine's own."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
