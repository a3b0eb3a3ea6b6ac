"""Give every parser damaged input for a while; a crash or a broken promise is printed with the input that made it.

Each `fuzz_SUBJECT.py` here has one `target(data)`, which raises only on a defect. Inputs are pieces of real files
(SEEDS), cut, doubled and changed. With atheris installed, `python tests/fuzz/run.py --atheris fuzz_SUBJECT` fuzzes one
target by coverage, for as long as you like; what else is on the line goes to libFuzzer.
"""

from __future__ import annotations

import argparse
import base64
import importlib
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
SEEDS = {
    "fuzz_accounts": ["fixtures/hosts/*/root/etc/passwd", "fixtures/hosts/*/root/etc/shadow"],
    "fuzz_apk_installed": ["fixtures/hosts/*/root/lib/apk/db/installed"],
    "fuzz_authorized_keys": ["fixtures/hosts/*/root/home/*/.ssh/authorized_keys"],
    "fuzz_configuration": ["packaging/agent.toml"],
    "fuzz_dpkg_status": ["fixtures/hosts/*/root/var/lib/dpkg/status"],
    "fuzz_mountinfo": ["fixtures/hosts/*/root/proc/1/mountinfo"],
    "fuzz_os_release": ["fixtures/hosts/*/root/etc/os-release", "fixtures/hosts/*/root/usr/lib/os-release"],
    "fuzz_restricted_json": ["fixtures/hosts/*/expected/*"],
    "fuzz_sshd_config": ["fixtures/hosts/*/root/etc/ssh/sshd_config*"],
    "fuzz_sudo_conf": ["fixtures/hosts/*/root/etc/sudo.conf", "fixtures/hosts/*/root/etc/nsswitch.conf"],
    "fuzz_sudoers": ["fixtures/hosts/*/root/etc/sudoers", "fixtures/hosts/*/root/etc/sudoers.d/*"],
    "fuzz_verify": ["tests/evidence/golden/pack.tar.gz"],
}
PIECE = 4096
Target = Callable[[bytes], object]


def names() -> list[str]:
    """Return every target, by name."""
    return sorted(path.stem for path in Path(__file__).parent.glob("fuzz_*.py"))


def target_of(name: str) -> Target:
    """Return the function of a target."""
    sys.path.insert(0, str(TOP))
    found: Target = importlib.import_module(f"tests.fuzz.{name}").target
    return found


def seeds_of(name: str) -> list[bytes]:
    """Return real input for a target; at least the empty text."""
    paths = [path for pattern in SEEDS.get(name, []) for path in sorted(TOP.glob(pattern)) if path.is_file()]
    return [b"", *(path.read_bytes() for path in paths)]


def damaged(seed: bytes, dice: random.Random) -> bytes:
    """Return a piece of the seed with a few changes."""
    start = dice.randrange(len(seed) + 1) if dice.random() < 0.5 else 0
    data = bytearray(seed[start : start + dice.randrange(1, PIECE)])
    for _ in range(dice.randrange(1, 6)):
        at = dice.randrange(len(data) + 1)
        kind = dice.randrange(5)
        if kind == 0:
            data[at : at + dice.randrange(1, 32)] = b""
        elif kind == 1:
            data[at:at] = dice.randbytes(dice.randrange(1, 9))
        elif kind == 2:
            data[at:at] = data[max(0, at - dice.randrange(1, 64)) : at]
        elif kind == 3:
            data[at:at] = dice.choice((b"\0", b"\n", b"\xff", b"\\", b'"', b"=", b":", b",", b"\r\n", b" ", b"9" * 20))
        elif at < len(data):
            data[at] ^= 1 << dice.randrange(8)
    return bytes(data)


def fuzz(name: str, seconds: float, dice: random.Random) -> str | None:
    """Run one target for a while and return what broke it, or None."""
    target, seeds = target_of(name), seeds_of(name)
    ends, runs = time.monotonic() + seconds, 0
    while time.monotonic() < ends:
        data = damaged(dice.choice(seeds), dice)
        begun = time.monotonic()
        try:
            target(data)
        except Exception as error:  # noqa: BLE001  whatever it is, it is what we look for
            return f"{name}: {type(error).__name__}: {error}\n  input (base64): {base64.b64encode(data).decode()}"
        if time.monotonic() - begun > 5:
            return f"{name}: took over 5 s\n  input (base64): {base64.b64encode(data).decode()}"
        runs += 1
    sys.stdout.write(f"{name}: {runs} inputs, no defect\n")
    return None


def main(arguments: Sequence[str]) -> int:
    """Fuzz all targets in turn, or one with atheris."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--seed", type=int, default=None, help="make a run that can be repeated")
    parser.add_argument("--atheris", metavar="TARGET", choices=names(), help="one target, by coverage")
    options, rest = parser.parse_known_args(arguments)
    if options.atheris:
        atheris = importlib.import_module("atheris")
        atheris.instrument_all()
        atheris.Setup([sys.argv[0], *rest], target_of(options.atheris))
        atheris.Fuzz()
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(2**32)
    sys.stdout.write(f"seed {seed}\n")
    dice = random.Random(seed)  # noqa: S311  not a secret
    broken = [found for name in names() if (found := fuzz(name, options.seconds / len(names()), dice))]
    sys.stderr.writelines(f"{each}\n" for each in broken)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
