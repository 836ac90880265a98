#!/bin/sh
# SPDX-License-Identifier: MIT
# AuthorizedKeysCommand of the machine's own sshd: the authorities of support staff, good for BOX:ACCOUNT alone, or for the box's
# id by itself, as gateways of an earlier time certify; and then whatever the command says that the machine has been given
# besides. Of each such setting sshd takes only the first one, so that ours would be in the place of another.
#   authorized-keys USER HOME KEYTYPE KEY FINGERPRINT UID       (%u %h %t %k %f %U)
set -u
mask=$(umask)
umask 077

principals=/run/tucomunidad/recovery-sshd/principals
authorities=/etc/tucomunidad/trust/support-ca.pub
settings=/etc/ssh
ours=/usr/lib/secbox/authorized-keys
revoked=/run/tucomunidad/recovery-sshd/revoked

device=$(sed -n '/^[A-Za-z0-9][A-Za-z0-9._-]*$/{p;q}' "$principals" 2>/dev/null)
case ${1-} in
'' | *[!A-Za-z0-9_.-]*) names=$device ;;
*) names=$device:$1,$device ;;
esac
# RevokedKeys of sshd would be in the place of the site's own list, and keep everybody out when it cannot be read. A list that
# cannot be read revokes nothing here.
is_revoked() {
    case ${3-} in
    *-cert-v01@openssh.com) [ -s "$revoked" ] || return 1 ;;
    *) return 1 ;;
    esac
    certificate=$(mktemp "$revoked.XXXXXX") || return 1
    printf '%s %s\n' "${3-}" "${4-}" >"$certificate"
    ssh-keygen -Q -f "$revoked" "$certificate" 2>/dev/null | grep -q REVOKED
    found=$?
    rm -f "$certificate"
    return $found
}

if [ -n "$device" ] && ! is_revoked "$@"; then
    sed -n "s/^\(\(ssh-\|ecdsa-\|sk-\)[A-Za-z0-9@.-]* [A-Za-z0-9+/=]*\).*/cert-authority,principals=\"$names\" \1/p" \
        "$authorities" 2>/dev/null
fi

# setting NAME: what the machine's own files say, the first of them, as sshd reads them
setting() {
    for file in "$settings"/sshd_config.d/*.conf "$settings/sshd_config"; do
        sed -n '/^[[:space:]]*match[[:space:]]/Iq; s/^[[:space:]]*'"$1"'[[:space:]=]\{1,\}//Ip' "$file" 2>/dev/null |
            sed "s/[[:space:]]*\$//; \|^$ours|d; /^none\$/d; /^root\$/d"
    done | head -n 1
}

command=$(setting AuthorizedKeysCommand)
[ -n "$command" ] || exit 0
user=$(setting AuthorizedKeysCommandUser)
login=$1 home=$2 type=$3 key=$4 fingerprint=$5 uid=$6
set -f
# shellcheck disable=SC2086
set -- $command
for word; do
    shift
    case $word in
    %u) word=$login ;;
    %h) word=$home ;;
    %t) word=$type ;;
    %k) word=$key ;;
    %f) word=$fingerprint ;;
    %U) word=$uid ;;
    esac
    set -- "$@" "$word"
done
umask "$mask"
exec setpriv --reuid="${user:-root}" --regid="$(id -g "${user:-root}")" --init-groups -- "$@"
