#!/bin/sh
# SPDX-License-Identifier: MIT
# What is done. A step may be repeated, and killed at any point.

was_made() { grep -qxF "$1" $MADE 2>/dev/null; }
record() { was_made "$*" || { printf '%s\n' "$*" >>$MADE && sync $MADE; }; }
forget() {
    grep -vxF "$*" $MADE >$MADE.new || true
    mv -f $MADE.new $MADE
}
kept_name() { printf '%s/was/%s' $STATE "$(printf %s "$1" | tr / _)"; }

# Standard input becomes the file. One of somebody else's that is in the way is kept, for the day of --uninstall.
own_file() {
    own_new=${1%/*}/.${1##*/}.secbox-new
    if [ ! -d "${1%/*}" ]; then
        record "folder ${1%/*}"
        mkdir -p "${1%/*}"
    fi
    cat >"$own_new"
    chmod 644 "$own_new"
    if cmp -s "$own_new" "$1"; then
        rm -f "$own_new"
        return
    fi
    if ! was_made "file $1" && [ -e "$1" ]; then
        mkdir -p $STATE/was
        [ -e "$(kept_name "$1")" ] || cp -p "$1" "$(kept_name "$1")"
    fi
    record "file $1"
    mv -f "$own_new" "$1"
    changed=1
}

disown_file() {
    rm -f "${1%/*}/.${1##*/}.secbox-new"
    if [ -e "$(kept_name "$1")" ]; then mv -f "$(kept_name "$1")" "$1"; else rm -f "$1"; fi
}

wait_for_dpkg() {
    waited=0
    while busy=$(dpkg_user) && [ -n "$busy" ]; do
        [ $waited -lt "$lock_wait" ] || stop 21 "the package manager is still in use ($busy) after $waited seconds: let it \
finish, and run this again"
        [ $((waited % 30)) != 0 ] || tell "    waiting for the package manager, which is in use ($busy) ..."
        sleep 1
        waited=$((waited + 1))
    done
}

# No question of debconf, dpkg, needrestart or apt-listchanges; no mirror is waited for without an end.
ask_nothing() {
    export DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical UCF_FORCE_CONFFOLD=1
    export NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none
}

apt() {
    apt_seconds=$1
    shift
    wait_for_dpkg
    timeout -k 60 "$apt_seconds" apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout="$lock_wait" \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
        -o Acquire::Retries=2 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@"
}

ours_only() { printf '%s\n' -o Dir::Etc::sourcelist=$SOURCE -o Dir::Etc::sourceparts=- -o APT::Get::List-Cleanup=0; }

# What a run that was killed, or somebody else, has left half done.
finish_dpkg() {
    wait_for_dpkg
    dpkg --configure -a --force-confdef --force-confold || true
    broken=$(dpkg-query -W -f '${db:Status-Eflag} ${db:Status-Status} ${Package}\n' |
        sed -n 's/^reinstreq [^ ]* //p; s/^ok half-installed //p')
    # shellcheck disable=SC2086
    [ -z "$broken" ] || apt 3600 --reinstall install $broken || true
    apt 3600 --fix-broken install || true
    [ -z "$(dpkg --audit)" ] || stop 22 "dpkg has packages that it cannot finish; look at: dpkg --audit; dpkg --configure -a"
}

# What a bundle has of Debian is of one release, for one processor.
components() {
    debian_here="$(os_word VERSION_ID) $(dpkg --print-architecture)"
    if [ -n "$bundle" ] && [ "$(cat $STATE/repo/debian 2>/dev/null)" = "$debian_here" ]; then
        echo main debian
    else
        echo main
    fi
}

write_source() {
    printf '%s\n' "$KEY" | own_file $KEYRING
    uri=$CLOUD/install/apt
    [ -z "$bundle" ] || uri=file:$STATE/repo/apt
    own_file $SOURCE <<END
# Written by SecBox's installer.
Types: deb
URIs: $uri
Suites: $channel
Components: $(components)
Signed-By: $KEYRING
END
}

