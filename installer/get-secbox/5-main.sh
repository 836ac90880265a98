#!/bin/sh
# SPDX-License-Identifier: MIT
# The order of it all.

step() {
    step_number=$((step_number + 1))
    step_start=$(date +%s)
    printf '[%d/%d] %s ...\n' $step_number $step_count "$1" >&3
    printf '== %s %s\n' "$(date -u '+%Y-%m-%d %H:%M:%S')" "$1" >>$LOG
    set +e
    (
        set -e
        "$2"
    ) </dev/null >>$LOG 2>&1 9>&-
    step_code=$?
    set -e
    if [ $step_code = 0 ]; then
        printf '[%d/%d] %s: done, %d s\n' $step_number $step_count "$1" $(($(date +%s) - step_start)) >&3
        return
    fi
    case $step_code in
    2[0-9]) exit $step_code ;; # it has said why
    esac
    tail -n 5 $LOG | sed 's/^/    /' >&4
    stop 1 "\"$1\" failed; the whole story is in $LOG. Running this again goes on where it ended."
}

open_log() {
    [ -e $LOG ] || record_log=1
    umask 077
    : >>$LOG
    umask 022
    chmod 600 $LOG
    mkdir -p $STATE
    : >>$MADE
    [ -z "${record_log-}" ] || record "file $LOG"
    [ -z "${host_mode-}" ] || record "mode host"
}

# One at a time; what a killed one has started does not count, and is waited for by dpkg's own lock.
be_alone() {
    exec 9>/run/lock/secbox-install
    flock -n 9 || stop 27 "another installer is at work; wait for its end"
}

say_plan() {
    tell ''
    tell "What is done (undo it by --uninstall):"
    tell "  packages   $PACKAGES and what they need, from ${bundle:-$CLOUD/install/apt}, signed"
    [ -n "$bundle" ] || tell "             unattended-upgrades, if a source here has it"
    if [ -n "${host_mode-}" ]; then
        tell "  services   secbox and relay-client, without containers"
    else
        tell "  user       $(podman_user | grep . || echo "$NEW_USER, new,") whose podman runs the containers, with lingering"
    fi
    tell "  files      $KEYRING $SOURCE"
    [ -n "${host_mode-}" ] || tell "             $STORAGE (unless it is there)"
    tell "             $JOURNALD $UPGRADES"
    tell "  log        $LOG; what of this was new: $STATE"
}

ask() {
    [ -z "$unattended" ] || return 0
    tell ''
    if ! (: </dev/tty) 2>/dev/null; then stop 2 "there is no terminal to ask on; --unattended asks nothing"; fi
    printf 'Go on? [y/N] ' >/dev/tty
    read -r reply </dev/tty || reply=''
    case $reply in [yY]*) ;; *) stop 2 "nothing was changed" ;; esac
}

# From a pipe or -c, $0 is the shell's own name, and a file of that name in this folder may be anybody's.
is_file() {
    ! is_piped || return 1
    case $0 in sh | *[!.]sh | busybox) return 1 ;; esac
    [ -f "$0" ]
}

become_root() {
    [ "$(id -u)" != 0 ] || return 0
    command -v sudo >/dev/null || stop 10 "this needs root: there is no sudo here, so log in as root (su -)"
    keep=--preserve-env=https_proxy,http_proxy,no_proxy
    tell "This needs root; sudo may ask for your password."
    # a trap takes the folder away in the end, which it would not after exec
    if is_file && grep -qs 'secbox-installer$' "$0"; then
        sudo ${unattended:+-n} $keep sh "$0" "$@"
        exit $?
    fi
    [ -n "$CLOUD" ] || stop 10 "this needs root: keep the script in a file, and run it with sudo"
    curl -fsS -m 60 -o "$temp/secbox" "$CLOUD/install/secbox" || stop 17 "$CLOUD/install/secbox cannot be fetched for sudo"
    sudo ${unattended:+-n} $keep sh "$temp/secbox" "$@"
    exit $?
}

