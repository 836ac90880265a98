#!/bin/sh
# SPDX-License-Identifier: MIT
# --uninstall: what was made is taken away, what was replaced is put back.

remove_packages() {
    finish_dpkg
    going=''
    for package in $PACKAGES; do
        ! dpkg-query -W "$package" >/dev/null 2>&1 || going="$going $package"
    done
    # shellcheck disable=SC2086
    [ -z "$going" ] || apt 3600 purge $going
}

undo_settings() {
    lists=$(sed -n 's/^URIs: [^:]*:\/*//p' $SOURCE 2>/dev/null | tr / _)
    [ -z "$lists" ] || rm -f /var/lib/apt/lists/"$lists"_*
    grep '^file ' $MADE >$STATE/undo || true
    while read -r kind made; do
        case $made in "$LOG") continue ;; "$STORAGE") [ -n "$purge" ] || continue ;; esac
        disown_file "$made"
        forget "$kind $made"
    done <$STATE/undo
    rm -rf $STATE/repo $STATE/repo.new
    systemctl daemon-reload
    systemctl try-restart systemd-journald
}

stop_user() {
    loginctl disable-linger "$1" || true
    loginctl terminate-user "$1" 2>/dev/null || true
    systemctl stop "user@$(id -u "$1").service" || true
    pkill -KILL -u "$1" || true
    stop_tries=0
    while stop_left=$(pgrep -l -u "$1"); do
        # shellcheck disable=SC2086
        [ $stop_tries -lt 300 ] || stop 1 "processes of user $1 do not end, so it cannot be removed:" $stop_left
        sleep 0.2
        stop_tries=$((stop_tries + 1))
    done
}

# Told before it was made; a run that was killed in between has made none, and one that is there now is somebody's.
remove_user() {
    grep '^user ' $MADE >$STATE/undo || true
    while read -r kind made; do
        if is_our_user "$made"; then
            stop_user "$made"
            userdel --remove "$made"
        elif id "$made" >/dev/null 2>&1; then
            tell "    user $made stays: the installer has not made it"
        fi
        forget "$kind $made"
    done <$STATE/undo
}

remove_data() {
    for mounted in /var/lib/tucomunidad/volumes /run/tucomunidad/secbox /run/tucomunidad/services; do
        while mountpoint -q $mounted; do umount -R -l $mounted; done
    done
    remove_user
    grep '^linger ' $MADE >$STATE/undo || true
    while read -r kind made; do
        ! id "$made" >/dev/null 2>&1 || loginctl disable-linger "$made"
        forget "$kind $made"
    done <$STATE/undo
    rm -rf /etc/tucomunidad /var/lib/tucomunidad /run/tucomunidad
    for made in mgmt-link secbox-pairing secbox-recovery ${host_mode:+secbox relay-client}; do
        ! id "$made" >/dev/null 2>&1 || userdel "$made"
    done
}

# Of the packages that came with us, those that nothing else needs by now.
remove_needed() {
    sed -n 's/^package //p' $MADE >$STATE/undo
    [ -s $STATE/undo ] || return 0
    # shellcheck disable=SC2046
    there=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $(cat $STATE/undo) 2>/dev/null | sed -n 's/ installed$//p') || true
    # shellcheck disable=SC2086
    [ -z "$there" ] || apt-mark auto $there
    while :; do
        unneeded=$(apt-get -s -o APT::AutoRemove::RecommendsImportant=0 -o APT::AutoRemove::SuggestsImportant=0 autoremove |
            sed -n 's/^Remv \([^ :]*\).*/\1/p' | grep -xFf $STATE/undo) || break
        # shellcheck disable=SC2086
        apt 3600 purge $unneeded
    done
    # settings of packages that were removed without them
    left=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' | sed -n 's/^config-files //p' | grep -xFf $STATE/undo) || return 0
    # shellcheck disable=SC2086
    dpkg --purge $left
}

remove_folders() {
    sed -n 's/^folder //p' $MADE >$STATE/undo
    while read -r made; do
        [ ! -d "$made" ] || rmdir "$made" 2>/dev/null || true
        forget "folder $made"
    done <$STATE/undo
}

# Whom PODMAN_USER names, and who is not there: whose containers these were cannot be told.
missing_user() {
    if [ -z "$(podman_user)" ]; then named_user; fi
}

# The podman user, unless it goes with what the installer has made.
staying_user() {
    user=$(podman_user)
    if [ -n "$user" ] && was_made "user $user" && is_our_user "$user"; then return; fi
    if [ -z "$user" ] && [ -n "$(named_user)" ]; then return; fi
    echo "${user:-root}" # where nobody is named, and there is no such user, it is root's podman
}

say_what_goes() {
    staying=$(staying_user) missing=$(missing_user)
    tell "What is done: packages $PACKAGES and the installer's settings are removed${purge:+, and ALL DATA}."
    if [ -z "$purge" ]; then
        but=${staying:+user $staying}
        [ -z "$missing" ] || but='users that the installer has not made'
        tell "Data, containers and what they run on stay; --uninstall --purge takes them away, too${but:+, but for \
containers of $but}."
    elif [ -n "$missing" ]; then
        tell "PODMAN_USER in $ENV_FILE names $missing, and there is no such user. Containers, volumes and images of"
        tell "other users stay, but for those of a user whom the installer has made."
    elif [ -z "$staying" ]; then
        tell "ALL CONTAINERS go, too, with their volumes and images."
    else
        by_hand=podman
        [ "$staying" = root ] || by_hand="sudo -iu $staying podman"
        tell "Containers, volumes and images of user $staying stay, since the installer has not made it. To remove ALL"
        tell "of this user's, those that are not SecBox's too, before that:"
        tell "    $by_hand rm --all --force --volumes; $by_hand volume rm --all --force; $by_hand image rm --all --force"
    fi
}

uninstall_box() {
    # shellcheck disable=SC2086
    if [ ! -e $MADE ] && ! dpkg-query -W $PACKAGES >/dev/null 2>&1; then
        tell "Nothing of SecBox is installed here."
        return
    fi
    [ -n "$dry" ] || become_root "$@"
    say_what_goes
    [ -z "$dry" ] || return 0
    ask
    be_alone
    open_log
    step_number=0 step_count=3
    [ -z "$purge" ] || step_count=5
    step "packages" remove_packages
    step "settings" undo_settings
    if [ -n "$purge" ]; then
        step "data and containers" remove_data
        step "what only SecBox needed" remove_needed
    fi
    step "folders" remove_folders
    if [ -n "$purge" ]; then rm -rf $STATE $LOG; fi
    tell "SecBox is uninstalled."
}
