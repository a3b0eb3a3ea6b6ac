"""sudoers texts, each a story of its own: those that sudo takes whole, and those in which it finds fault."""

from __future__ import annotations

HEX224, HEX256, HEX384, HEX512 = ("0a" * size for size in (28, 32, 48, 64))
BASE256 = "Zz9+/" * 8 + "Zz8"

TAKEN: dict[str, str] = {
    "nothing at all": "",
    "only a comment": "# nobody may do anything",
    "a last line without its end": "root ALL=(ALL:ALL) ALL",
    "a webmaster may restart the server without a password": "web ALL = NOPASSWD: /bin/systemctl restart nginx\n",
    "operators may do small tasks, but nothing as root's shell": (
        "User_Alias OPERATORS = joe, mike, jude : ADMINS = %wheel, !eve\n"
        "Runas_Alias OP = root, operator\n"
        "Host_Alias SERVERS = www1, www2, 10.1.2.0/24 : CUNETS = 128.138.0.0/255.255.0.0\n"
        "Cmnd_Alias SHELLS = /bin/sh, /bin/bash, /bin/zsh\n"
        "Cmnd_Alias DUMPS = /usr/sbin/dump, sha224:" + HEX224 + " /usr/sbin/restore\n"
        "OPERATORS ALL = DUMPS, /usr/sbin/lpc, sudoedit /etc/printcap\n"
        "ADMINS SERVERS, CUNETS = (OP) ALL, !SHELLS\n"
    ),
    "a user may become the people of a database": "pete DB = /usr/bin/passwd [A-Za-z]*, !/usr/bin/passwd *root*\n",
    "ids below nothing and too large": (
        "a, #-379, #-2147483648, #-2147483649, #-1, #4294967294, #4294967295, #4294967296, %#-5, %:#-5 ALL = ALL\n"
    ),
    "groups, ids, netgroups and groups of a directory": (
        '%wheel, %#10, %:Admins, %:#44, +ops, #1000, "%domain users", "+net group", "two words" ALL = ALL\n'
    ),
    "an account of a domain with a backslash": "DOMAIN\\\\bob, %DOMAIN\\\\admins ALL = ALL\n",
    "names with escapes": "a\\ b, c\\,d, e\\x41f, %g\\ h, \\#x ALL = ALL\n",
    "a name that says ALL": '"ALL" ALL = /bin/ls\n',
    "negation once, twice and thrice": "ALL, !bob, !!eve, !!!mallory !web, ALL = !/bin/su, !!/bin/ls\n",
    "every form of whom to run as": (
        "a ALL = (root) /bin/a\nb ALL = (root, #33 : adm, !daemon) /bin/b\nc ALL = (: adm) /bin/c\n"
        "d ALL = () /bin/d\ne ALL = (:) /bin/e\nf ALL = (ALL : ALL) /bin/f\ng ALL = (DB, !root, %staff, +ng) /bin/g\n"
        "h ALL = (ALL:DB) /bin/h\n"
    ),
    "runas that the next commands inherit until another": (
        "a ALL = (op) /bin/ls, /bin/cat, (root : adm) /bin/kill, /bin/more, () /bin/x, /bin/y\n"
    ),
    "every tag": (
        "a ALL = NOPASSWD: SETENV: NOEXEC: LOG_INPUT: LOG_OUTPUT: MAIL: FOLLOW: INTERCEPT: /bin/a, "
        "PASSWD: NOSETENV: EXEC: NOLOG_INPUT: NOLOG_OUTPUT: NOMAIL: NOFOLLOW: NOINTERCEPT: /bin/b, /bin/c\n"
    ),
    "tags with blanks before the colon": "a ALL = NOPASSWD : /bin/a, PASSWD\t:/bin/b\n",
    "a tag twice": "a ALL = NOPASSWD: PASSWD: /bin/a\n",
    "SETENV before ALL is not handed on": "a ALL = SETENV: /bin/a, ALL, /bin/b\n",
    "every option": (
        "a ALL = (root) TIMEOUT=1d2h3m4s CWD=/srv/x CHROOT=~ ROLE=r TYPE=t NOTBEFORE=20200101000000Z "
        "NOTAFTER=20300102030405+0200 NOPASSWD: /bin/a, /bin/b, CWD=* /bin/c\nb ALL = TIMEOUT=90 /bin/d\n"
    ),
    "times to the hour, the minute and with a fraction": (
        "a ALL = NOTBEFORE=2020010203Z /bin/a\nb ALL = NOTBEFORE=202001020304Z /bin/b\n"
        "c ALL = NOTBEFORE=20200102030405.5Z /bin/c\n"
    ),
    "digests in hexadecimal and base64, several, and on ALL": (
        f"a ALL = sha224:{HEX224} /bin/a, sha256:{HEX256} /bin/b, sha384:{HEX384} /bin/c, sha512:{HEX512} /bin/d\n"
        f"b ALL = sha256:{BASE256}= /bin/a, sha256:{BASE256} /bin/b, sha224:{HEX224}, sha256:{HEX256} !/bin/c\n"
        f"c ALL = sha256 : {HEX256} ALL, sha256: {HEX256.upper()} sudoedit /etc/motd\n"
    ),
    "arguments with wildcards, escapes and none": (
        'a ALL = /bin/a -x *, /bin/b "", /bin/c \\*\\?, /bin/d a\\,b\\:c\\=d\\\\e\\ f, /bin/e x=y, /bin/f [!a-z]\n'
    ),
    "arguments that hold what looks like rules": "a ALL = /bin/a (root) NOPASSWD ALL !x, /bin/b @include\n",
    "folders and paths with wildcards": "a ALL = /usr/local/bin/, /opt/*/bin/[a-z]?, !/opt/x/\n",
    "a path with escapes": "a ALL = /bin/a\\ b, /bin/c\\,d -x, /bin/e\\=f, /bin/g\\:h, /bin/i\\#j\n",
    "regular expressions as command and as arguments": (
        "a ALL = ^/bin/(ls|cat)$, ^/usr/bin/.*$ -l, /bin/x ^-[a-z]+ (foo|bar), b\\#c$, ^/sbin/[^,]*$ ^a,b:c=d$\n"
    ),
    "sudoedit and list": "a ALL = sudoedit, sudoedit /etc/*.conf, !sudoedit /etc/shadow, list, NOPASSWD: list\n",
    "rules for several groups of hosts on one line": "a www = /bin/a, /bin/b : db, !mail = (pg) /bin/c : ALL = ALL\n",
    "addresses": (
        "a 10.0.0.1, 10.0.0.0/8, 10.0.0.0/255.0.0.0, fe80::1, 2001:db8::/32, ::1, a:b::1.2.3.4/128 = ALL\n"
        "a 300.1.1.1, 1.2.3, 1.2.3.4.5, 10.0.0.0/33 = ALL\n"
    ),
    "lines that are continued": (
        "User_Alias A = a, \\\n    b, \\\n  c\n"
        "A ALL = /bin/a \\\n -x \\\n y, \\\n  NOPASSWD: \\\n /bin/b\nz ALL = ALL\n"
    ),
    "a continued line inside a string and inside a regular expression": (
        'Defaults passprompt="one \\\n   two"\na ALL = /bin/a ^x\\\n   y$\n'
    ),
    "a backslash with blanks before the end": "a ALL = /bin/a, \\ \t\n /bin/b\n",
    "comments after everything": (
        "a ALL = ALL # all\nb ALL = /bin/ls -l # few\n  # indented\nUser_Alias A = a # me\nDefaults env_reset # yes\n"
    ),
    "a number after # is a user, words are a comment": "#1000 ALL = ALL\n# 1000 ALL = nonsense ( \n#-1 ALL = ALL\n",
    "a comment does not go on in the next line": "# one \\\na ALL = ALL\n",
    "settings of every kind": (
        "Defaults env_reset, !requiretty, timestamp_timeout=-1, umask=0022, passwd_tries = 3\n"
        'Defaults env_keep += "LANG LC_*", env_keep -= HOME, env_delete="A B", secure_path="/bin:/sbin"\n'
        'Defaults passprompt="say \\"friend\\": ", logfile=/var/log/sudo\\,log, badpass_message=no\\ way\n'
        "Defaults lecture, !lecture, !!insults\n"
    ),
    "settings for users, hosts, commands and whom to run as": (
        "Defaults:alice,%wheel,!bob !authenticate\nDefaults@web, 10.0.0.0/8 log_host\nDefaults>root, #33 noexec\n"
        "Defaults!/bin/ls, PAGERS, !/bin/cat,sudoedit noexec\n"
    ),
    "settings for a name in quotes": 'Defaults:"two words" !lecture\nDefaults:"%a b" !lecture\n',
    "settings with blanks before and after": " \tDefaults \t env_reset\n\t Defaults:a  env_reset , lecture\n",
    "alias keywords with blanks before, and the old name": " User_Alias A = a\n\tCmd_Alias C = /bin/a\n",
    "an alias of the same name in another kind": "User_Alias A = a\nRunas_Alias A = b\nHost_Alias A = c\n",
    "words that begin like keywords": (
        "Defaultsx ALL = ALL\nUser_Aliasx ALL = ALL\nALLx ALL = ALL\nTIMEOUTS ALL = ALL\n"
    ),
    "user and host named as commands are": "list list = list\nsudoedit1 ALL = ALL\n",
    "an account that is named by digits and signs": "1st, a.b, a-b, a_b, a@b, a$, a/b, a+b, a%b, a*b, a;b ALL = ALL\n",
    "text that is not ASCII": "jürgen, 李 ALL = /opt/ß/ü -ö\n",
    "line ends of another system": "# a comment\r\nUser_Alias A = a, b\r\nDefaults env_reset\r\nA ALL = ALL\r\n",
    "a setting that ends at a number sign, and a rule behind it, where the last line lacks its end": (
        "a ALL = TIMEOUT=0 /bin/a\nDefaults lecture#5 b=list"
    ),
    "a line to be continued, and after it one that begins with a NUL and lacks its end": "a ALL = ALL \\\n\0",
    "a tab is a blank": "a\tALL\t=\t(\troot\t)\tNOPASSWD:\tALL\n",
    "SELinux role without a type": "a ALL = ROLE=r /bin/a, TYPE=t /bin/b, /bin/c\n",
}

