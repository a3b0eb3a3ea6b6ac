"""sudoers texts made up by hypothesis: whole ones after sudo's grammar, and ones that something has happened to."""

from __future__ import annotations

import string

from hypothesis import strategies as st

from tests.collectors.access.sudoers.stories import BASE256, FAULTY, HEX224, HEX256, HEX512, TAKEN

Text = st.SearchStrategy[str]

_LETTERS = string.ascii_lowercase + string.digits + "_-.@ü"
_name = st.text(_LETTERS, min_size=1, max_size=6).filter(lambda text: text[0].isalpha()).map(lambda text: f"u{text}")
_alias = st.text(string.ascii_uppercase + string.digits + "_", min_size=1, max_size=4).map(lambda text: f"X{text}")
_number = st.integers(0, 2**32 - 2).map(str)
_blank = st.sampled_from(["", " ", "  ", "\t", " \\\n  "])
_gap = st.sampled_from([" ", "\t", "  ", " \\\n\t"])
_not = st.sampled_from(["", "", "", "!", "!!", "!!!"])


def _joined(parts: Text, *, between: str = ",", most: int = 4) -> Text:
    mark = st.builds("{}{}{}".format, _blank, st.just(between), _blank)
    many = st.lists(st.tuples(mark, parts), max_size=most - 1)
    return st.builds(lambda one, more: one + "".join(map("".join, more)), parts, many)


def _negatable(parts: Text) -> Text:
    return st.builds("{}{}".format, _not, parts)


_escaped = st.builds("{}\\{}{}".format, _name, st.sampled_from(' ,:=\\!()"#'), _name)
_quoted = st.builds('"{}{} {}"'.format, st.sampled_from(["", "%", "%:", "+"]), _name, _name)
_user = st.one_of(
    _name, _alias, _escaped, _quoted, st.just("ALL"), _name.map(lambda name: f"%{name}"),
    _number.map(lambda n: f"#{n}"), _number.map(lambda n: f"%#{n}"), _number.map(lambda n: f"%:#{n}"),
    _name.map(lambda name: f"%:{name}"),
    _name.map(lambda name: f"+{name}"),
)  # fmt: skip
_users = _joined(_negatable(_user))
_host = st.one_of(
    _name, _alias, st.just("ALL"), _name.map(lambda name: f"+{name}"),
    st.ip_addresses().map(str).filter(lambda address: not address.endswith("::")),
    st.ip_addresses(v=4).map(lambda address: f"{address}/24"),
)  # fmt: skip
_hosts = _joined(_negatable(_host))
_groups = _joined(_negatable(st.one_of(_name, _alias, st.just("ALL"))))

_argument = st.one_of(
    st.text(_LETTERS + "*?[]!/()'\"@%+^$;&|", min_size=1, max_size=6).filter(lambda text: text[0] not in "^!"),
    st.sampled_from(["\\*", "\\,", "\\:", "\\=", "\\\\", "\\#", "a\\ b", "\\[x\\]", "a=b", "-x=/y"]),
)
_arguments = st.one_of(
    st.just(""), st.just(' ""'), st.lists(_argument, min_size=1, max_size=3).map(lambda words: " " + " ".join(words)),
    st.text(_LETTERS + " ()|.*+[]", max_size=8).map(lambda text: f" ^{text.strip()}$"),
)  # fmt: skip
_path = st.one_of(
    st.lists(st.text(_LETTERS + "*?[]", min_size=1, max_size=5), min_size=1, max_size=3).map(
        lambda names: "/" + "/".join(names)
    ),
    st.sampled_from(["/bin/a\\ b", "/bin/c\\,d\\:e\\=f\\#g", "^/usr/bin/[a-z]+$", "sudoedit", "^/s?bin/(a|b)$"]),
)
_command = st.one_of(
    st.just("ALL"), st.just("list"), _alias, st.just("/srv/x/"), st.builds("{}{}".format, _path, _arguments)
)
_bare = st.one_of(st.just("ALL"), _alias, _path.filter(lambda path: "\\" not in path))
_digest = st.sampled_from([f"sha224:{HEX224}", f"sha256:{HEX256}", f"sha256:{BASE256}=", f"sha512 : {HEX512}"])
_digested = st.builds(
    "{} {}".format,
    _joined(_digest, most=2),
    _negatable(st.one_of(st.just("ALL"), st.builds("{}{}".format, _path, _arguments))),
)
_listed = st.one_of(_negatable(_command), _digested)
_runas = st.one_of(
    st.just(""), st.just("() "), st.just("( : )"), _users.map(lambda users: f"({users})"),
    _groups.map(lambda groups: f"(:{groups}) "), st.builds("({} : {})".format, _users, _groups),
)  # fmt: skip
_option = st.sampled_from(
    ["TIMEOUT=1h", "TIMEOUT=30", "CWD=/srv", "CWD=*", "CHROOT=/jail", "CHROOT=~bob", "ROLE=r", "TYPE=t",
     "NOTBEFORE=20200101000000Z", "NOTAFTER=2030010100Z"]
)  # fmt: skip
_tag = st.sampled_from(
    ["NOPASSWD:", "PASSWD:", "SETENV:", "NOSETENV:", "EXEC:", "NOEXEC:", "FOLLOW:", "NOFOLLOW:", "LOG_INPUT:",
     "NOLOG_INPUT:", "LOG_OUTPUT:", "NOLOG_OUTPUT :", "MAIL:", "NOMAIL:", "INTERCEPT:", "NOINTERCEPT:"]
)  # fmt: skip