# apt takes packages from it by their signature, as from anywhere else.
unpack_bundle() {
    rm -rf $STATE/repo.new
    mkdir -p $STATE/repo.new
    tar -xf "$bundle" -C $STATE/repo.new --no-same-owner --no-same-permissions ||
        stop 25 "$bundle cannot be unpacked: it is damaged, or the disk is full; see $LOG"
    for found in "$STATE"/repo.new/apt "$STATE"/repo.new/*/apt; do
        [ -d "$found/dists/$channel" ] || continue
        rm -rf $STATE/repo
        mv -f "${found%/apt}" $STATE/repo
        rm -rf $STATE/repo.new
        [ "$(components)" != main ] || tell "    the bundle has nothing of Debian for this release and processor; what \
SecBox needs of it has to be here"
        return
    done
    stop 25 "$bundle has no packages of channel $channel"
}

update_lists() {
    # shellcheck disable=SC2046
    apt 900 $(ours_only) -o APT::Update::Error-Mode=any update >$STATE/apt.out 2>&1 || explain_apt
    cat $STATE/apt.out
    [ -z "$bundle" ] || return 0
    apt 900 update || tell "    a source of packages does not answer; going on with what is known of it (see $LOG)"
}

explain_apt() {
    cat $STATE/apt.out
    apt_says=$(sed -n 's/^E: //p; s/^W: //p' $STATE/apt.out | head -n 1)
    bad_signature='NO_PUBKEY\|BADSIG\|EXPKEYSIG\|EXPSIG\|REVKEYSIG\|NODATA\|not signed\|Clearsigned\|signatures\{0,1\} '
    if grep -q "$bad_signature" $STATE/apt.out; then
        stop 24 "the list of packages is not signed with SecBox's key, so nothing of it is used: $apt_says"
    fi
    stop 23 "the list of packages cannot be fetched: ${apt_says:-apt did not end in time}"
}

# A bundle that has what is needed of Debian is enough: the same packages, or newer ones, that apt knows of elsewhere would be
# fetched from a network.
sources() { [ "$(components)" = main ] || ours_only; }

# Where a bundle is used, apt may know of packages that it would fetch from a network.
wanted_packages() {
    echo "$PACKAGES"
    if [ -z "$bundle" ] && apt-cache show unattended-upgrades >/dev/null 2>&1; then echo unattended-upgrades; fi
}

# What will be new is told before it is there.
fetch_packages() {
    # shellcheck disable=SC2046
    LC_ALL=C apt-get -s -o Debug::NoLocking=1 $(sources) --no-install-recommends install $(wanted_packages) \
        >$STATE/plan 2>$STATE/apt.out || {
        cat $STATE/plan $STATE/apt.out
        lacking=$(sed -n 's/.* Depends: \([^ ]*\).*/\1/p' $STATE/plan | sort -u | tr '\n' ' ')
        stop 23 "the packages cannot be installed${lacking:+: nobody here offers $lacking}; see $LOG"
    }
    going=$(sed -n 's/^Remv \([^ ]*\).*/\1/p' $STATE/plan | tr '\n' ' ')
    [ -z "$going" ] || stop 23 "installing would remove other packages ($going), so it is not done"
    sed -n 's/^Inst \([^ ]*\) (.*/\1/p' $STATE/plan >$STATE/new
    while read -r package; do record "package $package"; done <$STATE/new
    # shellcheck disable=SC2046
    apt 7200 $(sources) --download-only --no-install-recommends install $(wanted_packages) ||
        stop 23 "the packages cannot be downloaded: $(sed -n 's/^E: //p' $LOG | tail -n 1)"
}

install_packages() {
    # shellcheck disable=SC2046
    apt 7200 $(sources) --no-install-recommends install $(wanted_packages)
}