FAULTY: dict[str, str] = {
    "a line of nonsense costs itself only": "foo bar\nroot ALL = ALL\n",
    "two faults": "foo bar\nroot ALL = ALL\nx = = y\n",
    "a command without its path": "a ALL = ls\n",
    "an alias in small letters": "User_Alias people = a\n",
    "a reserved word as an alias": "User_Alias ALL = a\nHost_Alias TIMEOUT = b\n",
    "an alias twice, and a fault behind it": "User_Alias A = a\nUser_Alias A = b \\\n : B = x y\nc ALL = ALL\n",
    "an alias twice": "User_Alias A = a\nUser_Alias A = b : B = c\nUser_Alias B = d\n",
    "what is left of aliases": "User_Alias A = x y\nUser_Alias B = x,\nUser_Alias C = x : D = \n",
    "a colon at the end": "a ALL = /bin/a :\nb ALL = /bin/a : : web = /bin/b\n",
    "a fault after the colon": "a ALL = /bin/a : web = foo\nb ALL = /bin/a : web = foo, /bin/b\n",
    "two faults in one rule, each on a line of its own": (
        "a ALL = /bin/a : web = foo : \\\n db = /bin/b : \\\n www = (root /bin/c\nb ALL = ALL\n"
        "c ALL = /bin/a : web = (:op : \\\n -:x \\\n y\n"
    ),
    "an open bracket": "a ALL = (root /bin/a\nb ALL = (root : ) /bin/b\nc ALL = ALL\n",
    "a string that is not closed": 'Defaults passprompt="x\na ALL = ALL\n"b ALL = ALL\nc ALL = ALL\n',
    "an empty string": 'Defaults passprompt=""\n"" ALL = ALL\n',
    "empty groups": '% ALL = ALL\n%: ALL = ALL\n+ ALL = ALL\n"%" ALL = ALL\n"%:" ALL = ALL\n"+" ALL = ALL\n',
    "two settings without a comma": "Defaults env_reset requiretty\n",
    "a setting in capitals": "Defaults ENV_RESET\nDefaults env_reset,\nDefaults\n",
    "a setting after its colon": "Defaults : bob env_reset\n",
    "a setting switched off with a value": "Defaults !umask=0022\n",
    "tags before options": "a ALL = NOPASSWD: TIMEOUT=3 /bin/a\n",
    "tags before whom to run as": "a ALL = NOPASSWD: (root) /bin/a\n",
    "values that options do not take": (
        "a ALL = CWD=srv /bin/a\nb ALL = CHROOT=x /bin/b\nc ALL = TIMEOUT=x /bin/c\nd ALL = TIMEOUT=1h2h /bin/d\n"
        "e ALL = TIMEOUT=1m2h /bin/e\nf ALL = TIMEOUT=99999999999 /bin/f\ng ALL = NOTBEFORE=2020 /bin/g\n"
        'h ALL = NOTAFTER=20200101000000X /bin/h\ni ALL = TIMEOUT= /bin/i\nj ALL = CWD="/x" /bin/j\n'
    ),
    "digests of the wrong length": f"a ALL = sha256:{HEX224} /bin/a\nb ALL = sha224:{HEX224}\n",
    "a digest before an alias": f"a ALL = sha224:{HEX224} PAGERS\nb ALL = sha224:{HEX224} list\n",
    "an address with two gaps": "a 1::2::3 = ALL\n",
    "a regular expression that is not closed": "a ALL = /bin/a ^x\nb ALL = ^/bin/b\nc ALL = /bin/a ^x # y$\n",
    "Defaults, aliases and includes after a continued line": (
        "a ALL = /bin/a \\\nDefaults env_reset\nb ALL = ALL, \\\nUser_Alias A = a\nc ALL = ALL, \\\n@include x\n"
    ),
    "negation with a blank between": "! !a ALL = ALL\n",
    "an escape that sudo does not know": 'a ALL = /bin/a \\q\nb ALL = /bin/b \\"x\\"\n',
    "line ends of another system cost a command its rule": "a ALL = /bin/a\r\nb ALL = ALL\r\n",
    "a rule before a comment that is none, where the last line lacks its end": "a ALL = ALL #-",
    "the same where it does not": "a ALL = ALL #-\nb ALL = ALL #-\n",
    "a file that ends in a continued line": "a ALL = ALL\nb ALL = ALL \\\n",
    "greater and lesser": "a > b\n< ALL = ALL\n",
    "a host list without its commands": "a ALL\nb ALL =\nc ALL = ,\nd ALL = ALL,\n",
    "options that are of Solaris only": "a ALL = PRIVS=x /bin/a\n",
    "a number with letters after it": "#12x ALL = ALL\n",
}
