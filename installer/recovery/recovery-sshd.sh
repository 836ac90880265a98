#!/bin/sh
# SPDX-License-Identifier: MIT
# What the recovery sshd needs, made below /run from what is there: it must start with a full disk and damaged files.
#   recovery-sshd prepare      host key, port, principals, revoked certificates
#   recovery-sshd principals   only the last two: whom a certificate must name: BOX:ACCOUNT, or the box's id as gateways once did
# SECBOX_ROOT moves all paths. Only files of root are read: what recovery-agent may write could hold up root, or lead it astray.
# Of its list of revoked certificates so much is taken as one read gives, and of that the lines that are key ids.
set -u
umask 077

root=${SECBOX_ROOT-}
run=$root/run/tucomunidad/recovery-sshd
state=$root/var/lib/tucomunidad/recovery-sshd
agent_env=$root/etc/tucomunidad/mgmt-agent.env
recovery_env=$root/etc/tucomunidad/recovery.env
passwd=$root/etc/passwd
authorities=$root/etc/tucomunidad/trust/support-ca.pub
mgmt_list=$root/var/lib/tucomunidad/mgmt-agent/ssh-revocations
own_list=$root/var/lib/tucomunidad/recovery/ssh-revocations
# what was good last, for the day on which those are damaged
kept=$state/kept.env

say() { printf 'recovery-sshd: %s\n' "$*" >&2; }

# The folders above are for all to pass through.
make_run() { (umask 022 && mkdir -p "$run"); }
make_state() { [ -d "$state" ] || (umask 022 && mkdir -p "${state%/*}" && mkdir -m 700 "$state"); }

# value NAME PATTERN FILE…: the first value of that form
value() {
    name=$1 pattern=$2
    shift 2
    for file; do
        [ -f "$file" ] || continue
        found=$(sed -n "s/^$name=\($pattern\)\$/\1/p" "$file" 2>/dev/null | head -n 1)
        [ -z "$found" ] || { printf '%s\n' "$found"; return; }
    done
}

# replace FILE MODE: standard input becomes the file, whole; two of us may run at once. Until then it is root's alone.
replace() {
    cat >"$1.$$" && chmod "$2" "$1.$$" && mv -f "$1.$$" "$1"
}

# keep NAME VALUE: only what changed is a write on the flash disk
keep() {
    [ "$(value "$1" '.*' "$kept")" != "$2" ] || return 0
    make_state &&
        { [ ! -f "$kept" ] || grep -v "^$1=" "$kept"; printf '%s=%s\n' "$1" "$2"; } | replace "$kept" 600
}

principals() {
    device=$(value DEVICE_ID '[A-Za-z0-9][A-Za-z0-9._-]\{0,63\}' "$agent_env")
    if [ -n "$device" ]; then
        keep DEVICE_ID "$device" 2>/dev/null || say "the box's id cannot be kept on the disk"
    else
        device=$(value DEVICE_ID '[A-Za-z0-9][A-Za-z0-9._-]\{0,63\}' "$kept")
    fi
    [ -n "$device" ] || say "this box has no DEVICE_ID yet: only the break-glass key is good"
    printf '%s\n' "$device" | replace "$run/principals" 644
    accounts "$device"
}

# Files, since a command would be one more thing that can fail, and sshd wants the modes above it to be right. Root has one whatever
# state the machine's list of accounts is in; others are for those who have a shell.
accounts() {
    (umask 022 && mkdir -p "$run/accounts")
    {
        echo root
        sed -n '/\/\(nologin\|false\|sync\)$/d; s/^\([A-Za-z0-9_][A-Za-z0-9_.-]*\):.*:.*:.*:.*:.*:.*/\1/p' "$passwd" 2>/dev/null
    } | sort -u | while read -r account; do
        if [ -n "$1" ]; then
            printf '%s\n' "$1:$account" "$1"
        fi | replace "$run/accounts/$account" 644
    done
    for file in "$run"/accounts/*; do
        [ "${file##*/}" = root ] || grep -q "^${file##*/}:" "$passwd" 2>/dev/null || rm -f "$file"
    done
}

# key_ids FILE: of certificates that the gateway has revoked. A damaged line says nothing.
key_ids() {
    [ ! -e "$1" ] || dd if="$1" iflag=nofollow,nonblock bs=65536 count=1 status=none 2>/dev/null |
        LC_ALL=C sed -n 's|^id: [A-Za-z0-9._@-]\{1,64\}/[A-Za-z0-9._@-]\{1,64\}/[0-9]\{1,64\}$|&|p'
}

