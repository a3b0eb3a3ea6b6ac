"""One installed package, whichever manager installed it."""

from __future__ import annotations

from typing import Annotated, Literal

from collectors.contract import Row, means
from collectors.software import dpkg_status

State = Literal[dpkg_status.State, "broken"]


class Package(Row, frozen=True, kw_only=True):
    """One package that a package database of this host names, installed whole or in part."""

    purl: Annotated[str, means("the package by the purl specification, with arch, distro, epoch and upstream")]
    database: Annotated[str, means("the package database that names it, as a path on the host")]
    instance: Annotated[
        int, means("1, or 2, 3 … where one database names the same purl again, in the database's own order")
    ]
    name: Annotated[str, means("name in the package manager's own terms")]
    version: Annotated[str, means("full version: epoch, version and release where the format has them")]
    arch: Annotated[str | None, means("architecture the package was built for; none if it says none")]
    source_name: Annotated[str | None, means("source package it was built from")]
    source_version: Annotated[str | None, means("version of that source package")]
    vendor: Annotated[str | None, means("who built it, in the package's own words (rpm Vendor, deb Origin)")]
    maintainer: Annotated[str | None, means("maintainer or packager, in the package's own words", personal=True)]
    licence: Annotated[
        str | None,
        means("licence expression, where the database holds one (rpm and apk; a deb keeps it in a file)"),
    ]
    origin: Annotated[
        str | None,
        means("repository it was installed from, where the database records it (an apk repository tag)"),
    ]
    module: Annotated[str | None, means("module stream an rpm belongs to (name:stream:version:context)")]
    size_bytes: Annotated[int | None, means("installed size that the package declares, not measured", unit="bytes")]
    built: Annotated[str | None, means("when it was built, where recorded (rpm and apk)", time=True)]
    installed: Annotated[
        str | None,
        means("when this version was unpacked: rpm's record, or the mtime of dpkg's file list", time=True),
    ]
    manual: Annotated[
        bool | None,
        means("true if asked for by name, false if only a dependency; none where nothing readable records it"),
    ]
    state: Annotated[
        State | None,
        means("dpkg's status; installed for rpm; broken where apk flags it; none if the database has no states"),
    ]
    wanted: Annotated[
        dpkg_status.Wanted | None,
        means("what dpkg was told to do with it (hold is seen here); none elsewhere"),
    ]
    needs_reinstall: Annotated[
        bool | None, means("true if dpkg says it is broken until reinstalled; none where nothing records it")
    ]
