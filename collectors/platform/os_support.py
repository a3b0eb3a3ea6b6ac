"""Until when the operating system is supported, from distro-info-data or from dates that came with this program.

Sources: /usr/share/distro-info/*.csv (package distro-info-data) for Debian and Ubuntu; `support_dates.toml` beside this
file for others, each list with the day it was compiled and where from.
"""

from __future__ import annotations

import csv
import importlib.resources
import re
import sys
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec

from collectors.contract import Gap, MalformedError, Row, Table, means, path_gap, utc
from collectors.reading.errors import AbsentError, ReadError
from collectors.reading.host import Host
from collectors.reading.os_release import OS_RELEASE, read_os_release

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = "/usr/share/distro-info"
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
CSV_LIMIT = 256 << 10


class Support(Row):
    """How long this release gets security updates. Whether a paid extension is enrolled is not said here."""

    os_id: Annotated[str, means("ID of os-release")]
    os_version: Annotated[str, means("VERSION_ID of os-release")]
    release_name: Annotated[str | None, means("the vendor's name of the release")]
    released: Annotated[str | None, means("day of release, YYYY-MM-DD")]
    supported_until: Annotated[str, means("last day of the vendor's ordinary support, YYYY-MM-DD")]
    extended_until: Annotated[
        str | None,
        means("last day of the longest extension the vendor or its LTS project offers, paid or not"),
    ]
    source: Annotated[
        Literal["distro-info-data", "bundled"],
        means("the host's own distro-info-data, or dates bundled with this agent"),
    ]
    source_date: Annotated[str, means("how old the dates are: day of that file or of that list, YYYY-MM-DD")]


class Dates(msgspec.Struct, frozen=True):
    """One release as a list of dates has it; days are YYYY-MM-DD."""

    name: str | None
    released: str | None
    supported: str
    extended: str | None


Found = tuple[Dates, str, Literal["distro-info-data", "bundled"]]
"""The dates of a release, how old their list is (YYYY-MM-DD), and which list that is."""


def parse_distro_info(text: str, version: str) -> Dates | None:
    """Return the dates of a release, or None if the list does not know it or knows no end.

    Columns: `eol` is the end of ordinary support; eol-lts, eol-elts (Debian) and eol-esm, eol-legacy (Ubuntu) are
    extensions; Ubuntu's eol-server counts where it is later than eol. A version reads "22.04 LTS" or "12".
    Raises: MalformedError if the text is no CSV.
    Source: distro-info-data, README.
    """
    try:
        rows = list(csv.DictReader(text.split("\n")))
    except csv.Error:
        raise MalformedError("comma-separated values", "another text") from None
    for row in rows:
        if (row.get("version") or "").partition(" ")[0] != version:
            continue
        days = {name: value for name, value in row.items() if name and isinstance(value, str) and DAY.fullmatch(value)}
        ordinary = [days[name] for name in ("eol", "eol-server") if name in days]
        if not ordinary:
            return None
        extended = [days[name] for name in ("eol-lts", "eol-elts", "eol-esm", "eol-legacy") if name in days]
        return Dates(row.get("codename"), days.get("release"), max(ordinary), max(extended, default=None))
    return None


def bundled(os_id: str, version: str) -> tuple[Dates, str] | None:
    """Return (dates, day of the list) of a release from the bundled list, or None if it is not in it.

    A release is looked up by its whole version, then by its major number where its vendor supports whole majors.
    """
    text = importlib.resources.files("collectors.platform").joinpath("support_dates.toml").read_text("utf-8")
    lists: dict[str, Any] = tomllib.loads(text)
    known = lists.get(os_id)
    if known is None:
        return None
    candidates = [version] if known["by"] == "version" else [version, version.partition(".")[0]]
    if known["by"] == "minor":
        candidates = [".".join(version.split(".")[:2])]
    for each in candidates:
        if each in known["releases"]:
            name, released, supported, extended = known["releases"][each]
            return Dates(name or None, released or None, supported, extended or None), known["as_of"]
    return None


def collect(host: Host) -> Iterator[Support | Gap]:
    """Yield the one row; a release nobody has dates for is a gap, never "supported"."""
    try:
        release, gaps = read_os_release(host)
    except ReadError as error:  # nothing is wrong with the dates: what they are of is not known
        yield error.gap()
        return
    yield from gaps
    if gaps and not {"ID", "VERSION_ID"} <= release.keys():  # a line that was not understood may be the one
        return
    os_id, version = release.get("ID", "linux"), release.get("VERSION_ID", "")
    if not version:
        yield Gap(
            OS_RELEASE[0],
            "unenumerable",
            "a release without VERSION_ID (rolling or testing) has no end of support",
        )
        return
    found: Found | None = None
    for each in _own_list(host, os_id, version):
        if isinstance(each, Gap):
            yield each
        else:
            found = each
    if found is None and (listed := bundled(os_id, version)):
        found = (*listed, "bundled")
    if found is None:
        yield Gap(
            OS_RELEASE[0],
            "unknown_format",
            "expected a release with known dates, found one that is in no list",
        )
        return
    dates, day, source = found
    yield Support(
        os_id=os_id,
        os_version=version,
        release_name=dates.name,
        released=dates.released,
        supported_until=dates.supported,
        extended_until=dates.extended,
        source=source,
        source_date=day,
    )


def _own_list(host: Host, os_id: str, version: str) -> Iterator[Found | Gap]:
    """Yield what the host's own list says of its release, and why it says nothing."""
    if os_id not in {"debian", "ubuntu"}:
        return
    path = f"{FOLDER}/{os_id}.csv"
    try:
        content = host.read(path, limit=CSV_LIMIT)
    except AbsentError:
        return  # distro-info-data is not installed everywhere; the bundled list speaks
    except ReadError as error:
        yield error.gap()
        return
    if content.truncated:
        yield path_gap(path, "truncated", f"expected at most {CSV_LIMIT} bytes, found more")
    try:
        dates = parse_distro_info(content.data.decode("utf-8", "backslashreplace"), version)
    except MalformedError as error:
        yield path_gap(path, "malformed", str(error))
        return
    if dates is not None:
        yield dates, utc(content.facts.mtime)[:10], "distro-info-data"


TABLE = Table(
    "os_support",
    Support,
    key=("os_id", "os_version"),
    reads=(*OS_RELEASE, f"{FOLDER}/*.csv"),
    collect=collect,
    watches=OS_RELEASE,
    care="Dates, not a verdict. source_date says how old the dates are; an unknown release is a gap.",
)
