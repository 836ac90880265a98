#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes this machine a box of SecBox, repairs or upgrades one, or takes everything away again. docs/install.md says what it changes.
#   curl -fsSL https://cloud.example/install/secbox | sh
#   curl -fsSL https://cloud.example/install/secbox | sh -s -- --dry-run
# Everything is in functions, and the last line calls them: half a download does nothing. secbox-installer

# `make repo` puts the key here, and the gateway the cloud
CLOUD='@CLOUD@'
KEY='@KEY@'

STATE=/var/lib/secbox-install
MADE=$STATE/made # what was not there before, a line each, told before it is made
LOG=/var/log/secbox-install.log
KEYRING=/etc/apt/keyrings/secbox.asc
SOURCE=/etc/apt/sources.list.d/secbox.sources
JOURNALD=/etc/systemd/journald.conf.d/secbox.conf
UPGRADES=/etc/apt/apt.conf.d/52secbox
STORAGE=/etc/containers/storage.conf
ENV_FILE=/etc/tucomunidad/mgmt-agent.env
PACKAGES='secbox-agent secbox-recovery'
UNITS='mgmt-agent mgmt-link recovery-agent'
NEW_USER=tc
USER_MARK='SecBox containers' # its comment in /etc/passwd: a user of that name that somebody else made has none

MEMORY_MIB=900
DISK_MIB=2048
DISK_AGAIN_MIB=300 # where it is installed already
CLOCK_SECONDS=300

usage() {
    cat <<'END'
usage: secbox [OPTION]…     installs SecBox, or repairs and upgrades it
  --dry-run           check, and say what would be done; change nothing
  --unattended        ask nothing
  --cloud URL         the gateway, if not the one that this script came from
  --channel NAME      which packages (stable)
  --claim FILE        pair the box with this claim document; -: standard input
  --bootstrap FILE --device NAME    pair it as this device, with the token in this file; -: standard input. With an enrolment
                      token, which is for many boxes, the box may choose its name, and waits until an operator approves it
  --offline BUNDLE    install from a file that `make bundle` made, without a network
  --host-mode         without containers, and without podman: the data plane runs as plain services
  --lock-wait SECONDS how long to wait for another package manager (600)
  --uninstall         take SecBox away; data, containers and what they run on stay
  --uninstall --purge take all of it away, data, too, and containers if the installer made their user
Exit status: 0 done, 1 a step failed, 2 wrong use; what stands in the way: 10 no root, 11 system, 12 processor, 13 memory, 14 disk,
15 clock, 16 DNS, 17 cloud, 18 captive portal or intercepting proxy, 19 ports, 21 package manager busy, 22 package manager broken,
23 packages, 24 signature, 25 bundle, 26 pairing, 27 another installer
END
}

tell() { printf '%s\n' "$*" >&3; }
stop() {
    stop_code=$1
    shift
    printf 'secbox: %s\n' "$*" >&4
    exit "$stop_code"
}
# What stands in the way; all of it is told before the first of it ends the run.
bad() {
    [ "$problem" != 0 ] || problem=$1
    shift
    tell "  NO   $*"
}
good() { tell "  ok   $*"; }
note() { tell "  note $*"; }

value_of() { case ${2-} in '' | --*) stop 2 "$1 needs a value; see --help" ;; esac }
read_options() {
    dry='' unattended='' channel=stable claim='' token='' device='' bundle='' lock_wait=600 mode=install purge='' host_mode=''
    while [ $# -gt 0 ]; do
        case $1 in
        --dry-run) dry=1 ;;
        --unattended) unattended=1 ;;
        --uninstall) mode=uninstall ;;
        --purge) purge=1 ;;
        --cloud | --channel | --claim | --bootstrap | --device | --offline | --lock-wait)
            value_of "$@"
            case $1 in
            --cloud) CLOUD=${2%/} ;;
            --channel) channel=$2 ;;
            --claim) claim=$2 ;;
            --bootstrap) token=$2 ;;
            --device) device=$2 ;;
            --offline) bundle=$2 ;;
            --lock-wait) lock_wait=$2 ;;
            esac
            shift
            ;;
        --host-mode) host_mode=1 ;;
        --help | -h)
            usage
            exit 0
            ;;
        *) stop 2 "$1 is not known; see --help" ;;
        esac
        shift
    done
    check_options
    choose_mode
}

