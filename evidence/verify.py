#!/usr/bin/env python3
"""Check an evidenced pack offline: integrity, completeness of the period, time.

One file, Python 3.8 or later, standard library only. It opens no network connection and writes no file, and it
unpacks nothing: a pack is read once, from front to back, in at most 128 MiB of memory.

Exit codes: 0 valid; 1 tampered, or another key; 2 wrong use, not a pack, or nothing could be printed; 3 incomplete;
4 a required witness or timestamp is missing.

`CHECKS` lists all that is checked; the parts below follow it, and each `need(...)` line is one rule. Formats are in
docs/formats.md; how to check by hand, with openssl and ssh-keygen, is in docs/verify.md.
"""

# Laid out by hand, with rules between the parts, to be read in one sitting. Imports wait for `isolate`.
# fmt: off
# ruff: noqa: D204, E401, E402, I001, TRY301
from __future__ import annotations

import sys
def isolate() -> None:
    """Start again with -I -S unless started so, lest a file nearby poses as a module; imports built-in modules only."""
    if sys.flags.isolated and sys.flags.no_site:
        return
    once = "evidenced-isolated" in getattr(sys, "_xoptions", {})
    if once or "posix" not in sys.builtin_module_names or not sys.executable:
        sys.stderr.write("verify.py: expected to be able to start python -I -S, found not; start it so by hand\n")
        sys.exit(2)
    import posix  # noqa: PLC0415  it is part of the interpreter: no path is searched for it
    posix.execv(sys.executable, [sys.executable, "-I", "-S", "-X", "evidenced-isolated", *sys.argv])
if __name__ == "__main__":
    isolate()

import argparse, base64, bisect, contextlib, functools, hashlib, io, itertools, json, os, re, stat, types, zlib
import datetime as dt
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO, Dict, List, NoReturn, TextIO, Tuple

FORMAT, NOTE_LINES_MAX, (OK, TAMPERED, UNUSABLE, INCOMPLETE, UNWITNESSED) = 1, 100, range(5)
JUDGED = (OK, INCOMPLETE, UNWITNESSED)  # packs of which each signature held
CHECKS = (
    "the container holds plain files only, under allowed names, once each, and nothing behind them",
    "the manifest lists every member, in order, with its size and SHA-256, and no other",
    "each log's key is one Ed25519 key in three forms, and the log's origin names it",
    "each checkpoint is a well-formed note signed by its log's key; its raw and SSH signatures say the same",
    "the leaf hashes give the root that the checkpoint signs",
    "each entry is an envelope signed by its log's key around a well-formed statement",
    "each entry's payload is the leaf at its number; none of the main range is missing, unless a signed event names it",
    "each blob has the digest and length it is filed under, and some entry names it",
    "the rows and gaps of each table are as many, as sorted and as typed as the signed statement and header say",
    "each blob that is named is there, or a signed event says that it was pruned",
    "logs of one host follow each other by signed rotation, or a signed entry says why not",
    "the key is the one you were given",
    "the witnesses you named have signed the checkpoints",
    "the period and host you asked for are in the pack",
    "each table was read as often as was promised, or a signed event says why not",
    "packs given together show one and the same log")
(CONTAINER, MANIFEST, KEYS, CHECKPOINT, TREE, ENTRIES, RANGE, BLOBS, ROWS, CONTENT, CHAIN, KEY, WITNESS, COVER,
 SCHEDULE, VIEW) = range(1, 17)
NOT_PROVED = (
    "Not proved: that the host told the truth. Whoever controlled it could sign what they liked from then on;",
    "  what was signed before can no longer be changed unseen (tamper-evident, not truth-evident).",
    "Not signed: manifest.json, reports/, README.txt and the copy of verify.py in the pack.")
CHUNK, MIB = 256 * 1024, 1024 * 1024
MEMBERS_MAX, MEMBER_MAX, TOTAL_MAX, FLEET_MAX = 100_000, 64 * MIB, 4096 * MIB, MIB * MIB
MANIFEST_MAX, SMALL_MAX, PADDING_MAX = 16 * MIB, MIB, MIB  # small: keys, checkpoints; padding: zeros behind a tar
BUNDLE, ENVELOPE_MAX, PAYLOAD_MAX, OUTPUT_LINES_MAX, OUTPUT_COLUMNS_MAX = 256, 90_000, 61_440, 200, 400
BLOB_MEMBER_MAX, BLOB_MAX, LINE_MAX, HELD_MAX = 32 * MIB, 64 * MIB, 4 * MIB, 64 * MIB
SUBJECTS_MAX = COLUMNS_MAX = REASONS_MAX = LOGS_MAX = PROBLEMS_MAX = 1_000
NODES_MAX, MANIFEST_NODES_MAX, DEPTH_MAX, SAFE_INTEGER = 200_000, 600_000, 32, 2**53 - 1
# What is kept in memory, by these estimates in bytes; a pack of more than HELD_MAX is exported in shorter periods.
PER_MEMBER, PER_NAME, PER_COLUMN, PER_ENTRY, PER_TABLE, PER_READING, PER_PRUNED = 600, 260, 400, 500, 1_500, 150, 70
TABLES_FROM = 100  # signatures of one key before tables of its multiples are worth their making
class TamperedError(Exception):
    """The pack is not what was signed: where, what was expected, what was found. Exit code 1."""
    def __init__(self, check: int, where: str, expected: str, found: object) -> None:
        super().__init__(f"{shown(where, 300)}: expected {shown(expected)}, found {shown(found)}")
        self.check = check
class UnusableError(Exception):
    """There is nothing here that this script could judge. Exit code 2."""
def need(holds: object, check: int, where: str, expected: str, found: object = "something else") -> None:
    """Raise TamperedError unless a rule holds."""
    if not holds:
        raise TamperedError(check, where, expected, found)
# --- text and time ----------------------------------------------------------------------------------------------------
def shown(text: object, limit: int = 120) -> str:
    """Return foreign text fit for any terminal: printable ASCII, the rest as escapes, cut at `limit`."""
    safe = re.sub(r"[^ -\[\]-~]", lambda odd: ascii(odd[0])[1:-1], str(text)[: limit + 1])
    return safe if len(safe) <= limit else safe[: limit - 3] + "..."
TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}(?:\.([0-9]{3}))?Z")
DAY_MS, MILLISECOND, EPOCH = 86_400_000, dt.timedelta(milliseconds=1), dt.datetime(1970, 1, 1)  # noqa: DTZ001  all UTC
@functools.lru_cache(maxsize=4096)
def moment(text: str) -> int:
    """Return RFC 3339 text in UTC as milliseconds since 1970; raise ValueError for anything else."""
    match = TIME.fullmatch(text)
    if match is None:
        raise ValueError("no time")
    return (dt.datetime.fromisoformat(text[:19]) - EPOCH) // MILLISECOND + int(match[1] or 0)
def utc(milliseconds: int) -> str:
    """Return milliseconds since 1970 as RFC 3339 text, with thousandths only where there are any."""
    timespec = "milliseconds" if milliseconds % 1000 else "seconds"
    return (EPOCH + min(milliseconds, YEAR_10000 * 1000 - 1) * MILLISECOND).isoformat(timespec=timespec) + "Z"
def period_text(since: int, until: int) -> str:
    """Return a half-open period; one of whole days is shown by its first and last day."""
    days = since % DAY_MS == until % DAY_MS == 0
    return f"{utc(since)[:10]} → {utc(until - DAY_MS)[:10]}" if days else f"{utc(since)} → {utc(until)}"
@functools.lru_cache(maxsize=4)  # what was checked as part of a document is used right after
def decoded(text: str) -> bytes:
    """Return the bytes of standard base64; any other spelling of the same bytes is a ValueError."""
    raw = base64.b64decode(text.encode("ascii"), validate=True)
    if base64.b64encode(raw).decode("ascii") != text:
        raise ValueError("base64 that is not canonical")
    return raw
# --- JSON: one spelling only (docs/formats.md, section 1) -------------------------------------------------------------
KEY_NAME, FOREIGN_KEYS = re.compile(r"[a-z0-9_.:-]{1,64}"), ("_type", "predicateType", "payloadType")
@functools.lru_cache(maxsize=4096)
def allowed_key(key: str) -> bool:
    """Return whether a key may stand in a document."""
    return bool(KEY_NAME.fullmatch(key)) or key in FOREIGN_KEYS
@functools.lru_cache(maxsize=4096)
def json_integer(text: str) -> int:
    """Return an integer that every reader of JSON holds exactly; fractions, exponents and NaN are none."""
    if not re.fullmatch(r"-?[0-9]{1,16}", text) or abs(int(text)) > SAFE_INTEGER:
        raise ValueError("a number that is no integer within 2^53-1")
    return int(text)
JSON = json.JSONDecoder(parse_int=json_integer, parse_float=json_integer, parse_constant=json_integer)
ONE_SPELLING = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":"), sort_keys=True)
def strict_json(raw: bytes, nodes_max: int = NODES_MAX) -> Any:
    """Return the value of restricted JSON; raise ValueError with the reason for anything else."""
    wide = len(raw) > LINE_MAX and max(raw) > 0xC3  # noqa: PLR2004  one character behind U+00FF makes all of them wide
    if wide or len(raw) > nodes_max < raw.count(b",") + raw.count(b"[") + 2 * raw.count(b"{"):
        raise UnusableError(f"expected at most {nodes_max} values, or 4 MiB with characters behind U+00FF, found more")
    try:
        value = JSON.decode(raw.decode("utf-8"))
        if ONE_SPELLING.encode(value).encode("utf-8") != raw:  # keys twice or unsorted, spaces, other escapes
            raise ValueError("another spelling than the canonical one")
    except RecursionError:
        raise ValueError(f"nesting deeper than {DEPTH_MAX}") from None
    level, depth = [value], 1  # the values of one depth
    while level:
        objects = [each for each in level if type(each) is dict]
        lists = [each for each in level if type(each) is list]
        if depth > DEPTH_MAX and (objects or lists):
            raise ValueError(f"nesting deeper than {DEPTH_MAX}")
        if not all(map(allowed_key, set().union(*objects))):
            raise ValueError("a key that is not allowed")
        level, depth = [*itertools.chain(*map(dict.values, objects), *lists)], depth + 1
    return value
# --- shapes: what a document must look like ---------------------------------------------------------------------------
# A shape is a type, a tuple of allowed values, a pattern, a dict of exactly these keys, or a function that raises.
class ShapeError(ValueError):
    """A value that does not have its shape; `path` is filled in on the way out."""
    def __init__(self, expected: str, found: object) -> None:
        super().__init__(expected)
        self.expected, self.found, self.path = expected, repr(found)[:60], ""
def conform(value: Any, shape: Any) -> None:  # noqa: C901, PLR0912  a branch for each kind of shape, and this is hot
    """Raise ShapeError unless a value has a shape; types are exact, so that true is no number."""
    kind, step = type(shape), ""
    try:
        if kind is type:
            if type(value) is not shape:
                raise ShapeError({str: "text", bool: "true or false", dict: "an object"}[shape], value)
        elif kind is dict:
            if type(value) is not dict or value.keys() != shape.keys():
                odd = sorted(value.keys() ^ shape.keys()) if type(value) is dict else value
                raise ShapeError("exactly the keys " + ", ".join(sorted(shape)), odd)
            for step, inner in shape.items():
                if type(inner) is types.FunctionType:
                    inner(value[step])
                elif type(value[step]) is not inner:  # a type that fits needs no call
                    conform(value[step], inner)
        elif kind is tuple:
            if type(value) is not type(shape[0]) or value not in shape:
                raise ShapeError("one of " + ", ".join(map(str, shape)), value)
        elif kind is re.Pattern:
            if type(value) is not str or not shape.fullmatch(value):
                raise ShapeError(f"text like {shape.pattern}", value)
        else:
            shape(value)
    except ShapeError as error:
        error.path = f"{step}.{error.path}".strip(".")
        raise
def whole(least: int) -> Callable[[Any], None]:
    """Return the shape of a whole number that is no less."""
    def check(value: Any) -> None:
        if type(value) is not int or value < least:
            raise ShapeError(f"a number from {least}", value)
    return check
def readable(read: Callable[[str], object], expected: str) -> Callable[[Any], None]:
    """Return the shape of text that a function can read."""
    def check(value: Any) -> None:
        conform(value, str)
        try:
            read(value)
        except ValueError:
            raise ShapeError(expected, value) from None
    return check
def maybe(shape: Any) -> Callable[[Any], None]:
    """Return the shape of a value that may be null."""
    return lambda value: None if value is None else conform(value, shape)
