"""Say, signed, what a build gave and from what; and check that what was received is that, and nothing else.

    release.py key FILE                          make a release key: FILE (0600) and FILE.pub
    release.py sign FOLDER --key FILE            write FOLDER/evidenced.intoto.jsonl
    release.py verify FOLDER --key FILE.pub [--rebuild]

The statement is in-toto's with SLSA's provenance, in a DSSE envelope signed with Ed25519. Evidence has the same form,
so the same tools check both. Source: in-toto Statement v1, SLSA provenance v1, DSSE 1.0.2.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, TOP)

from evidence import dsse, key_file  # noqa: E402  only now that it can be found
from evidence.errors import EvidenceError  # noqa: E402
from evidence.keys import PrivateKey, PublicKey  # noqa: E402

NAME = "evidenced.intoto.jsonl"
STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:evidenced:build:packages:1"
BUILDER = "urn:evidenced:builder:make-packages"
LOCKS = ("requirements/run.txt", "requirements/hub.txt", "requirements/dev.txt")
RELEASED = (".deb", ".rpm", ".cdx.json")
FINE, BAD, WRONG_USE, COULD_NOT_RUN = 0, 1, 2, 3
PUBLIC_LIMIT = 4096


class ReleaseError(Exception):
    """What was received is not what was released; or what is to be signed cannot be."""

    def __init__(self, text: str, code: int = BAD) -> None:
        super().__init__(text)
        self.code = code


def make_key(path: str) -> str:
    """Write a new key where nothing stands and return its fingerprint."""
    key = PrivateKey.generate()
    key_file.store(path, key)
    with open(f"{path}.pub", "x", encoding="ascii") as file:
        file.write(key.public.openssh("evidenced-release"))
    return key.public.fingerprint


def released(folder: str) -> list[str]:
    """Return the names in a folder that are for others, sorted."""
    return sorted(name for name in os.listdir(folder) if name.endswith(RELEASED))


def statement(folder: str, commit: str) -> bytes:
    """Return what the build of a commit gave: each file by its digest, and what it was made from."""
    names = released(folder)
    if not names:
        raise ReleaseError(f"{folder}: expected packages, found none; run: make packages", COULD_NOT_RUN)
    sources: list[dict[str, Any]] = [{"name": "source", "digest": {"gitCommit": commit}}]
    sources += [{"name": lock, "digest": {"sha256": _sha256(os.path.join(TOP, lock))}} for lock in LOCKS]
    made: dict[str, Any] = {
        "_type": STATEMENT,
        "subject": [{"name": name, "digest": {"sha256": _sha256(os.path.join(folder, name))}} for name in names],
        "predicateType": PROVENANCE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {"target": "packages"},
                "resolvedDependencies": sources,
            },
            "runDetails": {"builder": {"id": BUILDER}},
        },
    }
    return json.dumps(made, sort_keys=True, separators=(",", ":")).encode()


def clean_commit() -> str:
    """Return the commit that is checked out; a checkout that is something else cannot be named by it."""
    changed = _git("status", "--porcelain")
    if changed:
        count = len(changed.splitlines())
        raise ReleaseError(f"expected a checkout without changes, found {count}; commit them first", COULD_NOT_RUN)
    return _git("rev-parse", "HEAD")


def sign(folder: str, key: PrivateKey, commit: str) -> str:
    """Write the signed statement into the folder and return its path."""
    path = os.path.join(folder, NAME)
    with open(path, "wb") as file:
        file.write(dsse.sign(statement(folder, commit), [key]).encode() + b"\n")
    return path


def verify(folder: str, key: PublicKey) -> Iterator[str]:
    """Check a folder step by step and yield what was found. Raises: ReleaseError, EvidenceError."""
    # 1. The statement is signed with the key that was given.
    path = os.path.join(folder, NAME)
    with open(path, "rb") as file:
        envelope = dsse.decode(file.read(dsse.MAX_ENVELOPE + 1).rstrip(b"\n"), NAME)
    dsse.verify(envelope, [key], where=NAME)
    yield f"signed by {key.fingerprint}"
    # 2. It is a statement about a build of these packages.
    said = _statement(envelope)
    # 3. Each file that it names is here, to the byte.
    named = {each["name"]: each["digest"]["sha256"] for each in said["subject"]}
    for name, digest in named.items():
        if os.path.basename(name) != name or not os.path.isfile(os.path.join(folder, name)):
            raise ReleaseError(f"{name}: expected this file in {folder}, found none")
        if _sha256(os.path.join(folder, name)) != digest:
            raise ReleaseError(f"{name}: expected SHA-256 {digest}, found another; do not install it")
        yield f"{name} is the one that was released"
    # 4. Nothing lies beside them that was not released.
    strangers = [name for name in released(folder) if name not in named]
    if strangers:
        raise ReleaseError(f"{strangers[0]}: expected no package that was not released, found one; do not install it")
    sources = said["predicate"]["buildDefinition"]["resolvedDependencies"]
    yield f"built from commit {next(each['digest']['gitCommit'] for each in sources if each['name'] == 'source')}"


def _statement(envelope: dsse.Envelope) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(envelope.payload)
    kinds = envelope.payload_type, said.get("_type"), said.get("predicateType")
    if kinds != (dsse.IN_TOTO, STATEMENT, PROVENANCE):
        raise ReleaseError(f"{NAME}: expected an in-toto statement with SLSA's provenance, found something else")
    if said["predicate"]["buildDefinition"]["buildType"] != BUILD_TYPE:
        raise ReleaseError(f"{NAME}: expected a build of packages, found another")
    return said


def rebuild(folder: str) -> Iterator[str]:
    """Build this checkout again and compare each package to the byte. Raises: ReleaseError."""
    with tempfile.TemporaryDirectory() as again:
        build = [os.path.join(TOP, "packaging/packages"), "--to", again]
        done = subprocess.run(build, env={**os.environ, "PYTHON": sys.executable}, capture_output=True, check=False)
        if done.returncode:
            sys.stderr.buffer.write(done.stderr)
            raise ReleaseError(f"expected a build, found exit code {done.returncode}", COULD_NOT_RUN)
        for name in released(folder):
            other = os.path.join(again, name)
            if not os.path.isfile(other) or _sha256(other) != _sha256(os.path.join(folder, name)):
                raise ReleaseError(
                    f"{name}: expected the same from this checkout, found another; is it the commit named?"
                )
            yield f"{name} was built again, the same to the byte"


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", TOP, *words], capture_output=True, text=True, check=False)  # noqa: S607
    if done.returncode:
        raise ReleaseError(f"expected a git checkout, found none: {done.stderr.strip()}", COULD_NOT_RUN)
    return done.stdout.strip()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0], allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("key", help="make a release key").add_argument("file")
    signing = commands.add_parser("sign", help="sign what a build gave")
    signing.add_argument("folder")
    signing.add_argument("--key", required=True, metavar="FILE", help="the release key")
    signing.add_argument("--commit", help="what was built, if it is not this checkout")
    verifying = commands.add_parser("verify", help="check what was received")
    verifying.add_argument("folder")
    verifying.add_argument("--key", required=True, metavar="FILE", help="the public key, as it was given to you")
    verifying.add_argument("--rebuild", action="store_true", help="build this checkout again and compare")
    return parser.parse_args()


def _run(options: argparse.Namespace) -> None:
    if options.command == "key":
        sys.stdout.write(f"{make_key(options.file)}\n")
    elif options.command == "sign":
        key = key_file.load(options.key)
        sys.stdout.write(f"{sign(options.folder, key, options.commit or clean_commit())}\n")
    else:
        with open(options.key, encoding="ascii") as file:
            public = PublicKey.from_openssh(file.read(PUBLIC_LIMIT))
        for line in verify(options.folder, public):
            sys.stdout.write(f"✓ {line}\n")
        if options.rebuild:
            for line in rebuild(options.folder):
                sys.stdout.write(f"✓ {line}\n")


def main() -> int:
    """Do what was asked and return the exit code: 1 if what was received is not what was released."""
    try:
        _run(_options())
    except ReleaseError as error:
        sys.stderr.write(f"release: {error}\n")
        return error.code
    except EvidenceError as error:
        sys.stderr.write(f"release: {error}\n")
        return BAD
    except (OSError, ValueError, KeyError, TypeError, StopIteration) as error:  # a statement of another shape
        sys.stderr.write(f"release: {error}\n")
        return COULD_NOT_RUN if isinstance(error, OSError) else BAD
    return FINE


if __name__ == "__main__":
    sys.exit(main())