# A box stays what it was made as.
choose_mode() {
    known_mode=''
    if grep -qxF "mode host" $MADE 2>/dev/null; then host_mode=1 known_mode=1; fi
    [ -n "${host_mode-}" ] || return 0
    PACKAGES="secbox $PACKAGES" UNITS="$UNITS secbox relay-client"
    [ "$mode" = install ] || return 0
    if [ -z "$known_mode" ] && is_installed secbox-agent && ! is_installed secbox; then
        stop 2 "--host-mode: this is a box already, whose services are containers; --uninstall comes first"
    fi
}

check_options() {
    [ -z "$purge" ] || [ "$mode" = uninstall ] || stop 2 "--purge goes with --uninstall"
    case $channel in *[!a-z0-9-]*) stop 2 "--channel $channel: small letters, digits and dashes" ;; esac
    case $lock_wait in *[!0-9]*) stop 2 "--lock-wait $lock_wait: give seconds" ;; esac
    case $CLOUD in @*@) CLOUD='' ;; esac
    [ "$mode" = install ] || return 0
    case $KEY in
    -----BEGIN*) ;;
    *) stop 2 "this copy has no key to check packages with: take the one that \`make repo\` makes" ;;
    esac
    case $CLOUD in
    http://?* | https://?*) ;;
    '') [ -n "$bundle" ] || stop 2 "from which cloud? --cloud https://…" ;;
    *) stop 2 "--cloud $CLOUD: a URL begins with https://" ;;
    esac
    case $CLOUD in *[!][A-Za-z0-9.:/_~%-]*) stop 2 "--cloud: that is no URL" ;; esac
    check_pairing
    [ -z "$bundle" ] || [ -r "$bundle" ] || stop 25 "--offline $bundle: cannot be read"
}

# Boxes that come by one token for many choose their names.
names_box() { case $1 in sbe_*) ;; *) [ -n "$device" ] ;; esac }

is_piped() { case $- in *s*) ;; *) return 1 ;; esac }

# What cannot be read twice is read now, and kept; sudo would start this script anew, with nothing left to read.
read_token() {
    token_text=''
    if [ -z "$token" ] || [ "$token" = - ] || [ ! -r "$token" ]; then return; fi
    [ -f "$token" ] || [ -n "$dry" ] || [ "$(id -u)" = 0 ] ||
        stop 10 "--bootstrap $token: this needs root, and sudo cannot take a pipe along; run it as root, or name a file"
    token_text=$(head -c 4096 "$token")
    names_box "$token_text" || stop 2 "--bootstrap: --device NAME says which box this is"
}

check_pairing() {
    read_token
    [ -z "$device" ] || [ -n "$token" ] || stop 2 "--device goes with --bootstrap FILE"
    case $device in *[!A-Za-z0-9._-]*) stop 2 "--device $device: letters, digits and . _ -" ;; esac
    [ -z "$token" ] || [ -n "$CLOUD" ] || stop 2 "--bootstrap: of which cloud? --cloud https://…"
    [ -z "$token" ] || [ -z "$claim" ] || stop 2 "--claim or --bootstrap, not both"
    case "$claim $token" in
    '- ' | ' -') ! is_piped || stop 2 "-: standard input is this script; name a file, or keep the script in one: sh secbox …" ;;
    esac
    for pairing in "$claim" "$token"; do
        [ -z "$pairing" ] || [ "$pairing" = - ] || [ -r "$pairing" ] || stop 26 "$pairing: cannot be read"
    done
}

# curl and apt take them in small letters, and http_proxy in no others
read_proxies() {
    [ -z "${HTTPS_PROXY-}" ] || https_proxy=$HTTPS_PROXY
    [ -z "${HTTP_PROXY-}" ] || http_proxy=$HTTP_PROXY
    [ -z "${NO_PROXY-}" ] || no_proxy=$NO_PROXY
    [ -z "${https_proxy-}" ] || export https_proxy
    [ -z "${http_proxy-}" ] || export http_proxy
    [ -z "${no_proxy-}" ] || export no_proxy
    proxy=${http_proxy-}
    case $CLOUD in https:*) proxy=${https_proxy-} ;; esac
}
