"""What the password field of passwd or shadow holds; shadow(5), field 2, and crypt(5).

No hash leaves this file.
"""

from __future__ import annotations

from typing import Literal

State = Literal["set", "locked_with_hash", "locked", "disabled", "empty", "invalid", "no_shadow"]

# crypt(5): prefix, then the name under which the manual page lists it.
SCHEMES = {
    "1": "md5crypt",
    "2": "bcrypt",
    "2a": "bcrypt",
    "2b": "bcrypt",
    "2x": "bcrypt",
    "2y": "bcrypt",
    "3": "nthash",
    "5": "sha256crypt",
    "6": "sha512crypt",
    "7": "scrypt",
    "gy": "gost-yescrypt",
    "md5": "sunmd5",
    "sha1": "sha1crypt",
    "sm3": "sm3crypt",
    "sm3y": "sm3-yescrypt",
    "y": "yescrypt",
}
DEFAULT_ROUNDS = 5000  # crypt(5): sha256crypt and sha512crypt without rounds=
DES_LENGTH = 13
SALT = frozenset("./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")


def classify(field: str) -> tuple[State, str | None, int | None]:
    """Return (state, algorithm, cost) of a password field. Source: shadow(5), field 2; crypt(5)."""
    if not field:
        return "empty", None, None
    locked = field.startswith("!")
    bare = field.lstrip("!") if locked else field
    if not bare or bare == "*":  # "!", "!!", "!*" of useradd and installers, "*" of base-passwd
        return ("locked" if locked else "disabled"), None, None
    algorithm, cost = scheme(bare)
    if algorithm is None:
        # "*NP*", "NP", "*LK*" and the like: no hash can equal them
        known_text = bare.startswith("*") or not bare.startswith("$")
        return ("locked" if locked else "disabled" if known_text else "invalid"), None, None
    return ("locked_with_hash" if locked else "set"), algorithm, cost


def scheme(text: str) -> tuple[str | None, int | None]:
    """Return (name, cost) of a hash in the forms of crypt(5), or (None, None) if it is none of them."""
    if text.startswith("$"):
        return _modular(text.split("$"))
    if text.startswith("_") and len(text) == 20 and SALT.issuperset(text[1:]):  # noqa: PLR2004
        return "bsdicrypt", None
    text = without_ageing(text)
    if len(text) == DES_LENGTH and SALT.issuperset(text):
        return "descrypt", None
    if len(text) > DES_LENGTH and (len(text) - 2) % 11 == 0 and SALT.issuperset(text):
        return "bigcrypt", None
    return None, None


def without_ageing(text: str) -> str:
    """Return a hash of DES without what HP-UX wrote after it (",M.z8"); Linux-PAM, strip_hpux_aging in passverify.c."""
    end = next((at for at in range(DES_LENGTH, len(text)) if text[at] not in SALT), len(text))
    return text[:end]


def _modular(parts: list[str]) -> tuple[str | None, int | None]:
    """Read `$id$parameters$salt$hash`; a hash part must be there, or nobody can log in with it."""
    prefix = parts[1].partition(",")[0] if len(parts) > 1 else ""  # sunmd5 writes $md5,rounds=
    name = SCHEMES.get(prefix)
    if name is None or len(parts) < 4 or not parts[-1]:  # noqa: PLR2004
        return None, None
    if name in {"sha256crypt", "sha512crypt"}:
        rounds = parts[2].removeprefix("rounds=")
        return name, (_number(rounds) if rounds != parts[2] else DEFAULT_ROUNDS)
    return name, (_number(parts[2]) if name in {"bcrypt", "sha1crypt"} else None)


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else None  # noqa: PLR2004


def openness(state: State) -> int:
    """Return 2 where no password is asked, 1 where one lets in, 0 where none does."""
    return {"empty": 2, "set": 1}.get(state, 0)
