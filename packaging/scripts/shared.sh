set -e
# What the scripts of both packages and both formats share. Set before: package, started (units in the order of their start),
# stopped (units in the order of their end), by_hand (units of these that only an administrator starts), state, passing (folders), config, accounts.

say() { printf '%s: %s\n' "$package" "$*" >&2; }
booted() { [ -d /run/systemd/system ]; }
quietly() { "$@" >/dev/null 2>&1 || true; }

# The packages bring no bytecode: it is made for the Pythons that are here. A start without takes twice as long.
compile() {
    for python in /usr/bin/python3.1[0-4]; do
        [ -x "$python" ] || continue
        "$python" -IBm compileall -q "/usr/lib/$package" >/dev/null ||
            say "$python could not compile all of /usr/lib/$package; it runs all the same, only slower"
    done
}
# Nobody but these scripts knows of it, so nobody else would remove it, or notice that it belongs to another version.
remove_bytecode() {
    [ ! -d "/usr/lib/$package" ] || find "/usr/lib/$package" -type d -name __pycache__ -prune -exec rm -rf {} +
}

make_users_and_folders() {
    systemd-sysusers "$package.conf"
    [ ! -e "/usr/lib/tmpfiles.d/$package.conf" ] || systemd-tmpfiles --create "$package.conf"
}

# Between two versions nothing runs, so that no part of one starts a part of the other. What people record meanwhile is signed
# by the command itself. A service that somebody had stopped stays so, and what somebody had started runs again.
mark() { echo "/run/$package.stays-stopped"; }
ran() { echo "/run/$package.ran-by-hand"; }
stop() {
    booted || return 0
    rm -f "$(mark)" "$(ran)"
    for unit in $by_hand; do
        if systemctl --quiet is-active "$unit"; then echo "$unit" >>"$(ran)"; fi
    done
    # Not so one that failed, or is about to be started again.
    if [ "$(systemctl show --value --property ActiveState "${started##* }")" = inactive ]; then : >"$(mark)"; fi
    for unit in $stopped; do quietly systemctl stop "$unit"; done
}
stays_stopped() {
    [ -e "$(mark)" ] || return 1
    rm -f "$(mark)"
    say "${started##* } was stopped and stays so"
}

start_what_ran() {
    [ -e "$(ran)" ] || return 0
    while read -r unit; do quietly systemctl start "$unit"; done <"$(ran)"
    rm -f "$(ran)"
}

remove_what_passes() {
    for folder in $passing; do rm -rf "$folder"; done
    rm -f "$(mark)" "$(ran)"
}
