#!/bin/sh
# SPDX-License-Identifier: MIT
# What has to be so before anything is changed.

is_installed() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }
os_word() { sed -n "s/^$1=//p" /etc/os-release 2>/dev/null | tr -d "\"'"; }

check_system() {
    case "$(os_word ID) $(os_word VERSION_ID)" in
    'debian 12' | 'debian 13') good "Debian $(os_word VERSION_ID)" ;;
    *) bad 11 "SecBox runs on Debian 12 and 13; this is $(os_word PRETTY_NAME)" ;;
    esac
    [ -d /run/systemd/system ] || bad 11 "systemd does not run this machine; SecBox's programs are units of systemd"
    check_arch=$(dpkg-query -W -f '${Architecture}' dpkg 2>/dev/null) || check_arch=unknown
    case $check_arch in
    amd64 | arm64) good "processor: $check_arch" ;;
    *) bad 12 "there are packages for amd64 and arm64; this machine's architecture is $check_arch" ;;
    esac
}

check_room() {
    room_mib=$(awk '/^MemTotal:/ { print int($2 / 1024) }' /proc/meminfo)
    if [ "$room_mib" -ge $MEMORY_MIB ]; then
        good "memory: $room_mib MiB"
    else
        bad 13 "$MEMORY_MIB MiB of memory are needed, and this machine has $room_mib"
    fi
    room_need=$DISK_MIB
    ! is_installed secbox-agent || room_need=$DISK_AGAIN_MIB
    for room_dir in /usr /var /home; do
        [ -d $room_dir ] || continue
        room_mib=$(df -Pk $room_dir | awk 'NR == 2 { print int($4 / 1024) }')
        if [ "${room_mib:-0}" -lt $room_need ]; then
            bad 14 "$room_need MiB have to be free where $room_dir is, and there are ${room_mib:-0}: remove something"
            return
        fi
    done
    good "disk: $room_need MiB are free"
}