def _several(parts: Text, most: int) -> Text:
    return st.lists(parts, max_size=most).map(lambda found: "".join(f"{each} " for each in found))


_spec = st.builds("{}{}{}{}".format, _runas, _several(_tag, 3), _listed, st.just(""))
_spec_with_options = st.builds("{}{}{}{}".format, _runas, _several(_option, 2), _several(_tag, 2), _listed)
_privilege = st.builds("{}{}={}{}".format, _hosts, _blank, _blank, _joined(_spec))
# cvtsudoers 1.9.13 merges commands whose options differ, so here only the first of a list has any.
_privilege_with_options = st.builds("{} = {}".format, _hosts, _spec_with_options)
_rule = st.builds(
    "{}{}{}\n".format, _users, _gap, _joined(st.one_of(_privilege, _privilege_with_options), between=" : ", most=2)
)
_value = st.one_of(
    st.text(_LETTERS + "/:%", min_size=1, max_size=6),
    st.text(_LETTERS + " ,=:#'/", min_size=1, max_size=8).map(lambda text: f'"x{text}"'),
    st.just("a\\ b\\,c"),
)
_setting = st.one_of(
    st.sampled_from(["env_reset", "!lecture", "!!insults", "requiretty"]),
    st.builds("{}{}={}{}".format, st.sampled_from(["secure_path", "passprompt", "logfile"]), _blank, _blank, _value),
    st.builds("env_keep {} {}".format, st.sampled_from(["=", "+=", "-="]), _value),
)
_scope = st.one_of(
    st.just(""), st.builds(":{}".format, _joined(_user, most=1)), st.builds("@{}".format, _joined(_host, most=2)),
    st.builds(">{}".format, _joined(_user, most=1)), st.builds("!{}".format, _joined(_bare, most=2)),
)  # fmt: skip
_defaults = st.builds("Defaults{} {}\n".format, _scope.filter(lambda text: "\\" not in text), _joined(_setting, most=3))
_comment = st.builds(
    "#{}\n".format, st.sampled_from(["", " a comment", "x \\", "-", " ALL = ALL"]).filter(lambda c: c != "-")
)


@st.composite
def _aliases(draw: st.DrawFn) -> str:
    """Return lines that define aliases of one kind, each name once."""
    kind, members = draw(
        st.sampled_from(
            [("User_Alias", _users), ("Runas_Alias", _users), ("Host_Alias", _hosts), ("Cmnd_Alias", _joined(_listed)),
             ("Cmd_Alias", _joined(_listed))]
        )
    )  # fmt: skip
    names = draw(st.lists(_alias, min_size=1, max_size=3, unique=True))
    return f"{kind} " + " : ".join(f"{name} = {draw(members)}" for name in names) + "\n"


@st.composite
def sudoers_texts(draw: st.DrawFn) -> str:
    """Return a text that sudo's grammar allows; an alias may still be defined twice."""
    lines = draw(st.lists(st.one_of(_rule, _defaults, _aliases(), _comment, st.just("\n")), max_size=6))
    return "".join(lines)


_PIECES = [
    *'!#%+,:=()"\\^$ \t\n>@/*', "ALL", "NOPASSWD:", "sha256:", "Defaults", "User_Alias", "\\\n", "\r\n", "sudoedit",
    "CWD=", "TIMEOUT=", "x", "X", "/bin/x", "(root)", "::", "1.2.3.4", "^", "list", "\0", "#-", "# ", "+=",
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """Return one of the stories or a made-up text with up to three pieces put in, or stretches taken out."""
    text = draw(st.one_of(sudoers_texts(), st.sampled_from([*TAKEN.values(), *FAULTY.values()])))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(text)))
        end = draw(st.sampled_from([at, at, at + 1, at + 4]))
        text = text[:at] + draw(st.sampled_from(["", *_PIECES])) + text[end:]
    return text.replace("include", "inc")