# An sshd that cannot read its list takes no certificate at all: only one that was read for a test takes the place of the one
# before, and an empty file revokes nothing.
# revocation_list FILE: standard input, lines of ssh-keygen -k, becomes a key revocation list for each authority (PROTOCOL.krl)
revocation_list() {
    made=$1.$$ update=
    cat >"$made.ids"
    : >"$made"
    if [ -s "$made.ids" ]; then
        grep -E '^(ssh|ecdsa|sk)-' "$authorities" 2>/dev/null | while read -r authority; do
            printf '%s\n' "$authority" >"$made.ca"
            ssh-keygen -q -k $update -f "$made" -s "$made.ca" "$made.ids" </dev/null >/dev/null 2>&1 && update=-u
        done
        if ! ssh-keygen -Q -l -f "$made" >/dev/null 2>&1; then
            say "no list can be made of the certificates that are revoked: the one before stays"
            if [ -e "$1" ]; then rm -f "$made"; else : >"$made"; fi
        fi
    fi
    [ ! -e "$made" ] || { chmod 644 "$made" && mv -f "$made" "$1"; }
    rm -f "$made.ids" "$made.ca"
}

# What mgmt-agent was told counts for the machine's own sshd; for the recovery sshd also what recovery-agent was told, which may add
# to it, and take nothing from it.
revocations() {
    key_ids "$mgmt_list" | revocation_list "$run/revoked"
    { key_ids "$mgmt_list"; key_ids "$own_list"; } | sort -u | revocation_list "$run/revoked-here"
}

# port FILE: the port that a file names, if it is one
port() {
    found=$(value RECOVERY_SSH_PORT '[0-9]\{1,5\}' "$1")
    if [ -n "$found" ] && [ "$found" -ge 1 ] && [ "$found" -le 65535 ]; then
        printf '%s\n' "$found"
    fi
}

# Whether a file is whole and leaves the port to us; a damaged one says nothing.
names_no_port() {
    [ -f "$1" ] && [ -s "$1" ] && ! grep -aq '^RECOVERY_SSH_PORT' "$1" &&
        [ "$(LC_ALL=C tr -d '\11\12\15\40-\176\200-\377' <"$1" | wc -c)" -eq 0 ]
}

listen() {
    chosen=$(port "$recovery_env")
    [ -n "$chosen" ] || ! names_no_port "$recovery_env" || chosen=2222
    if [ -n "$chosen" ]; then
        keep RECOVERY_SSH_PORT "$chosen" 2>/dev/null || say "the port cannot be kept on the disk"
    else
        chosen=$(port "$kept")
    fi
    printf 'ListenAddress 127.0.0.1:%s\n' "${chosen:-2222}" | replace "$run/listen.conf" 644
}

# For recovery-agent, which tells the cloud: nobody then has to believe the key on first sight.
tell_key() { ssh-keygen -y -P '' -f "$run/host_key" | cut -d ' ' -f 1,2 | replace "$run/host_key.pub" 644; }

is_key() { [ -s "$1" ] && ssh-keygen -y -P '' -f "$1" >/dev/null 2>&1; }

keep_key() {
    make_state && replace "$state/host_key" 600 <"$run/host_key" && sync "$state/host_key" "$state"
}

# The key on the disk, else the one that this boot has used already, else a new one.
host_key() {
    if is_key "$state/host_key"; then
        replace "$run/host_key" 600 <"$state/host_key"
        return
    fi
    [ ! -e "$state/host_key" ] || say "the host key is damaged"
    if ! is_key "$run/host_key"; then
        rm -f "$run/host_key" "$run/host_key.pub"
        ssh-keygen -q -t ed25519 -N '' -C '' -f "$run/host_key" || return 1
        say "a new host key was made: $(ssh-keygen -l -f "$run/host_key.pub")"
    fi
    keep_key 2>/dev/null || say "the host key cannot be kept on the disk: it is another one after the next boot"
}

# Without PAM sshd takes a password field that begins with "!" for a locked account.
warn_if_locked() {
    case $(getent shadow root 2>/dev/null) in
    root:!*) say "root's password field begins with '!', so nobody gets in: usermod -p '*' root" ;;
    esac
}

make_run || exit 1
case ${1-} in
principals)
    principals
    revocations
    ;;
prepare)
    [ -n "$root" ] || mkdir -p -m 755 /run/sshd
    principals
    revocations
    listen
    warn_if_locked
    host_key || exit 1
    tell_key || say "the public half of the host key cannot be shown"
    ;;
*)
    say "say prepare or principals"
    exit 2
    ;;
esac