# by how much this machine's clock differs from the Date in a file of headers; nothing when there is none
clock_gap() {
    gap_date=$(tr -d '\r' <"$1" | sed -n 's/^[Dd]ate: *//p' | tail -n 1)
    [ -n "$gap_date" ] && gap_date=$(date -u -d "$gap_date" +%s 2>/dev/null) || return 0
    gap=$(($(date +%s) - gap_date))
    echo ${gap#-}
}

check_clock() {
    clock=$(clock_gap "$1")
    if [ "${clock:-0}" -gt $CLOCK_SECONDS ]; then
        bad 15 "this machine's clock ($(date -u '+%Y-%m-%d %H:%M') UTC) is $clock seconds away from the cloud's: set it \
(timedatectl set-ntp true, or date -s)"
        return 1
    fi
}

cloud_host() {
    host=${CLOUD#*://}
    host=${host%%/*}
    case $host in
    \[*) host=${host#\[} host=${host%%\]*} ;;
    *) host=${host%%:*} ;;
    esac
    echo "$host"
}

# An answer in the cloud's name whose certificate nobody vouches for: the clock, or somebody in between.
explain_certificate() {
    curl -sk -m 30 -o /dev/null -D "$temp/head" "$CLOUD/install/" 2>/dev/null || true
    clock=$(clock_gap "$temp/head")
    if [ "${clock:-0}" -gt 86400 ]; then
        check_clock "$temp/head" || return 0
    fi
    cert_issuer=$(curl -skv -m 30 -o /dev/null "$CLOUD/install/" 2>&1 | sed -n 's/^\* *issuer: //p' | tail -n 1)
    bad 18 "whoever answers as $(cloud_host) has a certificate that this machine does not trust (issuer: ${cert_issuer:-unknown}): \
an intercepting proxy, a captive portal, or an authority of your own, whose certificate then belongs into \
/usr/local/share/ca-certificates (update-ca-certificates)"
}

explain_curl() {
    case $1 in
    5) bad 17 "the proxy's name in HTTPS_PROXY cannot be resolved" ;;
    6) bad 16 "$(cloud_host) cannot be resolved: look at /etc/resolv.conf and the network" ;;
    28) bad 17 "$CLOUD has not answered within 30 seconds: is there a firewall between, or is HTTPS_PROXY needed?" ;;
    60) explain_certificate ;;
    *) bad 17 "$CLOUD cannot be reached: $(sed 's/^curl: ([0-9]*) //' "$temp/error" | head -n 1)" ;;
    esac
}

# The cloud's own list of packages is asked for: nobody else has one that begins like that.
check_cloud() {
    if [ -z "$proxy" ]; then
        getent ahosts "$(cloud_host)" >/dev/null || {
            bad 16 "$(cloud_host) cannot be resolved: look at /etc/resolv.conf and the network"
            return
        }
    fi
    command -v curl >/dev/null || {
        bad 17 "curl is not installed: apt-get install curl"
        return
    }
    curl_code=0
    answer=$(curl -sS -m 30 --max-filesize 1000000 -D "$temp/head" -o "$temp/body" -w '%{http_code} %{redirect_url}' \
        "$CLOUD/install/apt/dists/$channel/InRelease" 2>"$temp/error") || curl_code=$?
    if [ $curl_code != 0 ]; then
        explain_curl $curl_code
        return
    fi
    case $answer in
    200*) if head -n 1 "$temp/body" | grep -q '^-----BEGIN PGP SIGNED MESSAGE'; then
            ! check_clock "$temp/head" || good "cloud: $CLOUD; the clock agrees with it"
        else
            bad 18 "something else answers in place of $CLOUD, as a captive portal does: log in to this network with a browser"
        fi ;;
    3*) bad 18 "$CLOUD leads to ${answer#* }, as a captive portal does: log in to this network with a browser" ;;
    404*) bad 17 "$CLOUD has no packages of channel $channel: its gateway has no --install-dir, or the channel is another" ;;
    407*) bad 17 "the proxy wants to know who you are: HTTPS_PROXY=http://user:password@…" ;;
    511*) bad 18 "this network wants a login first (a captive portal): log in with a browser" ;;
    *) bad 17 "$CLOUD answers with HTTP status ${answer%% *}; try again later" ;;
    esac
}

check_bundle() {
    if tar -tf "$bundle" >"$temp/list" 2>/dev/null &&
        grep -q "^\(\./\)\{0,1\}\([^/]*/\)\{0,1\}apt/dists/$channel/InRelease\$" "$temp/list"; then
        good "bundle: $bundle; nothing is asked of a network, so nobody has looked at the clock"
    else
        bad 25 "$bundle is no bundle with packages of channel $channel: it is damaged, or not from \`make bundle\`"
    fi
}

# port → who listens on it, or nothing
listener_of() {
    awk -v port="$(printf ':%04X$' "$1")" '$2 ~ port && $4 == "0A" { found = 1 } END { exit !found }' \
        /proc/net/tcp /proc/net/tcp6 2>/dev/null || return 0
    listener=$(ss -Hltnp "sport = :$1" 2>/dev/null |
        sed -n 's/.*users:(("\([^"]*\)",pid=\([0-9]*\).*/\1, process \2/p' | head -n 1)
    echo "${listener:-another program}"
}

check_ports() {
    # then it may be us, by packages or from before there were any
    if is_installed secbox-agent || [ -e $ENV_FILE ] || command -v mgmt-agent >/dev/null; then return; fi
    for port in 8080 8443; do
        taken=$(listener_of $port)
        [ -z "$taken" ] || bad 19 "port $port is taken by $taken; guards and pairing need it; let that program use another"
    done
    [ "$problem" = 19 ] || good "ports 8080 and 8443 are free"
}

# What an older way of installing has left. Its users and settings are used; what it starts at boot may be somebody's way in.
check_older() {
    for older in /etc/tucomunidad/*.env; do
        [ ! -f "$older" ] || is_installed secbox-agent || note "$older is there already: it is used and not changed"
    done
    for older in tc tcops; do
        if id "$older" >/dev/null 2>&1 && ! was_made "user $older"; then
            note "user $older is there already: its podman is used"
        fi
    done
    grep -s '^[^#]*@reboot.*\(tucomunidad\|mgmt-\|relay\|podman\|secbox\)' /etc/crontab /etc/cron.d/* /var/spool/cron/crontabs/* \
        >"$temp/cron" || true # its status also tells of files that are not there
    while IFS= read -r older; do
        note "left as it is, since it may be the way in; once the box is connected, remove it: ${older}"
    done <"$temp/cron"
}

# "NAME, process NUMBER" of whoever holds a lock of dpkg or apt, or nothing
dpkg_user() {
    for lock in /var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock /var/cache/apt/archives/lock; do
        [ -e $lock ] || continue
        lock_pid=$(awk -v inode=":$(stat -c %i $lock)\$" '$2 == "POSIX" && $6 ~ inode { print $5; exit }' /proc/locks)
        [ -n "$lock_pid" ] || continue
        echo "$(cat "/proc/$lock_pid/comm" 2>/dev/null || echo somebody), process $lock_pid"
        return
    done
}

check_packages() {
    busy=$(dpkg_user)
    [ -z "$busy" ] || note "the package manager is in use ($busy); the installer will wait for it, $lock_wait seconds at most"
    [ -z "$(dpkg --audit 2>/dev/null)" ] || note "packages are half installed; they will be finished first (dpkg --configure -a)"
}

check_all() {
    tell "Checks:"
    problem=0
    check_system
    check_room
    if [ -n "$bundle" ]; then check_bundle; else check_cloud; fi
    check_ports
    check_older
    check_packages
    [ "$problem" = 0 ] || stop "$problem" "nothing was changed; see what says NO above"
}