named_user() {
    sed -n 's/^\(export \)\{0,1\}PODMAN_USER=["'\'']\{0,1\}\([A-Za-z0-9_-]*\).*/\2/p' $ENV_FILE 2>/dev/null | tail -n 1
}

# Whose podman runs the containers, by the rules of mgmt-agent.
podman_user() {
    named=$(named_user)
    for podman_user in ${named:-tc tcops}; do
        ! id "$podman_user" >/dev/null 2>&1 || {
            echo "$podman_user"
            return
        }
    done
}

give_ids() {
    for ids in subuid subgid; do
        ! grep -q "^$1:" /etc/$ids 2>/dev/null || continue
        first=$(awk -F: 'BEGIN { n = 100000 } $2 + $3 > n { n = $2 + $3 } END { print n }' /etc/$ids 2>/dev/null || echo 100000)
        usermod --add-${ids}s "$first-$((first + 65535))" "$1"
    done
}

is_our_user() { [ "$(getent passwd "$1" | cut -d: -f5)" = "$USER_MARK" ]; }

# A home of its own is the last thing that useradd makes; what was killed before that is made again, but nothing of somebody else's.
make_user() {
    if ! was_made "user $1" && getent group "$1" >/dev/null; then
        echo "a group $1 is there, and no such user; make one (useradd --create-home --gid $1 $1), or rename the group"
        return 1
    fi
    record "user $1"
    if ! is_our_user "$1" && id "$1" >/dev/null 2>&1; then
        forget "user $1"
        return
    fi
    if [ "$(stat -c %U "/home/$1" 2>/dev/null)" = "$1" ] && getent group "$1" >/dev/null; then return; fi
    rmdir "/home/$1" 2>/dev/null || true
    userdel "$1" 2>/dev/null || true
    groupdel "$1" 2>/dev/null || true
    useradd --comment "$USER_MARK" --create-home --shell /bin/bash "$1" || {
        id "$1" >/dev/null 2>&1 || forget "user $1"
        return 1
    }
}

prepare_podman() {
    [ -z "${host_mode-}" ] || return 0
    changed=''
    if [ ! -e $STORAGE ] || was_made "file $STORAGE"; then own_file $STORAGE </usr/share/secbox/storage.conf; fi
    user=$(podman_user)
    [ "$user" != root ] || return 0
    if [ -z "$user" ] || was_made "user $user"; then
        user=${user:-$NEW_USER}
        make_user "$user"
    fi
    give_ids "$user"
    if [ ! -e "/var/lib/systemd/linger/$user" ]; then
        record "linger $user"
        systemctl start dbus.socket # Debian's package leaves that to the next boot, and logind does not answer without it
        loginctl enable-linger "$user"
    fi
}

bound_journal() {
    changed=''
    own_file $JOURNALD <<'END'
# Written by SecBox's installer: the disk is for what boxes record.
[Journal]
SystemMaxUse=500M
RuntimeMaxUse=64M
END
    [ -z "$changed" ] || systemctl restart systemd-journald
}

upgrade_by_itself() {
    own_file $UPGRADES <<'END'
// Written by SecBox's installer: Debian's security updates, never SecBox's own packages, and never a restart.
APT::Periodic::Update-Package-Lists "1";
APT::Periodic::Unattended-Upgrade "1";
Unattended-Upgrade::Automatic-Reboot "false";
END
    ! is_installed unattended-upgrades || return 0
    if [ -n "$bundle" ]; then
        tell "    a bundle has no unattended-upgrades: for security updates install that package when there is a network"
    else
        tell "    no source here has unattended-upgrades: security updates stay yours to install"
    fi
}

# mgmt-agent is asked about pairing at once; the others may have nobody to call yet.
start_units() {
    systemctl daemon-reload
    for unit in $UNITS; do
        systemctl is-enabled --quiet "$unit" || systemctl enable "$unit"
        systemctl is-active --quiet "$unit" || systemctl start --no-block "$unit"
    done
    systemctl start mgmt-agent
}
