"""A host whose every secret is a canary: it must be read, and must never be told."""

from __future__ import annotations

CANARY = "canary"
HASH = "$6$canarysalt$CanaryCanaryCanary"
KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"

PLANTS = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nold:canaryoldhash:1:1::/:/bin/sh\nbroken:CANARY\n",
    "etc/shadow": f"root:{HASH}:19000:0:99999:7:::\nold:!{HASH}:1:::::\nodd:CANARY:x:::::::\nbroken:{HASH}\n",
    "etc/group": "root:x:0:\nold:canaryoldhash:1:\nbroken:CANARY\n",
    "etc/gshadow": f"root:{HASH}::\nold:canaryoldhash::\nbroken:{HASH}\n",
    "etc/machine-id": "canary00canary00canary00canary00\n",
    "etc/sudoers": (
        "root ALL=(ALL) ALL\n"
        "root ALL=/usr/bin/curl --user root\\:canary https\\://root\\:canary@example.org/\n"
        "root ALL=/usr/bin/mysql --password=canary\n"
    ),
    "etc/ssh/sshd_config": "Port 22\n",
    "root/.ssh/authorized_keys": (
        f"command=\"curl -H 'Authorization: Bearer canary' https://u:canary@h/\" ssh-ed25519 {KEY} canary@home\n"
        f'environment="TOKEN=canary" ssh-ed25519 {KEY} canary@work\n'
        "-----BEGIN OPENSSH PRIVATE KEY----- canary\n"
    ),
}