def map_of(shape: Any) -> Callable[[Any], None]:
    """Return the shape of an object with any keys."""
    return lambda value: conform(value, dict.fromkeys(value, shape) if type(value) is dict else dict)
def list_of(shape: Any, most: int, least: int = 0, by_name: bool = False) -> Callable[[Any], None]:
    """Return the shape of a list, which may have to be sorted by name, each name once."""
    def check(value: Any) -> None:
        if type(value) is not list or not least <= len(value) <= most:
            raise ShapeError(f"a list of {least} to {most}", type(value).__name__)
        for index, each in enumerate(value):
            conform(each, shape)
            if by_name and index and value[index - 1]["name"] >= each["name"]:
                raise ShapeError("names sorted and unique", each["name"])
    return check
def document(raw: bytes, shape: Any, check: int, where: str, nodes_max: int = NODES_MAX) -> Any:
    """Return a JSON document that has its shape, or raise TamperedError."""
    try:
        value = strict_json(raw, nodes_max)
        conform(value, shape)
    except ShapeError as error:
        raise TamperedError(check, f"{where} {error.path}".rstrip(), error.expected, error.found) from None
    except ValueError as error:
        raise TamperedError(check, where, "restricted JSON", error) from None
    return value
natural, positive, A_ROOT = whole(0), whole(1), re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")
HEX64, HEX, SHORT = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{1,128}"), re.compile(".{0,255}", re.DOTALL)
FINGERPRINT, LOG_ID = re.compile(r"SHA256:[A-Za-z0-9+/]{43}"), re.compile(r"[0-9a-f]{16}-[1-9][0-9]{0,15}")
A_TIME, IN_BASE64 = readable(moment, "a time in UTC"), readable(decoded, "base64")
PERIOD, LISTED = {"since": A_TIME, "until": A_TIME}, re.compile(rf".{{0,255}}( {FINGERPRINT.pattern})?", re.DOTALL)
LOG_SHAPE = {"count": positive, "first": natural, "id": LOG_ID, "keyid": FINGERPRINT, "origin": str, "size": natural}
MEMBERS_SHAPE = list_of({"name": str, "sha256": HEX64, "size": natural}, MEMBERS_MAX)
MANIFEST_SHAPE = {
    "counts": {"blobs": natural, "entries": natural}, "format": (FORMAT,), "kind": ("pack",), "period": PERIOD,
    "hosts": list_of({"logs": list_of(LOG_ID, LOGS_MAX), "name": SHORT}, LOGS_MAX),
    "logs": list_of(LOG_SHAPE, LOGS_MAX), "members": MEMBERS_SHAPE, "organisation": maybe(SHORT)}
HOST_FILE, HOST_NAME = re.compile(r"hosts/[a-z0-9.-]{1,80}\.tar\.gz"), re.compile("[^\0]{1,255}")
HOST_PACKS = list_of({"member": HOST_FILE, "name": HOST_NAME, "tar_sha256": HEX64}, MEMBERS_MAX)
FLEET_SHAPE = {
    "counts": {"hosts": natural, "missing": natural}, "format": (FORMAT,), "hosts": HOST_PACKS, "kind": ("fleet",),
    "missing": list_of({"last": maybe(A_TIME), "name": LISTED}, MEMBERS_MAX, by_name=True),
    "members": MEMBERS_SHAPE, "organisation": maybe(SHORT), "period": PERIOD}
ENVELOPE_SHAPE = {"payload": IN_BASE64, "payloadType": ("application/vnd.in-toto+json",),
                  "signatures": list_of({"keyid": FINGERPRINT, "sig": IN_BASE64}, 2, 1)}
SNAPSHOT_TYPE, EVENT_TYPE = "urn:evidenced:snapshot:v1", "urn:evidenced:event:v1"
STATEMENT_SHAPE = {"_type": ("https://in-toto.io/Statement/v1",), "predicate": dict,
                   "predicateType": (SNAPSHOT_TYPE, EVENT_TYPE),
                   "subject": list_of({"digest": {"sha256": HEX64}, "name": str}, SUBJECTS_MAX, 1, by_name=True)}
COMMON = {
    "agent": {"version": str}, "log": {"origin": str, "sequence": natural},
    "clock": {"boot_id": maybe(str), "boottime_ms": maybe(natural), "synchronised": maybe(bool), "wall": A_TIME},
    "host": {"labels": map_of(str), "machine": maybe(HEX), "name": SHORT, "observed": ("live", "image")},
    "receipt": maybe({"name": str, "size": natural, "time": A_TIME})}
TABLE_SHAPE = {
    "cost": {"bytes": natural, "cpu_ms": natural, "files": natural, "peak_kib": natural, "wall_ms": natural},
    "coverage": ("complete", "partial", "failed", "unsupported", "disabled"), "failure": maybe(str), "gaps": natural,
    "header": maybe(HEX64), "interval_s": maybe(positive), "name": KEY_NAME, "reasons": map_of(positive),
    "rows": natural, "version": positive}
EVERY_EVENT = {"absence": maybe({"from": A_TIME, "reason": SHORT, "until": A_TIME}), "kind": KEY_NAME}
PREVIOUS = maybe({"origin": SHORT, "root": A_ROOT, "size": natural})
LOSABLE = ("segment", "blob", "index", "checkpoint", "receipt", "key", "secret", "identity")
WHY = ("first", "rotated", "restored", "cloned", "damaged", "lost", "one-shot")
EVENT_SHAPES = {
    "key-rotated": {"key": IN_BASE64, "keyid": FINGERPRINT, "number": positive},
    "log-opened": {"previous": PREVIOUS, "why": WHY}, "pruned": {"before": A_TIME, "blobs": natural},
    "damage": {"count": natural, "part": LOSABLE}}
COLUMN = {"meaning": str, "name": KEY_NAME, "nullable": bool, "personal": bool, "type": str, "unit": maybe(str)}
COLUMNS = list_of(COLUMN, COLUMNS_MAX, 1, by_name=True)
HEADER_SHAPE = {"fields": COLUMNS, "key": list_of(KEY_NAME, COLUMNS_MAX), "meaning": str, "table": KEY_NAME,
                "version": positive}
A_FINDING = {"count": natural, "found": str, "names": list_of(str, NODES_MAX), "part": str, "where": str}
DETAILS = {"pruned": {"digests": list_of(HEX64, NODES_MAX)}, "damage": {"findings": list_of(A_FINDING, NODES_MAX)}}
GAP_SHAPE = {"count": positive, "detail": str, "reason": KEY_NAME, "line": maybe(natural), "source": str,
             "source_b64": maybe(IN_BASE64)}
def event_shape(value: Any) -> None:
    """Check an event; of a kind not known here, only its name and absence are known."""
    further = dict(value) if type(value) is dict else {}
    conform({name: further.pop(name, 0) for name in EVERY_EVENT}, EVERY_EVENT)
    conform(further, EVENT_SHAPES.get(value["kind"], dict))
RUN = {"privileged": bool, "reason": ("by-hand", "scheduled", "change")}
TABLES = list_of(TABLE_SHAPE, SUBJECTS_MAX, 1, by_name=True)
PREDICATES = {SNAPSHOT_TYPE: {"run": RUN, "tables": TABLES, **COMMON}, EVENT_TYPE: {"event": event_shape, **COMMON}}
def statement_shape(value: Any) -> None:
    """Check a whole statement; subjects and tables are sorted and unique."""
    conform(value, STATEMENT_SHAPE)
    conform({"predicate": value["predicate"]}, {"predicate": PREDICATES[value["predicateType"]]})
# --- Ed25519, RFC 8032, strictly: what passes here passes in every library --------------------------------------------
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, SQRT_M1, SIGN, LOW = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P), 1 << 255, (1 << 255) - 1
ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
SMALL_ORDER_Y = frozenset((0, 1, P - 1, ORDER_8_Y, P - ORDER_8_Y))
Point = Tuple[int, int, int, int]  # extended coordinates X, Y, Z, T
NEUTRAL, HALVES = (0, 1, 1, 0), sum(512 << at for at in range(0, 260, 10))  # added, digits of -512..511 are 0..1023
def cached(point: Point) -> Point:
    """Return a point as `add` wants its second argument."""
    x, y, z, t = point
    return (y - x) % P, (y + x) % P, 2 * z % P, 2 * D * t % P
