from __future__ import annotations

import random
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.reading.redaction import redacted

# Put together here, so that no scanner of this repository takes a canary for a leak.
NOISE = "Zx9Qw3Er7Ty1Ui5Op8As2Df6Gh4Jk0Lm" + "N3"
HEX = "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
GITHUB = "ghp_" + "a1B2c3D4e5" * 4
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIhunter2\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/bin/x --password=hunter2", "/bin/x --password=<redacted:named_secret>"),
        ("/bin/x --password hunter2 -v", "/bin/x --password <redacted:named_secret> -v"),
        ("/bin/x -passwd hunter2", "/bin/x -passwd <redacted:named_secret>"),
        ("PGPASSWORD=hunter2 psql", "PGPASSWORD=<redacted:named_secret> psql"),
        ("MYSQL_PWD='hunter2 x' mysql", "MYSQL_PWD=<redacted:named_secret> mysql"),
        ('pass="hunter2 \\" x"y z', "pass=<redacted:named_secret> z"),
        ("password='hunter2 never closed", "password=<redacted:named_secret>"),
        ('{"password": "hunter2"}', '{"password": <redacted:named_secret>'),
        ("mount -o username=bob,password=hunter2", "mount -o username=bob,password=<redacted:named_secret>"),
        ("openssl -passin pass:hunter2", "openssl -passin pass:<redacted:named_secret>"),
        ("x --api-key hunter2", "x --api-key <redacted:named_secret>"),
        ("x --client-secret=hunter2", "x --client-secret=<redacted:named_secret>"),
        ("https://h/?token=hunter2&a=b", "https://h/?token=<redacted:named_secret>"),
        ("https://bob:hunter2@h/x", "https://bob:<redacted:url_password>@h/x"),
        ("mysql://bob:hun/t@er2@h/x", "mysql://bob:<redacted:url_password>@h/x"),
        ("curl -u bob:hunter2 https://h", "curl -u <redacted:option> https://h"),
        ("curl -H 'Authorization: Bearer hunter2'", "curl -H 'Authorization<redacted:authorization>"),
        ("/usr/bin/mysql -uroot -phunter2 db", "/usr/bin/mysql -uroot -p<redacted:option> db"),
        ("/usr/bin/sshpass -p hunter2 ssh h", "/usr/bin/sshpass -p <redacted:option> ssh h"),
        ("redis-cli -a hunter2 ping", "redis-cli -a <redacted:option> ping"),
        ("ldapsearch -D cn=x -whunter2", "ldapsearch -D cn=x -w<redacted:option>"),
        ("7z x -phunter2 a.7z", "7z x -p<redacted:option> a.7z"),
        ("tool -pHunter2!x", "tool -p<redacted:option>"),
        ("deploy " + GITHUB, "deploy <redacted:github_token>"),
        ("token=" + GITHUB, "token=<redacted:github_token>"),
        ("x AKIA" + "ABCDEFGH12345678", "x <redacted:aws_key>"),
        ("x glpat-" + "abcdefghij0123456789", "x <redacted:gitlab_token>"),
        ("x xoxb-" + "1234567890-abcdef", "x <redacted:slack_token>"),
        ("https://hooks.slack.com/services/T0/B0/hunter2", "https://hooks.slack.com/<redacted:slack_token>"),
        ("x eyJhbGciOi.eyJzdWIiOi.hunter2", "x <redacted:jwt>"),
        (PEM + " after", "<redacted:pem> after"),
        (PEM[:40], "<redacted:pem>"),
        ("usermod -p $6$salt$hunter2 bob", "usermod -p <redacted:password_hash> bob"),
        ("SIGNATURE=" + NOISE, "SIGNATURE=<redacted:entropy>"),
        ("--key=" + HEX, "--key=<redacted:entropy>"),
    ],
)
def test_a_secret_becomes_the_name_of_its_detector(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/usr/bin/passwd root",
        "/usr/bin/passwd [A-Za-z]*, !/usr/bin/passwd *root*",
        "/usr/bin/mysql -p*",
        "/bin/x --password=*",
        "/bin/x --password-file=/etc/x.conf",
        "/bin/x --password= --user bob",
        "/bin/x --password --user bob",
        "ssh -p 22 host1.example.com",
        "docker run -p 8080:80 -u 1000:1000 image",
        "find / -perm -4000 -print0",
        "mkdir -p /srv/Release2024.x",
        "https://host:8443/@scope/pkg",
        "https://bob@host/path",
        "mount UUID=0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0 /mnt",
        "--output=/var/lib/thing/with/a/long/path/2024",
        "--mode=a-rather-long-but-plain-sentence-of-words",
        "keyboard=de monkey=1 bypass=1 compass=n",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text: str) -> None:
    assert redacted(text) == text


@given(st.text())
def test_any_text_gives_text(text: str) -> None:
    assert isinstance(redacted(text), str)


@given(
    st.text(st.characters(codec="utf-8"), max_size=20),
    st.sampled_from(["password=%s", "--token %s", "https://u:%s@h", "Authorization: Basic %s", "mysql -p%s"]),
    st.text(string.ascii_letters + string.digits, min_size=6, max_size=40),
)
def test_a_planted_secret_never_comes_out(before: str, form: str, secret: str) -> None:
    canary = "Kq7" + secret
    assert canary not in redacted(f"{before} {form % canary}")


BAIT = [
    "password=",
    "password='",
    'password="\\',
    "--password ",
    "eyJ",
    "eyJaaaaaa.",
    "https://a:",
    "://",
    "-----BEGIN A-----",
    "-----BEGIN ",
    "ghp_",
    "glpat-",
    "$6$",
    "authorization: ",
    "AKIA",
    "-",
    "a=",
    "mysql -p ",
    "sk-",
    "SG.aaaaaaaaaaaaaaaaaaaaa",
    "hooks.slack.com/",
    "bearer ",
    " ",
    "secret",
    "pass",
]


@pytest.mark.parametrize("bait", BAIT)
def test_time_grows_with_the_text_and_not_with_its_square(bait: str) -> None:
    text = bait * (400_000 // len(bait))
    began = time.process_time()
    redacted(text)
    assert time.process_time() - began < 4


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.sampled_from([*BAIT, "x", "A1", " ", "\n", "@", '"']), max_size=40),
    st.randoms(use_true_random=False),
)
def test_mixtures_of_bait_are_no_slower(pieces: list[str], chance: random.Random) -> None:
    chance.shuffle(pieces)
    text = "".join(pieces) * 200
    began = time.process_time()
    redacted(text)
    assert time.process_time() - began < 2
