#!/bin/sh
# SPDX-License-Identifier: MIT
# Reboots because recovery-agent asks for it. Who asks reads the network: whether it may, and how often, is decided here, from
# files of root: once an hour, three times a day. SECBOX_ROOT moves all paths.
set -u
umask 077

root=${SECBOX_ROOT-}
recovery_env=$root/etc/tucomunidad/recovery.env
state=$root/var/lib/tucomunidad/recovery-reboot
counted=$state/reboots

say() { printf 'recovery-reboot: %s\n' "$*" >&2; }

# Times of reboots in the last day. One in the future is from a clock that was wrong: it is taken for one of now, and written
# down as such.
recent() {
    [ -f "$counted" ] || return 0
    awk -v now="$now" '/^[0-9]+$/ { t = $1 + 0; if (t > now) t = now; if (t > now - 86400) printf "%.0f\n", t }' "$counted"
}

# write_down TIME…: what cannot be counted would come again and again
write_down() {
    { [ -d "$state" ] || mkdir -p "$state"; } && printf '%s\n' "$@" | grep . >"$counted.new" && sync "$counted.new" &&
        mv -f "$counted.new" "$counted" && sync "$state" && return
    say "a reboot is asked for, but it cannot be written down in $counted"
    exit 1
}

[ -f "$recovery_env" ] && grep -qx RECOVERY_REBOOT=1 "$recovery_env" || {
    say "a reboot is asked for, but recovery.env does not allow it (RECOVERY_REBOOT=1)"
    exit 0
}
now=$(date +%s)
times=$(recent)
last=$(printf '%s\n' "$times" | sort -n | tail -n 1)
if [ "$(printf '%s\n' "$times" | grep -c .)" -ge 3 ]; then
    say "a reboot is asked for, but there were three in the last day"
    [ "$last" != "$now" ] || write_down "$times"
elif [ -n "$last" ] && [ "$last" -gt $((now - 3600)) ]; then
    say "a reboot is asked for, but the last one was less than an hour ago"
    [ "$last" != "$now" ] || write_down "$times"
else
    write_down "$times" "$now"
    exec systemctl reboot
fi