def add(left: Point, right: Point) -> Point:
    """Return the sum; `right` comes from `cached`. The formula, of RFC 8032, 5.1.4, holds for all pairs of points."""
    x, y, z, t = left
    minus, plus, two_z, two_dt = right
    a, b, c, d = (y - x) * minus, (y + x) * plus, t * two_dt, z * two_z
    # As 2^255 is 19 modulo P, this makes them small enough; a division would make them smallest, and takes longer.
    a, b = (a & LOW) + 19 * (a >> 255), (b & LOW) + 19 * (b >> 255)
    c, d = (c & LOW) + 19 * (c >> 255), (d & LOW) + 19 * (d >> 255)
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P
def point_of(raw: bytes) -> Point | None:
    """Return the point, or None if the encoding is not canonical, not on the curve, or of small order."""
    number = int.from_bytes(raw, "little")
    y, sign = number % SIGN, number >> 255
    u, v = y * y - 1, D * y * y + 1
    x = u * pow(v, 3, P) * pow(u * pow(v, 7, P), (P - 5) // 8, P) % P  # RFC 8032, 5.1.3
    if (v * x * x + u) % P == 0:
        x = x * SQRT_M1 % P
    if (v * x * x - u) % P or y >= P or y in SMALL_ORDER_Y:
        return None
    x = x if x % 2 == sign else P - x
    return x, y, 1, x * y % P
@functools.lru_cache(maxsize=2)  # the base point and one key: 6 MiB each
def table_of(point: Point) -> list[list[Point]]:
    """Return the multiples -512..511 of 1024^0, 1024^1, … 1024^25 times a point."""
    rows = []
    for _ in range(26):
        multiples = list(itertools.accumulate([cached(point)] * 512, add, initial=NEUTRAL))
        row = [cached(each) for each in multiples]
        point = add(multiples[512], row[512])
        rows.append([(plus, minus, two_z, P - two_dt) for minus, plus, two_z, two_dt in row[:0:-1]] + row[:512])
    return rows
BASE = point_of((4 * pow(5, P - 2, P) % P).to_bytes(32, "little")) or NEUTRAL
class Key:
    """An Ed25519 public key that counts its signatures, and makes a table when they are many."""
    def __init__(self, raw: bytes) -> None:
        point = point_of(raw) if len(raw) == 32 else None  # noqa: PLR2004  RFC 8032, 5.1.5
        if point is None:
            raise ValueError("no strict Ed25519 public key")
        self.raw, self.checked = raw, 0
        self.minus = (P - point[0], point[1], 1, P - point[3])
        self.fingerprint = "SHA256:" + base64.b64encode(hashlib.sha256(SSH_PREFIX + raw).digest()).decode()[:-1]
    def signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether the signature is valid: S < L, no small order, the equation without cofactor."""
        r, s = signature[:32], int.from_bytes(signature[32:], "little")
        if len(signature) != 64 or s >= L or int.from_bytes(r, "little") % SIGN in SMALL_ORDER_Y:  # noqa: PLR2004
            return False
        challenge = int.from_bytes(hashlib.sha512(r + self.raw + message).digest(), "little") % L
        self.checked += 1
        x, y, z, _ = self.by_tables(s, challenge) if self.checked > TABLES_FROM else self.bit_by_bit(s, challenge)
        inverse = pow(z, -1, P)
        encoded = y * inverse % P + (SIGN if x * inverse % P % 2 else 0)
        return encoded.to_bytes(32, "little") == r  # an R that is not canonical never equals an encoding
    def bit_by_bit(self, s: int, challenge: int) -> Point:
        """Return s·B - challenge·A."""
        total, base, minus = NEUTRAL, cached(BASE), cached(self.minus)
        choices = (None, base, minus, cached(add(BASE, minus)))
        for bit in range(252, -1, -1):
            total = add(total, cached(total))
            choice = choices[(s >> bit & 1) + 2 * (challenge >> bit & 1)]
            total = total if choice is None else add(total, choice)
        return total
    def by_tables(self, s: int, challenge: int) -> Point:
        """Return the same from tables, thirty times as fast."""
        digits = [(each + HALVES) >> at & 1023 for each in (s, challenge) for at in range(0, 260, 10)]
        rows = zip(table_of(BASE) + table_of(self.minus), digits)
        return functools.reduce(add, (row[digit] for row, digit in rows), NEUTRAL)
# --- keys and signed notes (C2SP signed-note, tlog-checkpoint, tlog-cosignature) --------------------------------------
SPKI_PREFIX, SSH_PREFIX = bytes.fromhex("302a300506032b6570032100"), b"\0\0\0\x0bssh-ed25519\0\0\0\x20"
LOG_KEY, WITNESS_KEY, YEAR_10000 = b"\x01", b"\x04", 253402300800
NOTE_NAME, NOTE_SIZE = re.compile(r"[^\s+]{1,200}"), re.compile(r"0|[1-9][0-9]{0,15}")
NOTE_LINE = re.compile(r"— ([^\s+]{1,200}) ([A-Za-z0-9+/]+={0,2})")
Note = types.SimpleNamespace  # text, origin, size, root, and signature lines as (name, key id, signature)
WitnessKeys = Dict[Tuple[str, bytes], Any]
def prefixed(raw: bytes, prefix: bytes) -> Key:
    """Return the key behind a fixed prefix; raise ValueError if it is another."""
    if raw[: len(prefix)] != prefix:
        raise ValueError("not Ed25519")
    return Key(raw[len(prefix) :])
def note_key_id(name: str, kind: bytes, raw: bytes) -> bytes:
    """Return the 4-byte key id of a signed note."""
    return hashlib.sha256(name.encode("utf-8") + b"\n" + kind + raw).digest()[:4]
def vkey_of(text: str, kind: bytes) -> tuple[str, Key]:
    """Return (name, key) of a note verifier key; raise ValueError if it is none of this kind."""
    name, identity, body = text.split("+", 2)
    key = prefixed(decoded(body), kind)
    if not NOTE_NAME.fullmatch(name) or identity != note_key_id(name, kind, key.raw).hex():
        raise ValueError("another key id")
    return name, key
def public_key(text: str) -> Key:
    """Return the key from SPKI PEM, an OpenSSH line or a verifier key; raise ValueError if it is none."""
    text = text.strip()
    if text.startswith("-----BEGIN PUBLIC KEY-----\n"):
        return prefixed(decoded("".join(text.split("\n")[1:-1])), SPKI_PREFIX)
    if text.startswith("ssh-ed25519 "):
        return prefixed(decoded(text.split(" ")[1]), SSH_PREFIX)
    return vkey_of(text, LOG_KEY)[1]
def note_of(raw: bytes) -> Note:
    """Return a checkpoint; raise ValueError with the reason for anything else."""
    text = raw.decode("utf-8")
    head, _, tail = text.rpartition("\n\n")
    if any(each < " " and each != "\n" for each in text) or head.count("\n") != 2:  # noqa: PLR2004
        raise ValueError("a control character, or not three lines above the signatures")
    origin, size, root = head.split("\n")
    if not NOTE_SIZE.fullmatch(size) or int(size) > SAFE_INTEGER or not NOTE_NAME.fullmatch(origin):
        raise ValueError("an origin or size that is not allowed")
    digest, signatures = decoded(root), tail.split("\n")
    if len(digest) != 32 or signatures.pop() or len(signatures) > NOTE_LINES_MAX:  # noqa: PLR2004  SHA-256
        raise ValueError("a root of another length, an end without newline, or too many signatures")
    parsed = [note_line(each) for each in signatures]
    return Note(text=f"{head}\n".encode(), origin=origin, size=int(size), root=digest, lines=parsed)
def note_line(line: str) -> tuple[str, bytes, bytes]:
    """Return (name, key id, signature) of a signature line; raise ValueError if it is none."""
    match = NOTE_LINE.fullmatch(line)
    body = decoded(match[2]) if match else b""
    if match is None or len(body) < 5:  # noqa: PLR2004  4 bytes of key id, then a signature
        raise ValueError("a signature line that is not allowed")
    return match[1], body[:4], body[4:]
def log_signature(note: Note, key: Key, where: str) -> bytes:
    """Return the log's own signature, which is the first line and the only one of its name and id."""
    mine = (note.origin, note_key_id(note.origin, LOG_KEY, key.raw))
    own: list[bytes] = [line[2] for line in note.lines if line[:2] == mine]
    need(len(own) == 1 and note.lines[0][:2] == mine, CHECKPOINT, where, "the log's own line first, once", len(own))
    need(key.signed(note.text, own[0]), CHECKPOINT, where, "a valid signature of the log's key")
    return own[0]
def cosignatures(note: Note, witnesses: WitnessKeys, where: str) -> list[tuple[str, int]]:
    """Return (witness, POSIX seconds) of each line of a witness we know; an invalid one of those is tampering."""
    found = []
    for name, identity, body in (line for line in note.lines[1:] if line[:2] in witnesses):
        seconds = int.from_bytes(body[:8], "big")
        signed = b"cosignature/v1\ntime %d\n" % seconds + note.text
        need(witnesses[name, identity].signed(signed, body[8:]), CHECKPOINT, where, f"a valid cosignature of {name}")
        need(0 < seconds < YEAR_10000, CHECKPOINT, where, "a time before the year 10000", seconds)
        found.append((name, seconds))
    return found
def sshsig_holds(armour: bytes, key: Key, message: bytes) -> bool:
    """Return whether this is an SSHSIG of the key over the message (PROTOCOL.sshsig of OpenSSH)."""
    match = re.fullmatch(rb"-----BEGIN SSH SIGNATURE-----\n([A-Za-z0-9+/=\n]+)-----END SSH SIGNATURE-----\n", armour)
    raw = decoded(match[1].replace(b"\n", b"").decode("ascii")) if match else b""
    common = b"\0\0\0\x14checkpoint@evidenced\0\0\0\0\0\0\0\x06sha512"
    expected = b"SSHSIG\0\0\0\x01\0\0\0\x33" + SSH_PREFIX + key.raw + common
    expected += b"\0\0\0\x53\0\0\0\x0bssh-ed25519\0\0\0\x40"
    signed = b"SSHSIG" + common + b"\0\0\0\x40" + hashlib.sha512(message).digest()
    return raw[:-64] == expected and key.signed(signed, raw[-64:])
def roots_of(leaves: bytes, *sizes: int) -> dict[int, bytes]:
    """Return the root over the first leaf hashes of 32 bytes, for each of some sizes, in one pass (RFC 6962, 2.1)."""
    stack: list[tuple[int, bytes]] = []  # (leaves below, hash) of full trees, largest first
    at, roots = -32, dict.fromkeys(sizes, hashlib.sha256().digest())
    for size in sorted(roots):
        for at in range(at + 32, size * 32, 32):  # noqa: B020  it goes on where it stopped
            count, digest = 1, leaves[at : at + 32]
            while stack and stack[-1][0] == count:
                digest = hashlib.sha256(b"\1" + stack.pop()[1] + digest).digest()
                count *= 2
            stack.append((count, digest))
        for index, (_, left) in enumerate(reversed(stack)):
            roots[size] = hashlib.sha256(b"\1" + left + roots[size]).digest() if index else left
    return roots
# --- the container: tar, tar.gz or a folder ---------------------------------------------------------------------------
BLOCK, MEMBER_NAME = 512, re.compile(r"(?!.*(\.\.|/\.?(/|$)))[a-z0-9][a-z0-9._/-]{0,200}|README\.txt")
class Member:
    """One file of a pack, readable once; its SHA-256 is known when it has been read to its end."""
    def __init__(self, name: str, size: int, source: Callable[[int], bytes]) -> None:
        self.name, self.size, self.left = name, size, size
        self.source, self.hash, self.kept = source, hashlib.sha256(), b""
    def fetch(self, count: int) -> None:
        """Add up to `count` bytes to those kept; the member must not end before its size."""
        data = self.source(min(count, self.left))
        need(len(data) == min(count, self.left), CONTAINER, self.name, f"{self.size} bytes", "fewer")
        self.left -= len(data)
        self.hash.update(data)
        self.kept += data
    def read(self, count: int) -> bytes:
        """Return `count` bytes, fewer only at the end."""
        if len(self.kept) < count:
            self.fetch(count - len(self.kept))
        piece, self.kept = self.kept[:count], self.kept[count:]
        return piece
    def line(self, limit: int) -> bytes:
        """Return the next line without its newline; there must be one within `limit`."""
        while b"\n" not in self.kept and len(self.kept) <= limit and self.left:
            self.fetch(4096)
        line, newline, self.kept = self.kept.partition(b"\n")
        need(newline and len(line) <= limit, BLOBS, self.name, f"a line of at most {limit} bytes")
        return line
    def whole(self, limit: int) -> bytes:
        """Return the whole content, which must be no longer than `limit`."""
        need(self.size <= limit, CONTAINER, self.name, f"at most {limit} bytes", self.size)
        content = io.BytesIO()  # grows in place: pieces to be joined would be there twice
        content.writelines(iter(lambda: self.read(CHUNK), b""))
        return content.getvalue()
    def finish(self) -> str:
        """Read to the end and return the SHA-256 of the whole content in hex."""
        while self.read(CHUNK):
            pass
        return self.hash.hexdigest()
class TarPack:
    """The members of a tar, plain or in one gzip member, as it streams by; `hash` is of the tar in a fleet pack."""
    def __init__(self, raw: BinaryIO | Member, hash: Any = None) -> None:  # noqa: A002  hashlib calls it so
        self.raw, self.hash, self.member_max, self.total_max = raw, hash, MEMBER_MAX, TOTAL_MAX
        self.head = raw.read(2)  # it tells which, and is given out before the rest
        self.engine = zlib.decompressobj(31) if self.head == b"\x1f\x8b" else None
    def read(self, count: int) -> bytes:
        """Return `count` bytes, fewer only at the end."""
        head, self.head = (self.head[:count], self.head[count:]) if self.engine is None else (self.head, b"")
        pieces = [] if self.engine else [head + self.raw.read(count - len(head))]
        while self.engine and count and not self.engine.eof:
            data, head = self.engine.unconsumed_tail or head or self.raw.read(CHUNK // 4), b""
            try:
                pieces.append(self.engine.decompress(data, count))
            except zlib.error as error:
                raise TamperedError(CONTAINER, "gzip", "intact data", error) from None
            need(data or pieces[-1] or self.engine.eof, CONTAINER, "gzip", "more data", "the end: the file was cut off")
            count -= len(pieces[-1])
        for piece in pieces if self.hash else ():
            self.hash.update(piece)
        return b"".join(pieces)
    def members(self) -> Iterator[Member]:
        """Yield each member; what was left unread of it is skipped before the next."""
        total = 0
        for block in iter(lambda: self.read(BLOCK), bytes(BLOCK)):
            member = Member(*tar_header(block, self.member_max), self.read)
            total += member.size
            need(total <= self.total_max, CONTAINER, member.name, f"at most {self.total_max} bytes in all", total)
            yield member
            member.finish()
            padding = self.read(-member.size % BLOCK)
            need(not padding.strip(b"\0"), CONTAINER, member.name, "zeros behind its content")
        rest = self.read(PADDING_MAX)
        padded = rest and len(rest) % BLOCK == 0 and len(rest) < PADDING_MAX and not rest.strip(b"\0")
        need(padded, CONTAINER, "tar", "two zero blocks, and only a few more, at the end")
        unused = self.engine.unused_data if self.engine else b""
        need(not unused and not self.raw.read(1), CONTAINER, "gzip", "nothing behind the gzip member", "bytes")
def tar_header(block: bytes, most: int = MEMBER_MAX) -> tuple[str, int]:
    """Return (name, size) of a regular file's ustar header. Mode, owner and time mean nothing: tar may repack it."""
    need(len(block) == BLOCK, CONTAINER, "tar", "a header or two zero blocks", "the end")
    octal = [block[at:end].rstrip(b" \0") for at, end in ((148, 156), (124, 136))]  # GNU's binary numbers are refused
    checksum, size = (int(each, 8) if re.fullmatch(rb"[0-7]+", each) else -1 for each in octal)
    need(checksum == sum(block[:148] + b" " * 8 + block[156:]), CONTAINER, "tar", "a header with its checksum")
    need(block[257:265] in (b"ustar\x0000", b"ustar  \0"), CONTAINER, "tar", "a ustar header")
    prefix = block[345:500].rstrip(b"\0") if block[262:263] == b"\0" else b""  # GNU keeps other things there
    name = (prefix + b"/" if prefix else b"") + block[:100].rstrip(b"\0")  # a NUL within is no allowed name
    text, kind = name.decode("utf-8", "backslashreplace"), block[156:157]
    need(kind in (b"0", b"\0"), CONTAINER, text, "a regular file", f"type {kind!r}; was it packed again?")
    need(not block[157:257].strip(b"\0"), CONTAINER, text, "no link name", "one")
    need(0 <= size <= most, CONTAINER, text, f"a size of at most {most} bytes", size)
    return text, size
class FolderPack:
    """The members of a folder: manifest.json first, then what it lists, then what it does not."""
    def __init__(self, folder: str) -> None:
        self.folder, self.member_max, self.total_max = folder, MEMBER_MAX, TOTAL_MAX
        if not os.path.lexists(os.path.join(folder, "manifest.json")):
            raise UnusableError("expected a pack, which begins with manifest.json, found a folder without it")
        self.names = sorted(self.walk(), key=lambda name: (name != "manifest.json", name))
    def walk(self) -> Iterator[str]:
        """Yield the name of each file; only regular files and folders are allowed."""
        walk = os.walk(self.folder, onerror=raise_)
        paths = (os.path.join(base, name) for base, folders, files in walk for name in folders + files)
        for count, path in enumerate(paths, 1):
            mode, inside = os.lstat(path).st_mode, os.path.relpath(path, self.folder).replace(os.sep, "/")
            plain = (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and count <= 2 * MEMBERS_MAX
            need(plain, CONTAINER, inside, "a regular file", "another kind, or too many")
            if stat.S_ISREG(mode):
                yield inside
    def members(self) -> Iterator[Member]:
        """Yield each member; what is looked at is what was opened."""
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        while self.names:
            name = self.names.pop(0)
            with open(os.open(os.path.join(self.folder, *name.split("/")), flags), "rb") as stream:
                facts = os.fstat(stream.fileno())
                fits = stat.S_ISREG(facts.st_mode) and facts.st_size <= self.member_max
                need(fits, CONTAINER, name, f"a file of at most {self.member_max} bytes", facts.st_size)
                yield Member(name, facts.st_size, stream.read)
def raise_(error: OSError) -> NoReturn:
    """Raise what os.walk would pass over."""
    raise error
# --- what one run finds -----------------------------------------------------------------------------------------------
@dataclass
class Options:
    """What the auditor asked for; times are milliseconds since 1970, `until` is not part of the period."""
    fingerprints: tuple[str, ...] = ()
    host: str | None = None
    since: int | None = None
    until: int | None = None
    require: tuple[str, ...] = ()
    witnesses: WitnessKeys = field(default_factory=dict)
    def judged(self, since: int, until: int) -> tuple[int, int]:
        """Return the period that completeness is judged for: as far as it was not asked for, the pack's."""
        return since if self.since is None else self.since, until if self.until is None else self.until
class Log(types.SimpleNamespace):
    """One log: what the manifest says of it, and what was found."""
    # `seen` are forms of key and note, `cosigned` pairs of witness and POSIX seconds, `met` the places of the first and
    # last entry met in the main range, `missing` what of it was not met, `opened` and `rotated` events at its ends.
    def __init__(self, number: int, stated: dict[str, Any]) -> None:
        super().__init__(number=number, **stated, key=None, protection="", note=None, signature=b"", leaves=b"",
                         seen=[], cosigned=[], met=[], missing=[], opened=None, rotated=None, rotated_at=0)
        self.bundles = self.entries = self.next_sequence = self.unchecked = 0
    def roots_at(self, sizes: Iterable[int]) -> dict[int, bytes]:
        """Return the root at each of some sizes that it has reached."""
        return {self.size: self.note.root, **roots_of(self.leaves, *{each for each in sizes if each < self.size})}
    def skip_to(self, sequence: int) -> None:
        """Note what of the main range lies before an entry and was not met."""
        gap = range(max(self.next_sequence, self.first), min(sequence, self.first + self.count))
        self.missing += [gap] if gap else []
@dataclass
class Host:
    """One observed host; a name that changed keeps its machine. Readings are (time, promised seconds)."""
    observed: str
    names: dict[str, None] = field(default_factory=dict)  # in the order in which they came
    readings: dict[str, list[tuple[int, int]]] = field(default_factory=dict)
    coverage: dict[str, str] = field(default_factory=dict)
    snapshots: int = 0
    absences: list[tuple[int, int, str]] = field(default_factory=list)
    def __str__(self) -> str:
        return shown(", once ".join(reversed([*self.names][-3:]))) + (" (image)" if self.observed == "image" else "")
@dataclass
class Report:
    """What was checked, what was found, and the exit code that follows from it."""
    path: str
    checks: set[int] = field(default_factory=set)  # made, and held
    failed: set[int] = field(default_factory=set)
    problems: list[tuple[int, int, str]] = field(default_factory=list)  # (exit code, check, text)
    members: list[tuple[str, str]] = field(default_factory=list)
    logs: list[Log] = field(default_factory=list)
    hosts: list[Host] = field(default_factory=list)
    entries: int = 0
    blobs: int = 0
    stated: tuple[int, int] = (0, 0)  # the period of the manifest
    period: tuple[int, int] = (0, 0)  # the period that is judged
    inside: list[tuple[int, int]] = field(default_factory=list)  # the places, (log, entry), of the first and last in it
    keys: list[tuple[str, bool]] = field(default_factory=list)  # (fingerprint, whether it was compared)
    remarks: list[str] = field(default_factory=list)
    unusable: str = ""
    name: str = ""  # of the host, for a pack in a fleet pack
    fleet: list[Report] | None = None  # the reports on the packs in a fleet pack
    @property
    def code(self) -> int:
        """Return the exit code: tampered outweighs incomplete, and that unwitnessed; the worst pack is the fleet's."""
        codes = [code for code, _, _ in self.problems] + [each.code for each in self.fleet or () if each.code]
        return UNUSABLE if self.unusable else min(codes, default=OK)
    def passed(self, *checks: int) -> None:
        """Note checks that were made; one that found a problem did not hold."""
        self.checks |= set(checks) - self.failed
    def problem(self, code: int, check: int, text: str) -> None:
        """Note something that does not hold; the cap spares none that changes the exit code."""
        self.checks.discard(check)
        self.failed.add(check)
        self.problems += [(code, check, text)] if len(self.problems) < PROBLEMS_MAX or code != INCOMPLETE else []
# --- one pack, from front to back -------------------------------------------------------------------------------------
Entry = types.SimpleNamespace  # a signed statement's log, place, wall, in_main, where, group (its host) and subjects
NULL, TEXT, MOMENT, INTEGER, BOOLEAN, EMPTY, TEXTS, MOMENTS, INTEGERS, BOOLEANS = (1 << bit for bit in range(10))
TYPES = {"text": TEXT | MOMENT, "time": MOMENT, "int": INTEGER, "bool": BOOLEAN,
         "list of text": EMPTY | TEXTS | MOMENTS, "list of time": EMPTY | MOMENTS, "list of int": EMPTY | INTEGERS,
         "list of bool": EMPTY | BOOLEANS}
RECORD = re.compile(rb"([0-9a-f]{64}) (0|[1-9][0-9]{0,9}) ([1-9][0-9]{0,9})")
AREAS = [re.compile(each) for each in (  # in the order of the pack; (?P<log>) is a log's id
    rf"keys/(?P<log>{LOG_ID.pattern})\.(?P<key>pem|pub|vkey|json)",
    rf"(?P<log>{LOG_ID.pattern})/(checkpoint(?P<note>(\.(txt|sig|sshsig))?)|(?P<leaves>leaves)|entries/(?P<entries>\d+))",
    r"blobs/(?P<blobs>[0-9]+)", r"(?P<reports>reports/.+)", r"(?P<rest>verify\.py|README\.txt)")]
PARTS = ("key", "note", "leaves", "entries", "blobs", "reports", "rest")
FORMS = sorted(["pem", "pub", "vkey", "json", "", ".txt", ".sig", ".sshsig", "leaves"])
def opened(pack: TarPack | FolderPack) -> tuple[Iterator[Member], bytes]:
    """Return the members of a pack behind its manifest, and the manifest."""
    members = pack.members()
    try:
        first = next(members, Member("nothing", 0, lambda _: b""))
    except TamperedError as error:
        raise UnusableError(f"expected a pack (tar, tar.gz or folder), found something else: {error}") from None
    if first.name != "manifest.json":
        raise UnusableError(f"expected a pack, which begins with manifest.json, found {shown(first.name)}")
    return members, first.whole(MANIFEST_MAX)
def manifest_of(report: Report, raw: bytes, shape: Any) -> dict[str, Any]:
    """Return a manifest that agrees with itself; what it says of the rest is checked when that is met."""
    where, newer = "manifest.json", re.search(rb'"format":([1-9][0-9]{0,8}),"hosts"', raw)
    if newer and int(newer[1]) > FORMAT:
        raise UnusableError(f"expected format {FORMAT}, found {int(newer[1])}; use a newer verify.py")
    need(raw[-1:] == b"\n", MANIFEST, where, "a newline at its end")
    manifest: dict[str, Any] = document(raw[:-1], shape, MANIFEST, where, MANIFEST_NODES_MAX)
    names = [each["name"] for each in manifest["members"]]
    for name in names:
        need(MEMBER_NAME.fullmatch(name), CONTAINER, name, "an allowed name")
    need(len({each.lower() for each in [*names, where]}) > len(names), CONTAINER, where, "names unique in any case")
    report.period = report.stated = (moment(manifest["period"]["since"]), moment(manifest["period"]["until"]))
    need(report.period[0] < report.period[1], MANIFEST, where, "a period that begins before it ends")
    report.members.append((where, hashlib.sha256(raw).hexdigest()))
    return manifest
def listed_members(report: Report, pack: Any, members: Iterator[Member], listed: Any) -> Iterator[Member]:
    """Yield the members that the manifest lists, each of which must be there, and no other."""
    if isinstance(pack, FolderPack):
        order = {each["name"]: at for at, each in enumerate(listed)}
        pack.names.sort(key=lambda name: (order.get(name, len(order)), name))
    for each in listed:
        member = next(members, Member("the end", 0, lambda _: b""))
        same = (member.name, member.size) == (each["name"], each["size"])
        found = f"{member.name} of {member.size} bytes"
        need(same, MANIFEST, each["name"], f"this member, of {each['size']} bytes", found)
        yield member
        digest = member.finish()
        need(digest == each["sha256"], MANIFEST, member.name, f"SHA-256 {each['sha256']}", digest)
        report.members.append((member.name, digest))
    for extra in members:
        need(extra is None, MANIFEST, extra.name, "only what the manifest lists", "a member more; who added it?")
class Inspection:
    """Reads one pack and fills a report. A method for each kind of member, in the order of the pack."""
    def __init__(self, report: Report, options: Options) -> None:
        self.report, self.options = report, options
        self.manifest: dict[str, Any] = {}
        self.logs: dict[str, Log] = {}
        self.hosts: dict[tuple[str, str], Host] = {}
        self.signed_names: set[tuple[str, str]] = set()  # (log id, host name)
        # digest -> (must be there, last place, role, role, …): what the entries name and was not met yet
        self.named: dict[bytes, tuple[Any, ...]] = {}
        self.last_before: dict[tuple[Any, ...], tuple[int, list[bytes]]] = {}  # (host, table) -> (time, its blobs)
        self.headers: dict[str, dict[str, int]] = {}  # digest -> field -> allowed types
        self.columns: dict[str, dict[str, dict[int, str]]] = {}  # header -> field -> type met -> the first blob of it
        self.pruned: dict[str, tuple[int, int]] = {}  # digest -> the last place where it was
        self.lost: set[str] = set()  # digests, and entries as `ORIGIN SEQUENCE`
        self.held, self.blob_members, self.last_digest = 0, 0, ""
    def hold(self, size: int) -> None:
        """Account for memory that is kept, so that a hostile pack cannot take more than its share."""
        self.held += size
        if self.held > HELD_MAX:
            raise UnusableError("expected a pack that fits into 128 MiB of memory, found more; export shorter periods")
    def run(self, pack: TarPack | FolderPack, members: Iterator[Member], raw: bytes) -> None:
        """Check everything in a pack that needs nothing from outside it; `raw` is its manifest."""
        self.read_manifest(raw)
        place = (0, 0, 0)
        for member in listed_members(self.report, pack, members, self.manifest["members"]):
            place = self.read_member(member, place)
        if place[0] <= 1:
            self.after_logs()
        self.after_blobs()
    def read_manifest(self, raw: bytes) -> None:
        """Check the manifest against itself; what it says of the rest is checked when that is met."""
        if b'"kind":"batch","logs":' in raw:
            raise UnusableError("a batch, not a pack: give it to a hub, or to evidenced import")
        self.manifest = manifest = manifest_of(self.report, raw, MANIFEST_SHAPE)
        self.report.period = self.options.judged(*self.report.stated)
        self.hold(PER_MEMBER * len(manifest["members"]))
        self.logs = {each["id"]: Log(number, each) for number, each in enumerate(manifest["logs"])}
        self.report.logs = list(self.logs.values())
        hosted = {log for host in manifest["hosts"] for log in host["logs"]} == self.logs.keys()
        need(hosted and len(self.logs) == len(manifest["logs"]), MANIFEST, "hosts", "each log once, and with its host")
        for log in self.report.logs:
            need(log.first + log.count <= log.size, MANIFEST, log.id, "a main range within the log")
    def read_member(self, member: Member, before: tuple[int, int, int]) -> tuple[int, int, int]:
        """Check one member; return its place in the layout, which must not lie before the last one's."""
        matches = ((area, each.fullmatch(member.name)) for area, each in enumerate(AREAS))
        area, found = next(((area, match.groupdict()) for area, match in matches if match), (0, {"log": ""}))
        log = self.logs.get(found.get("log", ""))
        need(log or "log" not in found, MANIFEST, member.name, "a member that the format knows")
        part = next((part for part in PARTS if found.get(part) is not None), "")
        place = (area, log.number if log and area == 1 else 0, PARTS.index(part))
        need(place >= before, MANIFEST, member.name, "the order of the format")
        if area > 1 >= before[0]:
            self.after_logs()
        if part == "blobs":
            self.read_blobs(member)
        if log:
            reads = (self.read_key, self.read_note, self.read_leaves, self.read_entries)
            reads[PARTS.index(part)](log, found[part], member)
        return place
    def read_key(self, log: Log, form: str, member: Member) -> None:
        """Check one form of a log's key: the PEM comes first, the others must be the same key."""
        raw, where = member.whole(SMALL_MAX), member.name
        log.seen.append(form)
        if form == "pem":
            try:
                log.key = public_key(raw.decode("ascii"))
            except ValueError as error:
                raise TamperedError(KEYS, where, "an Ed25519 public key", error) from None
            start = hashlib.sha256(log.key.raw).hexdigest()[:16]
            need(log.key.fingerprint == log.keyid, KEYS, where, f"the key {log.keyid}", log.key.fingerprint)
            need(log.id.startswith(start), KEYS, where, f"a key that the log id {log.id} begins with", start)
            need(log.origin == "evidenced/" + log.id.replace("-", "/"), KEYS, where, "the log id's origin", log.origin)
        need(log.key, KEYS, where, "the PEM before the other forms")
        if form == "json":
            need(raw[-1:] == b"\n", KEYS, where, "a newline at its end")
            log.protection = document(raw[:-1], {"protection": ("file", "sealed", "memory")}, KEYS, where)["protection"]
        else:
            need(re.fullmatch(key_text(form, log), raw), KEYS, where, "the log's key and nothing else")
    def read_note(self, log: Log, form: str, member: Member) -> None:
        """Check the checkpoint, or another form of its text and signature."""
        raw, where = member.whole(SMALL_MAX), member.name
        log.seen.append(form)
        need(log.key and (log.note or not form), MANIFEST, where, "keys and the checkpoint before it", "none")
        try:
            log.note = log.note or note_of(raw)
            same = form != ".sshsig" or sshsig_holds(raw, log.key, log.note.text)
        except ValueError as error:
            raise TamperedError(CHECKPOINT, where, "a signed checkpoint", error) from None
        if not form:
            same = (log.note.origin, log.note.size) == (log.origin, log.size)
            need(same, CHECKPOINT, where, f"{log.origin} of size {log.size}", f"{log.note.origin} of {log.note.size}")
            log.signature = log_signature(log.note, log.key, where)
            log.cosigned = cosignatures(log.note, self.options.witnesses, where)
            log.unchecked, log.note.lines = len(log.note.lines) - 1 - len(log.cosigned), []  # up to 1 MiB of text
        elif form in (".txt", ".sig"):
            same = raw == (log.note.text if form == ".txt" else log.signature)
        need(same, CHECKPOINT, where, "the same text, validly signed by the log's key")
    def read_leaves(self, log: Log, form: str, member: Member) -> None:
        """Check that the leaf hashes give the signed root."""
        log.seen.append(form)
        need(log.note and member.size == log.size * 32, TREE, member.name, f"{log.size} leaf hashes", member.size)
        self.hold(member.size)
        log.leaves, root = member.whole(MEMBER_MAX), {log.size: log.note.root}
        need(roots_of(log.leaves, log.size) == root, TREE, member.name, "the root that the checkpoint signs")
    def read_entries(self, log: Log, number: str, member: Member) -> None:
        """Check a bundle of envelopes, one a line."""
        bundle, where = f"{log.bundles:03d}", member.name
        need(number == bundle and "leaves" in log.seen, MANIFEST, where, f"bundle {bundle} behind the leaves")
        need(log.entries == log.bundles * BUNDLE, ENTRIES, where, f"{BUNDLE} entries in each bundle before it", "fewer")
        log.bundles += 1
        for count, line in enumerate(lines(iter(lambda: member.read(CHUNK), b""), ENVELOPE_MAX, ENTRIES, where), 1):
            need(count <= BUNDLE, ENTRIES, where, f"at most {BUNDLE} entries", "more")
            self.read_envelope(log, line, f"{where} line {count}")
        need(log.entries > (log.bundles - 1) * BUNDLE, ENTRIES, where, "entries", "none")
    def read_envelope(self, log: Log, line: bytes, where: str) -> None:
        """Check one envelope: the bytes first, then what they say, then their place in the tree."""
        envelope = document(line, ENVELOPE_SHAPE, ENTRIES, where)
        payload, signatures = decoded(envelope["payload"]), envelope["signatures"]
        need(len(payload) <= PAYLOAD_MAX, ENTRIES, where, f"a payload of at most {PAYLOAD_MAX} bytes", len(payload))
        message = b"DSSEv1 28 application/vnd.in-toto+json %d " % len(payload) + payload
        check_signature(log.key, message, signatures[0], where)
        statement = document(payload, statement_shape, ENTRIES, f"{where} payload")
        predicate = statement["predicate"]
        event = predicate.get("event", {"kind": ""})
        signers = 2 if event["kind"] == "key-rotated" else 1
        need(len(signatures) == signers, ENTRIES, where, f"{signers} signatures", len(signatures))
        if signers > 1:
            check_signature(new_key(event, where), message, signatures[1], where)
        origin, sequence = predicate["log"]["origin"], predicate["log"]["sequence"]
        need(origin == log.origin, RANGE, where, f"an entry of {log.origin}", origin)
        ordered = log.next_sequence <= sequence < log.size
        need(ordered, RANGE, where, f"an entry from {log.next_sequence} to {log.size - 1}", sequence)
        leaf = hashlib.sha256(b"\0" + payload).digest()  # RFC 6962, 2.1
        need(leaf == log.leaves[sequence * 32 : sequence * 32 + 32], RANGE, where, f"the leaf {sequence} of the tree")
        log.skip_to(sequence)
        log.next_sequence, log.entries = sequence + 1, log.entries + 1
        group = (predicate["host"]["observed"], predicate["host"]["machine"] or predicate["host"]["name"])
        subjects = {each["name"]: bytes.fromhex(each["digest"]["sha256"]) for each in statement["subject"]}
        entry = Entry(log=log, place=(log.number, sequence), where=where, group=group, subjects=subjects)
        entry.in_main, entry.wall = 0 <= sequence - log.first < log.count, moment(predicate["clock"]["wall"])
        self.take_statement(entry, predicate)
    def take_statement(self, entry: Entry, predicate: dict[str, Any]) -> None:
        """Take over from a signed statement what later checks need."""
        inside = self.report.period[0] <= entry.wall < self.report.period[1]
        self.report.inside[1:] = [entry.place] if inside else self.report.inside[1:]
        entry.log.met[1:] = [entry.place] if entry.in_main else entry.log.met[1:]
        name = sys.intern(predicate["host"]["name"])
        host = self.hosts.setdefault(entry.group, Host(entry.group[0]))
        self.hold(PER_ENTRY + (name not in host.names) * (PER_TABLE + sys.getsizeof(name)))
        host.names[name] = None
        self.signed_names.add((entry.log.id, name))
        if "event" in predicate:
            self.take_event(entry, host, predicate["event"])
            return
        host.snapshots += entry.in_main and inside
        subjects = sorted(name for table in predicate["tables"] for name in self.take_table(entry, host, table))
        need(subjects == list(entry.subjects), ENTRIES, entry.where, f"the subjects {subjects}", list(entry.subjects))
    def take_table(self, entry: Entry, host: Host, table: dict[str, Any]) -> list[str]:
        """Take over what a snapshot says of one table; return the subjects that it must have."""
        name, coverage, header, reasons = table["name"], table["coverage"], table["header"], table["reasons"]
        agrees = ((table["failure"] is None) != (coverage == "failed") and (header is None) == (coverage == "disabled")
                  and (not table["rows"] or coverage in ("complete", "partial"))
                  and (not table["gaps"] or coverage not in ("complete", "disabled"))
                  and (table["gaps"] or coverage != "partial") and bool(reasons) == bool(table["gaps"]))
        need(agrees, ENTRIES, entry.where, f"table {name} in agreement with itself", coverage)
        roles = {name: ("rows", table["rows"], header)} if coverage in ("complete", "partial") else {}
        if coverage != "disabled":
            roles[f"{name}.gaps"] = ("gaps", table["gaps"], ONE_SPELLING.encode(reasons) if reasons else "{}")
        blobs: list[tuple[bytes, Any]] = [(entry.subjects.get(name, b""), role) for name, role in roles.items()]
        blobs += [(bytes.fromhex(header), ("header", 1, name, table["version"]))] if header else []
        for digest, role in blobs:
            self.name_blob(digest, role, entry)
        self.hold(PER_READING if name in host.readings else PER_TABLE)
        host.coverage[name] = coverage
        readings = host.readings.setdefault(name, [])
        if coverage != "failed":  # an attempt that failed is no reading
            promise = BY_HAND if table["interval_s"] is None else table["interval_s"]
            readings.append((entry.wall, DISABLED if coverage == "disabled" else promise))
            last = self.last_before.get((entry.group, name), (entry.wall, []))
            if last[0] <= entry.wall <= self.report.period[0]:
                self.last_before[entry.group, name] = (entry.wall, [digest for digest, _ in blobs])
        return list(roles)
    def take_event(self, entry: Entry, host: Host, event: dict[str, Any]) -> None:
        """Take over an event; the one that opens a log and the one that closes it have their places."""
        kind, absence, log, where = event["kind"], event["absence"], entry.log, entry.where
        need(list(entry.subjects) == ["event"], ENTRIES, where, "the subject event", list(entry.subjects))
        self.name_blob(entry.subjects["event"], ("event", 1, kind, event.get("blobs")), entry)
        if absence:
            start, end = moment(absence["from"]), moment(absence["until"])
            need(start <= end, ENTRIES, where, "an absence that begins before it ends", absence)
            self.hold(sys.getsizeof(absence["reason"]))
            host.absences.append((start, min(end, entry.wall), absence["reason"]))  # what is to come, it cannot know
        need((kind == "log-opened") == (entry.place[1] == 0), CHAIN, where, "log-opened first, and only there", kind)
        log.opened = event if kind == "log-opened" else log.opened
        if kind == "key-rotated":
            need(entry.place[1] == log.size - 1, CHAIN, where, "nothing behind the entry that closes a log", "entries")
            log.rotated, log.rotated_at = event, entry.wall
    def name_blob(self, digest: bytes, role: tuple[Any, ...], entry: Entry) -> None:
        """Remember that an entry names a blob, as what, and whether the pack must hold it."""
        known = self.named.get(digest, (False, ()))
        if role not in known:
            self.hold(PER_NAME + len(role[2]) + 8 * len(known))  # for `known` is made anew
            known = (*known, role)
        self.named[digest] = (known[0] or entry.in_main, entry.place, *known[2:])
    def after_logs(self) -> None:
        """Check what can be said once all entries were met."""
        for log in self.report.logs:
            need(sorted(log.seen) == FORMS, MANIFEST, log.id, "each form of key and note once, and leaves", log.seen)
            log.skip_to(log.size)
        entries, stated = sum(log.entries for log in self.report.logs), self.manifest["counts"]["entries"]
        need(stated == entries, MANIFEST, "manifest.json counts", f"{stated} entries", entries)
        for host in self.manifest["hosts"]:
            signed = any((log, host["name"]) in self.signed_names for log in host["logs"])
            need(signed, MANIFEST, "manifest.json hosts", "a host that an entry names", host["name"])
        for digest in (each for _, digests in self.last_before.values() for each in digests):
            self.named[digest] = (True, *self.named[digest][1:])
        self.report.entries, self.report.hosts = entries, list(self.hosts.values())
        self.report.passed(KEYS, CHECKPOINT, TREE, ENTRIES)
    def read_blobs(self, member: Member) -> None:
        """Check a member of blobs, record by record, each inflated no further than its stated length."""
        number, count = f"blobs/{self.blob_members:02d}", 0
        need(member.name == number, MANIFEST, member.name, f"{number} here")
        self.blob_members += 1
        while member.left or member.kept:
            head: Any = RECORD.fullmatch(member.line(200))
            need(head, BLOBS, member.name, "digest, length and compressed length", "another line")
            digest, length = head[1].decode("ascii"), int(head[2])
            where = f"blob {digest}"
            need(digest > self.last_digest, BLOBS, where, "digests sorted and unique", "another order")
            need(length <= BLOB_MAX, BLOBS, where, f"at most {BLOB_MAX} bytes", length)
            _, place, *roles = self.named.pop(bytes.fromhex(digest), (False, ()))
            need(roles, BLOBS, where, "a blob that an entry names", "one that nobody names")
            self.read_blob(digest, place, roles, inflated(member, int(head[3]), length, digest))
            need(member.read(1) == b"\n", BLOBS, where, "a newline behind its data")
            self.last_digest, count = digest, count + 1
        need(count and (count == 1 or member.size <= BLOB_MEMBER_MAX), BLOBS, member.name, "one blob, or 32 MiB", count)
        self.report.blobs += count
    def read_blob(self, digest: str, place: Any, roles: list[tuple[Any, ...]], chunks: Iterable[bytes]) -> None:
        """Check the lines of one blob in every role in which entries name it."""
        where, kinds, before, value, count = f"blob {digest}", {role[0] for role in roles}, b"", None, 0
        columns: dict[str, dict[int, str]] = {}
        reasons: dict[str, int] = {}
        for count, line in enumerate(lines(chunks, LINE_MAX, ROWS, where), 1):
            here = f"{where} line {count}"
            need(line >= before, ROWS, here, "lines sorted by their bytes", "another order")
            before, value = line, document(line, GAP_SHAPE if "gaps" in kinds else dict, ROWS, here)
            if "rows" in kinds:
                columns = columns or {name: {} for name in value}
                need(value.keys() == columns.keys(), ROWS, here, "the fields of the rows before it", list(value))
                need(0 < len(value) <= COLUMNS_MAX, ROWS, here, f"1 to {COLUMNS_MAX} fields", len(value))
                for name, each in value.items():
                    columns[name].setdefault(type_of(each), digest)
            if "gaps" in kinds:
                reasons[value["reason"]] = reasons.get(value["reason"], 0) + value["count"]
                need(len(reasons) <= REASONS_MAX, ROWS, here, f"at most {REASONS_MAX} reasons", "more")
        for kind, expected, *further in roles:
            need(count == expected, ROWS, where, f"{expected} lines, as signed", count)
            if kind == "rows" and columns:
                self.merge_columns(further[0], columns, where)
            elif kind == "gaps":
                need(ONE_SPELLING.encode(reasons) == further[0], ROWS, where, "the signed sums of reasons", reasons)
            elif kind == "header":
                self.take_header(digest, document(before, HEADER_SHAPE, ROWS, where), further)
            elif kind == "event" and further[0] in DETAILS:
                self.take_gone(document(before, DETAILS[further[0]], ROWS, where), further[1], where, place)
    def take_gone(self, details: Any, blobs: int | None, where: str, place: tuple[int, int]) -> None:
        """Remember what an event names as pruned or lost; what a finding of damage counts as 0 was made again."""
        lost = {each for found in details.get("findings", ()) if found["count"] for each in found["names"]}
        pruned = set(details.get("digests", ()))
        need(blobs in (None, len(pruned)), ROWS, where, f"{blobs} digests of pruned blobs", len(pruned))
        self.hold(sum(PER_PRUNED + sys.getsizeof(each) for each in lost | pruned))
        self.lost |= lost
        self.pruned.update((each, max(place, self.pruned.get(each, place))) for each in pruned)
    def merge_columns(self, header: str, columns: dict[str, dict[int, str]], where: str) -> None:
        """Remember which types the fields of rows have; their header may come later in the pack."""
        self.hold(0 if header in self.columns else PER_COLUMN * len(columns))
        known = self.columns.setdefault(header, {name: {} for name in columns})
        need(known.keys() == columns.keys(), ROWS, where, "the fields of other rows with its header", list(columns))
        for name, types_met in columns.items():
            known[name] = {**types_met, **known[name]}
    def take_header(self, digest: str, value: Any, expected: list[Any]) -> None:
        """Check a header and remember which types each of its fields may have."""
        where, allowed = f"header {digest}", {each["name"]: TYPES.get(each["type"], 0) for each in value["fields"]}
        need([value["table"], value["version"]] == expected, ROWS, where, f"table, version {expected}", value["table"])
        need(all(allowed.values()), ROWS, where, f"the types {', '.join(TYPES)}")
        need(allowed.keys() >= set(value["key"]), ROWS, where, "a key made of its fields", value["key"])
        self.hold(PER_COLUMN * len(allowed))
        nullable = {each["name"] for each in value["fields"] if each["nullable"]}
        self.headers[digest] = {name: bits | NULL * (name in nullable) for name, bits in allowed.items()}
    def after_blobs(self) -> None:
        """Check rows against headers, and that nothing is missing that nobody pruned."""
        stated, found = self.manifest["counts"]["blobs"], self.report.blobs
        need(stated == found, MANIFEST, "manifest.json counts", f"{stated} blobs", found)
        for header, columns in self.columns.items():
            allowed = self.headers.get(header, {})  # one that is missing is found below
            for name, met in columns.items() if allowed else ():
                need(columns.keys() == allowed.keys(), ROWS, f"header {header}", "the fields of its rows", list(met))
                for bit, blob in met.items():
                    need(bit & allowed[name], ROWS, f"blob {blob} field {name}", "the type that its header says")
        self.report.passed(CONTAINER, MANIFEST, BLOBS, ROWS)
        for log, gap in ((each, gap) for each in self.report.logs for gap in each.missing):
            for at in gap:
                named = f"{log.origin} {at}" in self.lost
                need(named, RANGE, f"log {log.id}", f"entry {at}, or a signed event that names it as lost", "neither")
            which = f"entry {at}" if len(gap) == 1 else f"entries {gap[0]} to {at}"
            self.report.problem(INCOMPLETE, RANGE, f"log {log.id}: lost to damage, as signed events say: {which}")
        absent = {digest.hex(): known for digest, known in self.named.items() if known[0]}
        pruned = {name for name, known in absent.items() if name in self.pruned and known[1] < self.pruned[name]}
        self.report.remarks += [f"! Pruned, as was signed: {len(pruned)} of the blobs"] if pruned else []
        for name in sorted(absent.keys() - pruned):
            why = "is missing and was not pruned" + " since it was named last" * (name in self.pruned)
            why = "was lost to damage, as a signed event says" if name in self.lost else why
            self.report.problem(INCOMPLETE, CONTENT, f"blob {name} ({absent[name][2][0]}) {why}")
        self.report.passed(RANGE, CONTENT)
def key_text(form: str, log: Log) -> bytes:
    """Return a pattern of the whole file that holds a log's key in one form."""
    body = {"pem": SPKI_PREFIX, "pub": SSH_PREFIX, "vkey": LOG_KEY}[form] + log.key.raw
    text, name = base64.b64encode(body), f"{log.origin}+{note_key_id(log.origin, LOG_KEY, log.key.raw).hex()}+".encode()
    frame = {"pem": (b"-----BEGIN PUBLIC KEY-----\n", b"\n-----END PUBLIC KEY-----\n"), "vkey": (name, b"\n")}
    start, end = map(re.escape, frame.get(form, (b"ssh-ed25519 ", b"")))
    return start + re.escape(text) + (end or rb"( [ -~]*)?\n")
def check_signature(key: Key, message: bytes, signature: dict[str, str], where: str) -> None:
    """Check one signature of an envelope; its key id is only a hint, but must be the right one."""
    need(signature["keyid"] == key.fingerprint, ENTRIES, where, f"key id {key.fingerprint}", signature["keyid"])
    need(key.signed(message, decoded(signature["sig"])), ENTRIES, where, f"a valid signature of {key.fingerprint}")
def new_key(event: dict[str, Any], where: str) -> Key:
    """Return the key that a rotation introduces."""
    try:
        key = prefixed(decoded(event["key"]), SPKI_PREFIX)
    except ValueError as error:
        raise TamperedError(CHAIN, where, "a new Ed25519 key", error) from None
    need(key.fingerprint == event["keyid"], CHAIN, where, f"the new key {event['keyid']}", key.fingerprint)
    return key
def type_of(value: Any) -> int:
    """Return the type of a field's value as one bit; a dict, or a list of other things, has none and is 0."""
    kind = type(value)
    if kind is str:
        try:
            return MOMENT if len(value) in (20, 24) and moment(value) is not None else TEXT  # the lengths of a time
        except ValueError:
            return TEXT
    if kind is list:
        kinds = {type_of(each) for each in value}
        if kinds <= {TEXT, MOMENT}:
            return EMPTY if not kinds else TEXTS if TEXT in kinds else MOMENTS
        return INTEGERS if kinds == {INTEGER} else BOOLEANS if kinds == {BOOLEAN} else 0
    return NULL if value is None else BOOLEAN if kind is bool else INTEGER if kind is int else 0
def lines(chunks: Iterable[bytes], limit: int, check: int, where: str) -> Iterator[bytes]:
    """Yield lines without their newline; none may be too long, nor the last without newline."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        longest = max(map(len, (rest, *whole)))
        if longest > LINE_MAX:
            raise UnusableError(f"expected lines of at most {LINE_MAX} bytes, found one too long for memory")
        need(longest <= limit, check, where, f"lines of at most {limit} bytes", longest)
        yield from whole
    need(not rest, check, where, "a newline at the end", "none")
def inflated(member: Member, left: int, length: int, digest: str) -> Iterator[bytes]:
    """Yield a blob's bytes, no more than its length; it must have its digest and nothing behind it."""
    engine, whole, total, where, piece = zlib.decompressobj(), hashlib.sha256(), 0, f"blob {digest}", b"-"
    while not engine.eof and total <= length and (left or piece):
        data = engine.unconsumed_tail or member.read(min(left, CHUNK))
        left -= 0 if engine.unconsumed_tail else len(data)
        try:
            piece = engine.decompress(data, CHUNK)
        except zlib.error as error:
            raise TamperedError(BLOBS, where, "intact zlib data", error) from None
        total += len(piece)
        whole.update(piece)
        yield piece
    need(engine.eof and not engine.unused_data and not left, BLOBS, where, "zlib data of its length", "more or less")
    need((total, whole.hexdigest()) == (length, digest), BLOBS, where, f"{length} bytes of this SHA-256")
# --- logs that follow each other, and whose key is whose --------------------------------------------------------------
def check_chain(report: Report) -> list[tuple[Log, Log]]:
    """Check how logs follow each other; return which log vouches for which."""
    # A closed log vouches for the next by its last entry, which both keys sign. A log whose first entry names an
    # earlier one by size and root vouches for that one. Numbers of keys rise by one, as in TUF.
    vouches: list[tuple[Log, Log]] = []
    numbers: dict[int, int] = {}  # of logs -> of their keys
    named = [log.opened["previous"] for log in report.logs if log.opened and log.opened["previous"]]
    for log in report.logs:
        log.roots = log.roots_at(each["size"] for each in named if each["origin"] == log.origin)
    for log in report.logs:
        why = log.opened["why"] if log.opened else ""
        older = check_opening(report, log) if log.opened else None
        numbers.update({log.number: 1} if why == "first" else {})
        if older is not None:
            vouches.append((log, older))
            if why == "rotated" and older.rotated is not None:
                vouches.append((older, log))
                numbers[log.number] = older.rotated["number"]
            elif older.key.raw == log.key.raw and older.number in numbers:
                numbers[log.number] = numbers[older.number]
        if log.rotated and log.number in numbers:
            number, expected = log.rotated["number"], numbers[log.number] + 1
            need(number == expected, CHAIN, log.id, f"key number {expected}", number)
    for log in report.logs:
        followed = any(by is log and to.number > log.number for by, to in vouches)
        if log.rotated and log.rotated_at < report.period[1] and not followed:
            text = f"log {log.id} was closed for a new key; nothing in the pack ties a later log to it"
            report.problem(INCOMPLETE, CHAIN, text)
    report.passed(CHAIN)
    return vouches
def check_opening(report: Report, log: Log) -> Log | None:
    """Check the entry that opens a log; return the earlier log that it proves, if that is in the pack."""
    previous, why = log.opened["previous"], log.opened["why"]
    fits = why not in ("first", "rotated") or (why == "first") == (not previous)
    need(fits, CHAIN, log.id, "no log before a first one, and one before a rotated one", why)
    if why not in ("first", "rotated"):
        after = f" after {shown(previous['origin'])} of size {previous['size']}" if previous else ""
        report.remarks.append(f"! New epoch: log {log.id} was begun{after}; why: {why}")
    older = next((each for each in report.logs if previous and each.origin == previous["origin"]), None)
    if older is None:
        return None
    need(older.number < log.number, CHAIN, log.id, "logs in the order in which they followed", "another order")
    if previous["size"] > older.size:
        text = f"log {older.id} had {previous['size']} entries when {log.id} was begun; the pack shows {older.size}"
        report.problem(INCOMPLETE, CHAIN, text)
        return None
    root = older.roots[previous["size"]]
    need(root == decoded(previous["root"]), CHAIN, log.id, f"log {older.id} as it was at {previous['size']}")
    if why == "rotated":
        need(older.size == previous["size"], CHAIN, older.id, f"a log closed at {previous['size']}", older.size)
        if older.rotated:
            new = older.rotated["keyid"]
            need(new == log.key.fingerprint, CHAIN, log.id, f"the key {new}", log.key.fingerprint)
            report.remarks.append(f"  Key rotated at {utc(older.rotated_at)}: log {older.id} is followed by {log.id}")
    return older
def trusted_from(report: Report, vouches: list[tuple[Log, Log]], start: list[Log]) -> set[int]:
    """Return the numbers of all logs that those at `start` vouch for, directly or through others."""
    found: set[int] = set()
    while start:
        log = start.pop()
        if log.number not in found:
            found.add(log.number)
            start += [to for by, to in vouches if by is log]
            start += [other for other in report.logs if other.key.raw == log.key.raw]  # one key, several epochs
    return found
def compare_keys(report: Report, vouches: list[tuple[Log, Log]], given: tuple[str, ...]) -> None:
    """Compare the logs' keys with the given ones, following rotations; without one, say what to compare."""
    matching = [log for log in report.logs if log.key.fingerprint in given]
    known = trusted_from(report, vouches, list(matching))
    report.keys = sorted({(log.key.fingerprint, True) for log in matching})
    for log in reversed(report.logs):
        if log.number not in known and given:
            text = f"log {log.id} is signed by {log.key.fingerprint}, which nothing ties to the key you gave"
            report.problem(TAMPERED, KEY, text)
        elif log.number not in known:
            report.keys.append((log.key.fingerprint, False))
            known |= trusted_from(report, vouches, [log])
    report.passed(*([KEY] if given else []))
# --- completeness -----------------------------------------------------------------------------------------------------
EXPLAINS, BY_HAND, DISABLED = ("host-off", "agent-off", "suspended", "disk-full"), -1, -2
Spans = List[Tuple[int, ...]]
def check_cover(report: Report, options: Options) -> None:
    """Check that the pack holds the period and host asked for."""
    (since, until), (start, end) = report.period, report.stated
    if not start <= since < until <= end:
        text = f"asked for {period_text(since, until)}, the pack is of {period_text(start, end)}"
        report.problem(INCOMPLETE, COVER, text)
    if options.host is not None and not any(options.host in host.names for host in report.hosts):
        report.problem(INCOMPLETE, COVER, f"host {shown(options.host)} is not in the pack")
    for text in uncovered(report) if report.inside else ():
        report.problem(INCOMPLETE, COVER, text)
    report.passed(COVER)
def uncovered(report: Report) -> Iterator[str]:
    """Yield where entries may be left out: all logs are one sequence, of which one piece goes beyond the period."""
    first, last, older, goes_on = report.inside[0], report.inside[-1], "", True  # goes_on: from the log before
    for log in report.logs:
        before, behind = not log.met or first <= log.met[0], not log.met or last >= log.met[-1]
        where = "before" if before and log.first else "behind" if behind and log.first + log.count < log.size else ""
        if where:
            text = f"log {log.id} goes on {where} the entries shown, perhaps in this period"
            yield f"{text}: {log.first} to {log.first + log.count - 1} of {log.size}"
        if before and goes_on and not log.first and log.opened:
            previous, why = log.opened["previous"], log.opened["why"]
            named = f"{previous['origin']} of {previous['size']} entries" if previous else f"one not named ({why})"
            if previous["origin"] != older if previous else why not in ("first", "one-shot"):
                yield f"log {log.id} was begun after {shown(named, 300)}, which the pack does not show right before it"
        older, goes_on = log.origin, behind
def check_schedule(report: Report, options: Options, since: int, until: int) -> None:
    """Check that each table of each host was read as promised; an image is judged only if it is asked for."""
    judged = [host for host in report.hosts if host.observed == "live" and host.readings]
    if options.host is not None or not judged:
        judged = [host for host in report.hosts if options.host is None or options.host in host.names]
    if not any(host.snapshots for host in judged):
        report.problem(INCOMPLETE, SCHEDULE, "there is no snapshot in the period")
    for host in judged:
        missed: dict[str, list[str]] = {}
        unpromised = False
        absences = joined((start, end) for start, end, reason in sorted(host.absences) if reason in EXPLAINS)
        for name, readings in sorted(host.readings.items()):
            late, by_hand = judge(sorted(readings, key=lambda reading: reading[0]), since, until, absences)
            unpromised = unpromised or by_hand
            for stretch in late if len(missed) < PROBLEMS_MAX else ():
                missed.setdefault(stretch, []).append(name)
        for stretch, names in sorted(missed.items()):
            report.problem(INCOMPLETE, SCHEDULE, f"{host}: {listed(names)} {stretch}")
        if unpromised:
            text = f"{host}, " if len(judged) > 1 else ""
            text += f"nothing is promised about the time between snapshots ({host.snapshots} in the period)"
            report.remarks.append(f"! Read by hand: {text}")
            if "schedule" in options.require:
                report.problem(INCOMPLETE, SCHEDULE, f"a schedule was required; {text}")
    report.passed(SCHEDULE)
def judge(readings: Spans, since: int, until: int, absences: Spans) -> tuple[list[str], bool]:
    """Return when the last reading was older than twice the promised interval, and whether one promised nothing."""
    late: list[str] = []
    by_hand, promised = False, BY_HAND
    enabled = any(promise != DISABLED for _, promise in readings) or not readings
    if enabled and not any(wall <= since for wall, _ in readings):
        first = f"; first read at {utc(readings[0][0])}" if readings else ""
        late.append(f"not read at or before the start of the period{first}")
    for (wall, promise), (following, _) in zip(readings, [*readings[1:], (until, 0)]):
        end = min(following, until)
        # a reading by hand does not take back what the schedule promised before it
        promised = promised if promise == BY_HAND and promised != DISABLED else promise
        if promised == DISABLED or end <= since or wall >= until:
            continue
        by_hand = by_hand or promised == BY_HAND
        if promised != BY_HAND and (present(absences, end) - present(absences, wall)) // 1000 > 2 * promised:
            late.append(f"not read from {utc(wall)} to {utc(end)}, later than promised and not explained")
    return late, by_hand
def joined(stretches: Iterable[tuple[int, int]]) -> Spans:
    """Return sorted stretches without their overlaps, each with how much time lies in those before it."""
    found: Spans = [(-YEAR_10000 * 1000, -YEAR_10000 * 1000, 0)]  # long ago
    for start, end in stretches:
        first, last, before = found[-1]
        if start <= last:
            found[-1] = (first, max(last, end), before)
        elif start < end:
            found.append((start, end, before + last - first))
    return found
def present(absences: Spans, at: int) -> int:
    """Return a moment less the time before it that lies in joined stretches."""
    start, end, before = absences[bisect.bisect(absences, (at,)) - 1]
    return at - before - min(end, at) + start
def listed(names: list[str]) -> str:
    """Return some names of tables, and how many more there are."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""  # noqa: PLR2004
    return f"table{'s' * (len(names) > 1)} {', '.join(names[:5])}{more}"
# --- time, and other copies of a log ----------------------------------------------------------------------------------
def check_time(report: Report, options: Options) -> None:
    """Say who besides the host vouches for time, and whether those who were required do."""
    for log in report.logs:
        for name, at in log.cosigned:
            report.remarks.append(f"✓ Witness {shown(name)} saw {log.size} entries of log {log.id} at {utc(at * 1000)}")
        if log.unchecked:
            what = f"{log.unchecked} signature{'s' if log.unchecked > 1 else ''}"
            report.remarks.append(f"! Not checked: {what} on log {log.id}, by keys you did not name")
        if not log.cosigned and "witness" in options.require:
            report.problem(UNWITNESSED, WITNESS, f"a witness was required; none that you named signed log {log.id}")
    if report.logs and all(log.cosigned for log in report.logs):
        report.passed(WITNESS)
    else:
        report.remarks.append("! No witness: when it was signed, and that no other version exists, is the host's word")
    report.remarks.append("! No timestamp of an authority (RFC 3161): this format holds none")
    if "timestamp" in options.require:
        report.problem(UNWITNESSED, WITNESS, "a timestamp was required; this format holds none")
def check_views(reports: list[Report]) -> None:
    """Check that packs given together show one and the same log, and that witnesses saw it only grow."""
    packs = [pack for report in reports for pack in (report, *(report.fleet or ()))]
    alike: dict[str, list[tuple[Report, Log]]] = {}  # by origin
    for pack in (pack for pack in packs if pack.code in JUDGED):
        for log in pack.logs:
            alike.setdefault(log.origin, []).append((pack, log))
    for group in alike.values():
        for _, log in group:
            log.roots = log.roots_at(other.size for _, other in group if log.leaves)
        for (other_report, other), (report, log) in itertools.combinations(group, 2):
            small, large = sorted((log, other), key=lambda each: each.size)
            where = f"log {log.id} of size {log.size}, and of size {other.size} in {shown(other_report.path)}"
            if not large.leaves:
                report.problem(INCOMPLETE, VIEW, f"not compared, as memory was short; take the host packs out: {where}")
            elif large.roots[small.size] != small.note.root:
                report.problem(TAMPERED, VIEW, f"split view: {where}: these are not one log")
            shrunk = any(later > dict(large.cosigned).get(name, later) for name, later in small.cosigned)
            if small.size < large.size and shrunk:
                report.problem(TAMPERED, VIEW, f"a witness saw the log shrink: {where}")
    for report in packs if len(packs) > 1 else ():
        report.passed(VIEW)
# --- all of it --------------------------------------------------------------------------------------------------------
def inspect(report: Report, pack: TarPack | FolderPack, options: Options) -> None:
    """Check one pack, or a fleet pack and each pack in it."""
    members, raw = opened(pack)
    if b'"kind":"fleet","members":' in raw and not report.name:
        check_fleet(report, pack, members, raw, options)
        return
    Inspection(report, options).run(pack, members, raw)
    compare_keys(report, check_chain(report), options.fingerprints)
    if options.host is None or not report.name or any(options.host in host.names for host in report.hosts):
        check_cover(report, options)
        check_schedule(report, options, *report.period)
    check_time(report, options)
def check_fleet(report: Report, pack: Any, members: Iterator[Member], raw: bytes, asked: Options) -> None:
    """Check each host's pack in a fleet pack by the rules for packs, and that none is missing; `raw` is its index."""
    pack.member_max, pack.total_max, report.fleet, held = TOTAL_MAX, FLEET_MAX, [], 0
    fleet = manifest_of(report, raw, FLEET_SHAPE)
    index = {each["member"]: each for each in fleet["hosts"]}
    there = [each["name"] for each in fleet["members"] if each["name"].startswith("hosts/")]
    counts = {"hosts": len(there), "missing": len(fleet["missing"])}
    need([*index] == there and fleet["counts"] == counts, MANIFEST, "manifest.json", "an index of the packs in it")
    report.period = asked.judged(*report.stated)
    options = Options(asked.fingerprints, asked.host, *report.period, asked.require, asked.witnesses)
    for member in listed_members(report, pack, members, fleet["members"]):
        if member.name in index:
            told, tar = index[member.name], TarPack(member, hashlib.sha256())
            inner = Report(f"{report.path}:{member.name}", name=told["name"])
            report.fleet.append(inner)
            with noted(inner):
                inspect(inner, tar, options)
                same = tar.hash.hexdigest() == told["tar_sha256"]
                need(same, MANIFEST, member.name, f"a tar of SHA-256 {told['tar_sha256']}", tar.hash.hexdigest())
            held = forget(inner, held)
    owners: dict[str, Report] = {}  # by origin
    for owner, log in ((each, log) for each in report.fleet if each.code in JUDGED for log in each.logs):
        if owners.setdefault(log.origin, owner) is not owner:
            text = f"log {log.id} is of one host, and also filed as that of {shown(owners[log.origin].name)}"
            owner.problem(TAMPERED, MANIFEST, text)
    for each in fleet["missing"]:
        last = f"its last evidence is of {each['last']}" if each["last"] else "it never sent any"
        report.problem(INCOMPLETE, COVER, f"host {shown(each['name'])} was expected, and is missing or stopped: {last}")
    if not there:
        report.problem(INCOMPLETE, COVER, "no host's pack is in it")
    if asked.host not in (None, *(name for inner in report.fleet for host in inner.hosts for name in host.names)):
        report.problem(INCOMPLETE, COVER, f"host {shown(asked.host)} is not in the pack")
    report.passed(CONTAINER, MANIFEST, COVER)
def forget(inner: Report, held: int) -> int:
    """Forget what is not needed of a host's pack any more, and return how much memory is held for all of them."""
    inner.members, texts = [], [*(text for _, _, text in inner.problems), *inner.remarks]
    for host in inner.hosts:
        host.readings = {name: [] for name in host.readings}
        texts += [*host.names, *host.readings, *(reason for _, _, reason in host.absences)]
    held += PER_TABLE + sum(PER_NAME + sys.getsizeof(text) for text in texts)
    for log in inner.logs:
        log.leaves = log.leaves if held < HELD_MAX // 2 else b""
        held += PER_TABLE + len(log.leaves)
    if held > HELD_MAX:
        raise UnusableError("expected a fleet pack that fits into memory, found more; take the host packs out")
    return held
@contextlib.contextmanager
def noted(report: Report) -> Iterator[None]:
    """Write down what is wrong with a pack; nothing is raised for it."""
    try:
        yield
    except TamperedError as error:
        report.problem(TAMPERED, error.check, str(error))
    except UnusableError as error:
        report.unusable = str(error)
    except OSError as error:
        report.unusable = f"expected a pack that can be read, found: {error.strerror or 'an error'}"
def verify(path: str, options: Options) -> Report:
    """Return what was checked in one pack and what was found; nothing is raised for what is wrong with it."""
    report = Report(path)
    with noted(report), contextlib.ExitStack() as stack:
        folder = os.path.isdir(path)
        inspect(report, FolderPack(path) if folder else TarPack(stack.enter_context(open(path, "rb"))), options)
    return report
def page(report: Report) -> list[str]:
    """Return what people read of one pack."""
    if report.unusable:
        return [f"✗ Not verified: {shown(report.path)}: {report.unusable}"]
    tampered = [f"✗ Tampered: {text}" for code, check, text in report.problems if code == TAMPERED and check != KEY]
    if tampered:
        held = ", ".join(map(str, sorted(report.checks))) or "none"
        return [*tampered, f"  Checks that were made and held: {held} of 1 to {len(CHECKS)} (--json names them)"]
    if report.fleet is not None:
        return fleet_page(report, report.fleet)
    every = "The other" if any(log.missing for log in report.logs) else "All"
    result = ["✓ Signature valid (Ed25519)", f"✓ {every} {report.entries} entries intact"] if report.entries else []
    incomplete = any(code == INCOMPLETE for code, _, _ in report.problems)
    result.append(f"{'✗ Incomplete period' if incomplete else '✓ Period'}: {period_text(*report.period)}")
    for fingerprint, compared in report.keys:
        ask = f"! Key not compared: {fingerprint} Compare it with the fingerprint you were given."
        result.append(f"✓ Key compared: {fingerprint}" if compared else ask)
    words = {TAMPERED: "Key mismatch", INCOMPLETE: "Incomplete", UNWITNESSED: "Missing"}
    result += [f"✗ {words[code]}: {text}" for code, _, text in sorted(report.problems)]
    result += report.remarks
    for host in (each for each in report.hosts if each.readings or each.absences):
        result.append(f"  Host {host}: tables: {len(host.readings)}, snapshots in the period: {host.snapshots}")
        absences = [each for each in sorted(host.absences) if each[0] < report.period[1] and each[1] > report.period[0]]
        for start, end, reason in absences:
            ignored = "" if reason in EXPLAINS else ", which explains nothing"
            result.append(f"  Absent: {host}, {shown(reason)}{ignored}, {utc(start)} to {utc(end)}")
        for word in ("failed", "partial", "disabled", "unsupported"):
            names = sorted(name for name, coverage in host.coverage.items() if coverage == word)
            result += [f"! Last seen {word}: {listed(names)}"] if names else []
    result += [f"  Logs: {len(report.logs)}; the newest is {report.logs[-1].id}"] if len(report.logs) > 1 else []
    kept = ", ".join(sorted({log.protection for log in report.logs}))
    return [*result, f"  Private key kept in: {kept} (as the host says)", *NOT_PROVED]
def fleet_page(report: Report, packs: list[Report]) -> list[str]:
    """Return what people read of a fleet pack: who is missing, then a line for each host, the worst first."""
    sound, short = sum(not each.code for each in packs), report.code == INCOMPLETE
    result = [f"{'✓' if sound == len(packs) else '✗'} Host packs that are valid and complete: {sound} of {len(packs)}",
              f"{'✗ Incomplete period' if short else '✓ Period'}: {period_text(*report.period)}",
              *(f"✗ Missing: {text}" for _, _, text in sorted(report.problems)), NOT_PROVED[0], NOT_PROVED[1],
              "Not signed: the index of this file, and who was expected; what is signed is in the host packs.",
              "One line for each host, the worst first. More on one: take its pack out and verify it, or --json"]
    for each in sorted(packs, key=lambda pack: (not pack.code, pack.code, pack.name)):
        lines = [each.unusable] if each.unusable else [text for _, _, text in sorted(each.problems)]
        keys = ", ".join(f"{key} {'compared' if compared else 'not compared'}" for key, compared in each.keys)
        what = f"exit {each.code}: {lines[0]}" if lines else f"all {each.entries} entries intact; key {keys}"
        signed = [name for host in each.hosts if host.observed == "live" for name in host.names]
        other = f", but signed as {shown(signed[-1])}" if signed and each.name not in signed else ""
        result.append(f"{'✗' if each.code else '!' if other else '✓'} {shown(each.name)}{other}: {what}")
    return result
def as_json(report: Report) -> str:
    """Return one pack's result as one line of JSON."""
    results = {**dict.fromkeys(report.checks, "held"), **dict.fromkeys(report.failed, "failed")}
    checks = [{"number": at, "check": each, "result": results.get(at, "not made")} for at, each in enumerate(CHECKS, 1)]
    problems = [{"exit": code, "check": number, "text": text} for code, number, text in report.problems]
    logs = [{"id": log.id, "size": log.size, "first": log.first, "count": log.count} for log in report.logs]
    keys = [{"fingerprint": fingerprint, "compared": compared} for fingerprint, compared in report.keys]
    period = None if report.unusable else {"since": utc(report.period[0]), "until": utc(report.period[1])}
    facts = {"file": report.path, "exit": report.code, "unusable": report.unusable or None, "checks": checks}
    facts.update(problems=problems, entries=report.entries, blobs=report.blobs, period=period, logs=logs, keys=keys)
    facts.update(name=report.name or None, hosts=[{"names": [*x.names], "observed": x.observed} for x in report.hosts])
    return json.dumps({**facts, "remarks": [text[2:] for text in report.remarks]})
def write(stdout: TextIO, text: list[str]) -> None:
    """Print at most 200 lines, with plain marks where the terminal has no others."""
    marks = {"✓": "[ok]", "✗": "[FAIL]", "→": "->"}
    try:
        "".join(marks).encode(getattr(stdout, "encoding", None) or "utf-8")
    except UnicodeEncodeError:
        text = [re.sub("[✓✗→]", lambda mark: marks[mark[0]], line) for line in text]
    if len(text) > OUTPUT_LINES_MAX:
        text = [*text[: OUTPUT_LINES_MAX - 1], f"  ... and {len(text) - OUTPUT_LINES_MAX + 1} more lines"]
    stdout.writelines(line[:OUTPUT_COLUMNS_MAX] + "\n" for line in text)
# --- the command line -------------------------------------------------------------------------------------------------
def text_of(path: str) -> str:
    """Return the text of a file that should hold keys."""
    with open(path, "rb") as stream:
        return stream.read(64 * 1024).decode("utf-8")
def witnesses_of(arguments: list[str]) -> WitnessKeys:
    """Return the witness keys that --witness gives: verifier keys, or files of them."""
    found: dict[tuple[str, bytes], Key] = {}
    for argument in arguments:
        for text in text_of(argument).split("\n") if os.path.exists(argument) else [argument]:
            if text.strip() and not text.startswith("#"):
                name, key = vkey_of(text.strip(), WITNESS_KEY)
                if found.setdefault((name, note_key_id(name, WITNESS_KEY, key.raw)), key).raw != key.raw:
                    raise ValueError("two keys of one name and key id")
    return found
def limit_of(text: str | None, days: int) -> int | None:
    """Return --since or --until in milliseconds; a date as --until means the end of that day."""
    if text is None:
        return None
    return moment(text) if "T" in text else moment(f"{text}T00:00:00Z") + days * DAY_MS
def options_of(argv: list[str], program: str) -> tuple[argparse.Namespace, Options]:
    """Return the arguments and what they ask for; what is wrong with them ends in SystemExit(2)."""
    about = (__doc__ or "\n\n\n\n").split("\n\n")  # none with -OO
    parser = argparse.ArgumentParser(prog=program, description=about[0], epilog=about[2])
    several = functools.partial(parser.add_argument, action="append", default=[])
    parser.add_argument("files", nargs="+", metavar="FILE", help="tar, tar.gz or folder; several are compared")
    several("--key", help="the fingerprint you were given, or a file with the public key")
    several("--require", choices=("witness", "timestamp", "schedule"), help="what must be there beside signatures")
    several("--witness", metavar="VKEY", help="a witness's verifier key, or a file of them")
    parser.add_argument("--host", help="this host must be in the pack; completeness is judged for it alone")
    parser.add_argument("--since", metavar="D", help="2026-01-01 or 2026-01-01T00:00:00Z")
    parser.add_argument("--until", metavar="D", help="2026-03-31, that day included, or a time, not included")
    parser.add_argument("--json", action="store_true", help="one line of JSON for each pack")
    given, what = parser.parse_args(argv), "--key: expected a fingerprint SHA256:... or a file with the public key"
    try:
        keys = tuple(key if FINGERPRINT.fullmatch(key) else public_key(text_of(key)).fingerprint for key in given.key)
        what = "--witness: expected a verifier key NAME+ID+KEY or a file of them"
        witnesses = witnesses_of(given.witness)
        what = "--since, --until: expected days or times, the first before the second"
        since, until = limit_of(given.since, 0), limit_of(given.until, 1)
        if since is not None and until is not None and since >= until:
            raise ValueError
    except (ValueError, OSError) as error:
        parser.error(f"{what}, found {(getattr(error, 'strerror', None) or 'something else').lower()}")
    return given, Options(keys, given.host, since, until, tuple(given.require), witnesses)
def main(argv: list[str], stdout: TextIO, program: str = "verify.py") -> int:
    """Verify the packs that the arguments name, print what was found, and return the exit code."""
    try:
        given, options = options_of(argv, program)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else UNUSABLE
    reports = [verify(path, options) for path in given.files]
    check_views(reports)
    if given.json:
        packs = (pack for report in reports for pack in (report, *(report.fleet or ())))
        stdout.write("".join(as_json(pack) + "\n" for pack in packs))
    else:
        heads = [[f"{shown(report.path)}:"] if len(reports) > 1 else [] for report in reports]
        write(stdout, [line for head, report in zip(heads, reports) for line in [*head, *page(report)]])
    return min((report.code for report in reports if report.code), default=OK)
def verdict(argv: list[str], stdout: TextIO, program: str = "verify.py") -> int:
    """Return the exit code of `main`; what goes wrong here is 2, and never 1, which would mean tampered."""
    try:
        code = main(argv, stdout, program)
        stdout.flush()
    except Exception as error:  # noqa: BLE001  a full disk, a closed stdout, or a defect of this script
        code = UNUSABLE
        with contextlib.suppress(OSError):  # stderr may be closed, too
            os.write(2, f"{program}: could not say what was found: {type(error).__name__}\n".encode())
    return code
if __name__ == "__main__":
    os._exit(verdict(sys.argv[1:], sys.stdout))  # at an ordinary end Python would try to print once more
