"""Pure readings behind the `host` table: virtualisation, architecture, kernels, time zone."""

from __future__ import annotations

import re

# systemd-detect-virt(1): the names it prints, and the DMI texts by which it knows them (systemd, src/basic/virt.c).
DMI_VENDORS = (
    ("KVM", "kvm"),
    ("OpenStack", "kvm"),
    ("KubeVirt", "kvm"),
    ("Amazon EC2", "amazon"),
    ("QEMU", "qemu"),
    ("VMware", "vmware"),
    ("VMW", "vmware"),
    ("innotek GmbH", "oracle"),
    ("VirtualBox", "oracle"),
    ("Xen", "xen"),
    ("Bochs", "bochs"),
    ("Parallels", "parallels"),
    ("BHYVE", "bhyve"),
    ("Hyper-V", "microsoft"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "google"),
)
DMI_NAMES = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")

# ELF header, e_machine; names as uname -m has them. Source: elf(5), include/uapi/linux/elf-em.h.
MACHINES = {
    (3, 1): "i686",
    (8, 1): "mips",
    (8, 2): "mips64",
    (20, 1): "ppc",
    (21, 2): "ppc64",
    (22, 2): "s390x",
    (40, 1): "arm",
    (62, 2): "x86_64",
    (183, 2): "aarch64",
    (243, 2): "riscv64",
    (258, 2): "loongarch64",
}


def virtualization(dmi: dict[str, str], *, container: str | None, hypervisor_type: str | None, cpu_flag: bool) -> str:
    """Return what the host runs in, by the names of systemd-detect-virt(1); `none` is bare metal.

    `container` is the text of /run/systemd/container or `docker`, `podman` by their marker files.
    `cpu_flag` is the hypervisor bit of cpuid: something virtual whose name is not known is `vm-other`.
    """
    if container:
        return container
    for name in DMI_NAMES:
        for start, label in DMI_VENDORS:
            if dmi.get(name, "").startswith(start):
                return label
    if dmi.get("sys_vendor") == "Microsoft Corporation" and dmi.get("product_name") == "Virtual Machine":
        return "microsoft"
    if hypervisor_type == "xen":
        return "xen"
    return "vm-other" if cpu_flag else "none"


def elf_architecture(header: bytes) -> str | None:
    """Return the architecture a program was built for, from the first 20 bytes of its file, or None.

    Source: elf(5): EI_CLASS at 4, EI_DATA at 5, e_machine at 18.
    """
    if len(header) < 20 or header[:4] != b"\x7fELF" or header[5] not in {1, 2}:  # noqa: PLR2004
        return None
    little = header[5] == 1
    name = MACHINES.get((int.from_bytes(header[18:20], "little" if little else "big"), header[4]))
    return "ppc64le" if name == "ppc64" and little else name


def identity_in(text: str) -> str | None:
    """Return the id in the text of a machine-id file, None if it holds none. Source: machine-id(5)."""
    identity = text.strip().lower()
    return None if identity in {"", "uninitialized"} else identity


def version_key(release: str) -> tuple[tuple[int, int, str], ...]:
    """Return a key that sorts kernel releases as people do: numbers by value, a pre-release before its release."""
    parts = re.findall(r"\d+|[a-z]+", release.lower())
    key = [(1, int(each), "") if each.isdigit() else (0 if each == "rc" else 2, 0, each) for each in parts]
    return (*key, (1, -1, ""))


def zone_of(target: str) -> str | None:
    """Return the time zone a link of /etc/localtime names, or None if it leads elsewhere."""
    _, found, zone = target.partition("/zoneinfo/")
    zone = zone.removeprefix("posix/").removeprefix("right/")
    return zone if found and re.fullmatch(r"[A-Za-z0-9_+/-]{1,64}", zone) else None


def boot_seconds(stat: str) -> int | None:
    """Return the POSIX second at which the kernel started, from /proc/stat. Source: proc_stat(5), btime."""
    found = re.search(r"^btime (\d{1,12})$", stat, re.MULTILINE)
    return int(found[1]) if found else None
