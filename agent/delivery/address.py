"""The URL of a sink or a proxy, taken apart and held to what is safe to speak."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse

import msgspec

from agent.delivery.errors import SettingsError

_PORTS = {"https": 443, "http": 80}
_PLAIN = re.compile(r"[\x21-\x7e]{1,2000}\Z")


class Address(msgspec.Struct, frozen=True):
    """Where requests go: the host, the port and the path in front of every request's own."""

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""
    secret: bool = False
    """Whether knowing it is enough to be let in."""

    @property
    def where(self) -> str:
        """Return it for a message: never the query, nor of a secret one the path, which may grant access."""
        return f"{self.scheme}://{self.authority}{'' if self.secret else self.path}"

    @property
    def authority(self) -> str:
        """Return what the Host header says."""
        return self._bracketed if self.port == _PORTS[self.scheme] else f"{self._bracketed}:{self.port}"

    @property
    def endpoint(self) -> str:
        """Return what a proxy is asked to connect to."""
        return f"{self._bracketed}:{self.port}"

    @property
    def _bracketed(self) -> str:
        return f"[{self.host}]" if ":" in self.host else self.host

    def target(self, path: str = "") -> str:
        """Return what stands behind the method: this path and one below it, and the query."""
        return (self.path.rstrip("/") + path or "/") + (f"?{self.query}" if self.query else "")


def parse(url: str, option: str) -> Address:
    """Return the address of a sink's URL: `https`, or `http` to this machine itself. Raises: SettingsError."""
    address = _parse(url, option)
    if address.scheme == "http" and not is_loopback(address.host):
        raise SettingsError(option, "https, or http to this machine itself", "http to another machine")
    return address


def parse_proxy(url: str, option: str) -> Address:
    """Return the address of a proxy, which is asked to CONNECT in the open. Raises: SettingsError."""
    address = _parse(url, option)
    if address.scheme != "http" or address.path not in ("", "/") or address.query:
        raise SettingsError(option, "http://HOST:PORT", "another URL")
    return address


def _parse(url: str, option: str) -> Address:
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError:
        raise SettingsError(option, "a URL", "another text") from None
    if not _PLAIN.match(url) or parts.scheme not in _PORTS or not parts.hostname:
        raise SettingsError(option, "a URL that begins with https:// and names a host", "another text")
    if parts.username is not None or parts.password is not None:  # they would stand in every message
        raise SettingsError(option, "a URL without user or password", "one with")
    if parts.fragment:
        raise SettingsError(option, "a URL without fragment", "one with")
    return Address(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], parts.path, parts.query)


def is_loopback(host: str) -> bool:
    """Return whether a host is this machine, without asking anyone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
