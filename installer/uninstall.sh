#!/bin/sh
# SPDX-License-Identifier: MIT
# Takes away the files that it is given, below DESTDIR, and first stops the units among them.
#   DESTDIR=… installer/uninstall.sh FILE…
set -eu

root=${DESTDIR-}
units=
for file; do
    case $file in /usr/lib/systemd/system/*.d/*) continue ;;
    # containers stay, and with them what is mounted for them
    /usr/lib/systemd/system/*.slice | /usr/lib/systemd/system/*.mount) continue ;;
    /usr/lib/systemd/system/*) [ ! -e "$root$file" ] || units="$units ${file##*/}" ;;
    esac
done
live=
[ -n "$root" ] || [ ! -d /run/systemd/system ] || live=1
if [ -n "$live" ] && [ -n "$units" ]; then
    # shellcheck disable=SC2086
    systemctl --quiet disable --now $units
fi
had_sshd=
for file; do
    [ -e "$root$file" ] || continue
    case $file in /etc/ssh/*) had_sshd=1 ;; esac
    rm -f "$root$file"
    case ${file%/*} in
    */secbox | */secbox-gateway | *.service.d | */secbox/examples)
        folder=$root${file%/*}
        rmdir "$folder" "${folder%/examples}" 2>/dev/null || true # unless others have put something there
        ;;
    esac
done
if [ -n "$live" ]; then
    systemctl daemon-reload
    [ -z "$had_sshd" ] || systemctl --quiet try-reload-or-restart ssh.service
fi