install_box() {
    [ -n "$dry" ] || become_root "$@"
    check_all
    say_plan
    if [ -n "$dry" ]; then
        tell "Nothing was changed: --dry-run."
        return
    fi
    ask
    be_alone
    open_log
    step_number=0 step_count=8
    [ -z "$bundle" ] || step_count=9
    step "packages that were left half installed" finish_dpkg
    [ -z "$bundle" ] || step "unpacking the bundle" unpack_bundle
    step "where packages come from" write_source
    step "lists of packages" update_lists
    step "downloading" fetch_packages
    step "installing" install_packages
    step "podman and its user" prepare_podman
    step "limits and updates" limits_and_updates
    step "starting" start_units
    last_screen
}

limits_and_updates() {
    bound_journal
    upgrade_by_itself
}

claim_of_token() {
    printf '{"v":1,"typ":"secbox.claim",%s"cloud":"%s","gw":"ws%s/mgmt","boot":"%s","exp":%s}' \
        "${device:+\"deviceId\":\"$device\",}" "$CLOUD" "${CLOUD#http}" "$claim_token" $(($(date +%s) + 3600))
}

# Whatever is secret here goes to the screen or a pipe, never into the log.
last_screen() {
    tell ''
    tell "SecBox is installed: $(dpkg-query -W -f '${Package} ${Version}' secbox-agent)."
    if [ -n "$claim" ]; then
        secboxctl pair "$claim" >&3 2>&4 || stop 26 "the box is installed, but not paired; try again: secboxctl pair $claim"
    elif [ -n "$token" ]; then
        claim_token=$token_text
        [ "$token" != - ] || claim_token=$(head -c 4096)
        case $claim_token in
        '' | *[!A-Za-z0-9._~+/=-]*) stop 26 "the box is installed, but not paired: $token holds no bootstrap token" ;;
        esac
        names_box "$claim_token" || stop 26 "the box is installed, but not paired: --device NAME says which box this is"
        claim_of_token | secboxctl pair - >&3 2>&4 ||
            stop 26 "the box is installed, but not paired; the token may be of no use any more"
    elif grep -qs '^ENROLMENT=.' $ENV_FILE; then
        tell "It waits until an operator approves it, and then goes on by itself. How that stands: secboxctl pair --show"
    elif grep -qs '^CLOUD_BASE_URL=.' $ENV_FILE; then
        tell "It is paired with $(sed -n 's/^CLOUD_BASE_URL=//p' $ENV_FILE | tail -n 1). How it is: secboxctl doctor"
    elif ! secboxctl pair --show >&3 2>/dev/null; then
        tell "Pair it with the claim document that \`secbox-fleet devices add NAME --qr\` prints, at"
        for address in $(hostname -I); do tell "    http://$address:8080/"; done
        tell "or on this machine: secboxctl pair FILE"
    fi
}

# busybox's shell would take its own small ones, which do not know what we ask for
use_real_tools() {
    for tool in date df dpkg hostname mktemp pgrep pkill stat sync tar timeout umount; do
        rest=$PATH:
        while [ -n "$rest" ]; do
            tool_path=${rest%%:*}/$tool
            rest=${rest#*:}
            [ -x "$tool_path" ] || continue
            eval "$tool() { '$tool_path' \"\$@\"; }"
            break
        done
    done
}

main() {
    set -eu
    umask 022
    export LC_ALL=C PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"
    exec 3>&1 4>&2
    use_real_tools
    ask_nothing
    read_options "$@"
    read_proxies
    temp=$(mktemp -d)
    trap 'rm -rf "$temp"' EXIT
    trap 'exit 130' INT TERM HUP
    case $mode in
    install) install_box "$@" ;;
    uninstall) uninstall_box "$@" ;;
    esac
}

{ main "$@"; }
