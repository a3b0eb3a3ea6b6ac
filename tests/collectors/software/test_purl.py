"""Our package URLs against packageurl-python, and against examples of the specification."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packageurl import PackageURL

from collectors.software.purl import Distribution, apk_purl, deb_purl, distribution, encode, rpm_purl

DEBIAN = Distribution("debian", "debian-12")
# What the readers let through: printable ASCII without a slash.
words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters="/"), min_size=1)
names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,20}", fullmatch=True)


ESCAPE = re.compile("%[0-9a-f]{2}")


def canonical(purl: PackageURL) -> str:
    """Return the text of a purl; packageurl-python lowers an apk name after encoding it, and %2B with it.

    The specification has upper case there, and so has every other writer.
    """
    return ESCAPE.sub(lambda found: found[0].upper(), purl.to_string())


def assert_canonical(written: str, expected: PackageURL) -> None:
    assert written == canonical(expected)
    parsed = PackageURL.from_string(written)
    assert parsed == expected
    assert canonical(parsed) == written


@given(names, words, st.none() | words, names, words)
def test_a_deb_purl_is_what_packageurl_python_writes_and_reads(
    name: str, version: str, arch: str | None, source_name: str, source_version: str
) -> None:
    written = deb_purl(DEBIAN, name, version, arch=arch, source=(source_name, source_version))
    upstream = f"{source_name}@{source_version}" if source_version != version else source_name
    if (source_name, source_version) == (name, version):
        upstream = ""
    qualifiers = {"arch": arch or "", "distro": "debian-12", "upstream": upstream}
    assert_canonical(written, PackageURL("deb", "debian", name, version, qualifiers))


@given(words, words, st.none() | words, st.none() | st.integers(0, 2**32 - 1), st.none() | words)
def test_an_rpm_purl_is_what_packageurl_python_writes_and_reads(
    name: str, version: str, arch: str | None, epoch: int | None, source: str | None
) -> None:
    where = distribution({"ID": "rhel", "VERSION_ID": "9.4"})
    written = rpm_purl(where, name, version, arch=arch, epoch=epoch, source=source)
    qualifiers = {
        "arch": arch or "",
        "distro": "rhel-9.4",
        "epoch": "" if epoch is None else str(epoch),
        "upstream": source or "",
    }
    assert_canonical(written, PackageURL("rpm", "redhat", name, version, qualifiers))


@given(names, words, st.none() | words, st.none() | words)
def test_an_apk_purl_is_what_packageurl_python_writes_and_reads(
    name: str, version: str, arch: str | None, origin: str | None
) -> None:
    where = distribution({"ID": "alpine", "VERSION_ID": "3.20.1"})
    written = apk_purl(where, name, version, arch=arch, origin=origin)
    upstream = origin if origin != name else None
    qualifiers = {"arch": arch or "", "distro": "alpine-3.20.1", "upstream": upstream or ""}
    assert_canonical(written, PackageURL("apk", "alpine", name, version, qualifiers))


@pytest.mark.parametrize(
    ("text", "encoded"),
    [
        ("libstdc++6", "libstdc%2B%2B6"),
        ("1:2.0~rc1-3", "1:2.0~rc1-3"),  # the colon stays, the tilde is unreserved
        ("1.0^git", "1.0%5Egit"),
        ("a@b/c", "a%40b%2Fc"),
        ("é", "%C3%A9"),
        ("%2B", "%252B"),
        ("", ""),
    ],
)
def test_characters_are_encoded_as_the_specification_says(text: str, encoded: str) -> None:
    assert encode(text) == encoded


@pytest.mark.parametrize(
    ("os_release", "expected"),
    [
        ({"ID": "debian", "VERSION_ID": "12"}, Distribution("debian", "debian-12")),
        ({"ID": "debian", "VERSION_CODENAME": "trixie"}, Distribution("debian", "debian-trixie")),
        ({"ID": "arch"}, Distribution("arch", "arch")),
        ({"ID": "rhel", "VERSION_ID": "9.4"}, Distribution("redhat", "rhel-9.4")),
        ({"ID": "opensuse-leap", "VERSION_ID": "15.6"}, Distribution("opensuse", "opensuse-leap-15.6")),
        ({}, Distribution("linux", "linux")),
        ({"ID": "a/b c", "VERSION_ID": "1&x=2"}, Distribution("a%2Fb%20c", "a%2Fb%20c-1%26x%3D2")),
    ],
)
def test_namespace_and_distro_come_from_os_release(os_release: dict[str, str], expected: Distribution) -> None:
    assert distribution(os_release) == expected


def test_the_upstream_of_a_deb_names_the_source_version_only_where_it_differs() -> None:
    def upstream(name: str, version: str) -> str | None:
        purl = deb_purl(DEBIAN, "libc6", "2.36-9", arch="amd64", source=(name, version))
        return PackageURL.from_string(purl).qualifiers.get("upstream")

    assert upstream("libc6", "2.36-9") is None
    assert upstream("glibc", "2.36-9") == "glibc"
    assert upstream("glibc", "2.36-8") == "glibc@2.36-8"
    assert upstream("libc6", "2.36-8") == "libc6@2.36-8"
