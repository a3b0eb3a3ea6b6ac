"""Any bytes as mountinfo: mounts whose fields can be used, and every well-formed line among them."""

from __future__ import annotations

from collectors.reading.mounts import Refused, parse_mountinfo

LINE = b"36 35 98:0 /mnt1 /mnt/two rw,noatime master:1 - nfs4 server:/x rw\n"


def target(data: bytes) -> None:
    mounts = parse_mountinfo(LINE + data + b"\n" + LINE)
    assert len(mounts) <= data.count(b"\n") + 3
    assert [each.fstype for each in (mounts[0], mounts[-1])] == ["nfs4", "nfs4"]
    refused = Refused(mounts)
    for each in mounts:
        assert each.target.encode("utf-8", "surrogateescape") is not None
        assert not each.is_refused or each.target == "/" or refused.over(each.target + "/x") or len(mounts) > 2
