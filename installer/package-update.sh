#!/bin/sh
# SPDX-License-Identifier: MIT
# Brings one of the two packages that look after a box to a newer version, and back. mgmt-agent and recovery-agent decide, each
# about the package of the other; what they decide is done here, from what only root writes. Each package has a copy of this, and
# the one of the package that stays as it is puts the other one right.
#   package-update run PACKAGE VERSION ID NUMBER NEXT TUNNEL PLAN SECONDS RECOVERY
#   package-update keep|back|boot PACKAGE
# The journal says what is under way, before it is done; lib/data/agent-update.h reads it. Everything is in functions, and the last
# line calls them: dpkg takes this file away while it runs.
set -u
umask 022
export LC_ALL=C DEBIAN_FRONTEND=noninteractive DEBIAN_PRIORITY=critical UCF_FORCE_CONFFOLD=1
export NEEDRESTART_MODE=l NEEDRESTART_SUSPEND=1 APT_LISTCHANGES_FRONTEND=none

folder=/var/lib/tucomunidad/agent-update
journal=$folder/journal
said=$folder/said # by apt and dpkg
written=/run/secbox-package-update # the journal was written in this boot
INSTALL_SECONDS=3600
LOCK_SECONDS=1800
BOOTS_MAX=3
BACK_TRIES=3
BACK_PAUSE=5
NOTIFY_TRIES=10
# apt's words for what may be well in a while, and for what is not, whatever else it says
away='Could not (connect|resolve|get lock)|Unable to (connect|lock)|Connection (failed|refused|timed out|reset)|Temporary failure'
away="$away|Network is unreachable|No route to host|timed out|^  50[0-9] "
wrong='GPG error|NO_PUBKEY|not signed|no longer signed|Hash Sum mismatch'

say() { printf '%s\n' "$*"; }

uptime_usec() { awk '{ printf "%.0f", $1 * 1000000 }' /proc/uptime; }
this_boot() { cat /proc/sys/kernel/random/boot_id; }
is_this_boot() { [ -e $written ] && [ "$boot" = "$(this_boot)" ]; }

value() { sed -n "s/^$1=//p" "$journal" | head -n 1; }

load() {
    [ -f "$journal" ] || return 1
    state=$(value state) id=$(value id) number=$(value number) package=$(value package) from=$(value from) to=$(value to)
    next=$(value next) tunnel=$(value tunnel) plan=$(value plan) seconds=$(value seconds) boot=$(value boot)
    deadline=$(value deadline) boots=$(value boots) began=$(value began) refusal=$(value refusal) why=$(value why)
    old_sum=$(value old_sum) new_sum=$(value new_sum) recovery=$(value recovery)
    old=$folder/$package-old.deb new=$folder/$package-new.deb
    put_back="somebody has put $package $from back before $to had proved itself"
}

# A power cut leaves the old journal or the new one.
write() {
    {
        printf '%s=%s\n' state "$state" id "$id" number "$number" package "$package" from "$from" to "$to" next "$next" \
            tunnel "$tunnel" plan "$plan" seconds "$seconds" boot "$boot" deadline "$deadline" boots "$boots" began "$began" \
            refusal "$refusal" old_sum "$old_sum" new_sum "$new_sum" recovery "${recovery:-0}"
        # without what has a meaning in an env file, which this is
        printf 'why=%s\n' "$(printf '%s' "$why" | tr '\n\t"$' '   -' | tr "'" '-' | tr -cd ' -~' | cut -c 1-400 | sed 's/ *$//')"
    } >"$journal.new" && sync "$journal.new" && mv -f "$journal.new" "$journal" && sync "$folder"
}

# Whoever asked waits for this word. Where the machine is busy, systemd-notify fails although it was heard: then it is said again.
tell_begun() {
    tries=1
    until systemd-notify --ready 9>&-; do
        [ $tries -lt $NOTIFY_TRIES ] || return 1
        tries=$((tries + 1))
        sleep 2
    done
}

# enter STATE SECONDS: within which it is over, or the other agent takes it back
enter() {
    state=$1 boot=$(this_boot) deadline=$(($(uptime_usec) + $2 * 1000000))
    write || {
        say "$journal cannot be written: nothing goes on without it"
        exit 1
    }
    : >$written
    say "$package $to: $state${why:+: $why}"
    [ -n "${NOTIFY_SOCKET:-}" ] || return 0
    # From now on the journal has the update. Without that word systemd would end us in a while, in the middle of dpkg's work.
    tell_begun || [ "$state" != staged ] || {
        state=failed refusal=start
        why="systemd does not hear that the update of $package has begun (systemd-notify): it stays at $from"
        write && say "$why"
        exit 1
    }
    unset NOTIFY_SOCKET # dpkg's scripts have nothing to say to it
}

# One at a time, whoever asks. Programs that are started here do not hold it.
lock() {
    exec 9>"$folder/lock"
    flock -w "$1" 9
}

status_of() { dpkg-query -W -f '${db:Status-Status} ${Version}' "$1" 2>/dev/null; }
is_at() { [ "$(status_of "$package")" = "installed $1" ]; }
# Somebody installed a third version in the meantime, or removed it: that is theirs, and nothing is put over it.
is_taken_over() {
    case $(status_of "$package") in
    "installed $from" | "installed $to") return 1 ;;
    "installed "* | "config-files "* | "not-installed "*) return 0 ;;
    '')
        # 1: there is no such package any more; what dpkg cannot read is no removal
        dpkg-query -W "$package" >/dev/null 2>&1
        [ $? = 1 ]
        return
        ;;
    esac
    return 1
}
sum() { sha256sum "$1" | cut -d ' ' -f 1; }
is_whole() { [ -n "$2" ] && [ -f "$1" ] && [ "$(sum "$1")" = "$2" ]; }
# what apt or dpkg found wrong, in its own words
last_said() { sed -n 's/^E: //p; s/^dpkg: error[: ]*//p' "$said" | head -n 1; }

# Whether it may be well in a while, by the words of apt: $1 is its exit status, 124 when its time was over. What is signed wrongly
# or not there is none of this.
was_away() {
    ! grep -qiE "$wrong" "$said" || return 1
    case $1 in 124 | 137) return 0 ;; esac
    grep -qiE "$away" "$said"
}

# Only what the box itself is installed from, and only signed.
find_source() {
    source=
    for source in /etc/apt/sources.list.d/secbox.sources /etc/apt/sources.list.d/secbox.list ''; do
        [ ! -f "$source" ] || break
    done
    [ -n "$source" ] || {
        why="the repository of SecBox is not among the sources of this box (/etc/apt/sources.list.d/secbox.sources): install \
from it first"
        return 1
    }
    entries=$(grep -ciE '^(deb|uris:)' "$source")
    if [ "$entries" != "$(grep -ciE '^(signed-by:|deb .*signed-by=)' "$source")" ] || [ "$entries" = 0 ] ||
        grep -qiE '(^|[[ ])(trusted|allow-(insecure|weak|downgrade-to-insecure)) *[:=]' "$source"; then
        why="$source does not say by whose key its packages are signed, or takes others, too: nothing is installed from it"
        return 1
    fi
}

our_apt() {
    timeout -k 60 $((LOCK_SECONDS + 900)) apt-get -q -y -o Dir::Etc::sourcelist="$source" -o Dir::Etc::sourceparts=- \
        -o APT::Get::List-Cleanup=0 -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o APT::Sandbox::User=root \
        -o APT::Update::Error-Mode=any -o Acquire::AllowInsecureRepositories=false \
        -o Acquire::AllowWeakRepositories=false -o Acquire::AllowDowngradeToInsecureRepositories=false \
        -o APT::Get::AllowUnauthenticated=false -o DPkg::Lock::Timeout=$LOCK_SECONDS -o Acquire::Retries=2 \
        -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 "$@" >"$said" 2>&1 9>&-
}

# fetch VERSION FILE: by apt, which checks it against the signed lists
fetch() {
    rm -rf "$folder/fetched"
    (mkdir -m 755 "$folder/fetched" && cd "$folder/fetched" && our_apt download "$package=$1" && mv -f ./*.deb "$2")
    got=$?
    rm -rf "$folder/fetched"
    return $got
}

is_package() { [ "$(dpkg-deb -f "$1" Package 2>/dev/null) $(dpkg-deb -f "$1" Version 2>/dev/null)" = "$package $2" ]; }

# Whether the file has what is installed, by the sums that dpkg keeps.
is_installed_one() {
    is_package "$1" "$from" && sums=$(dpkg-query --control-show "$package" md5sums 2>/dev/null) && [ -n "$sums" ] &&
        [ "$(dpkg-deb --ctrl-tarfile "$1" 2>/dev/null | tar -xO ./md5sums 2>/dev/null)" = "$sums" ]
}

# Without a way back there is no way forward.
keep_old() {
    got=0
    arch=$(dpkg --print-architecture)
    cached=/var/cache/apt/archives/${package}_$(printf '%s' "$from" | sed 's/:/%3a/g')_$arch.deb
    if ! is_installed_one "$old"; then
        rm -f "$old"
        fetch "$from" "$old"
        got=$?
    fi
    is_installed_one "$old" || { is_installed_one "$cached" && cp "$cached" "$old"; } || {
        if was_away $got; then
            refusal=away
            why="$package $from, which is installed now and without which there is no way back, cannot be fetched: $(last_said)"
            return 1
        fi
        why="the package that is installed now, $package $from, is neither in the repository nor in the cache of apt: \
without it there is no way back, so nothing is changed"
        return 1
    }
    old_sum=$(sum "$old")
}

fetch_new() {
    fetch "$to" "$new"
    got=$?
    [ $got = 0 ] || {
        ! was_away $got || refusal=away
        why="$package $to cannot be fetched from the repository of this box: $(last_said)"
        return 1
    }
    is_package "$new" "$to" || {
        why="what the repository has as $package $to is another package"
        return 1
    }
    new_sum=$(sum "$new")
    sync "$old" "$new" "$folder"
}

# The other package's agent judges the new version, and its copy of this script puts the old one back.
check_watcher() {
    case $package in
    secbox-agent) watcher=secbox-recovery program=recovery-agent script=/usr/lib/secbox/recovery-package-update ;;
    *) watcher=secbox-agent program=mgmt-agent script=/usr/lib/secbox/package-update ;;
    esac
    [ -x $script ] || {
        why="nobody would watch the new version: $watcher is not installed, or too old for that; install it first"
        return 1
    }
    systemctl --quiet is-active $program.service || {
        why="nobody would watch the new version: $program does not run; see systemctl status $program"
        return 1
    }
}

check_versions() {
    case $(status_of "$package") in
    "installed "*) ;;
    *)
        why="$package is not installed, or not wholly: see dpkg --audit"
        return 1
        ;;
    esac
    dpkg --compare-versions "$to" gt "$from" || {
        refusal=newer
        why="$package is at $from already, which is newer than $to: an update goes to newer versions only"
        return 1
    }
}

stage() {
    check_versions && check_watcher && find_source || return 1
    our_apt update
    got=$?
    [ $got = 0 ] || {
        ! was_away $got || refusal=away
        why="the repository of this box cannot be used: $(last_said)"
        return 1
    }
    keep_old && fetch_new
}

# dpkg, after whoever else installs something now
dpkg_in_turn() {
    waited=0
    until dpkg --force-confdef --force-confold "$@" >"$said" 2>&1 9>&-; do
        if ! grep -q 'locked by another process' "$said" || [ $waited -ge $LOCK_SECONDS ]; then
            cat "$said"
            return 1
        fi
        [ $((waited % 60)) != 0 ] || say "dpkg is in use by another program: waiting"
        sleep 5
        waited=$((waited + 5))
        ! is_taken_over || return 1
    done
    cat "$said"
}

any_apt() {
    timeout -k 60 $INSTALL_SECONDS apt-get -q -y -o Dpkg::Use-Pty=0 -o DPkg::Lock::Timeout=$LOCK_SECONDS \
        -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold --no-remove --no-install-recommends "$@" 9>&-
}

# What the new version may need beside it comes from where the box has its system from. The package itself is the file that was
# checked, and the other one stays as it is: apt would take both from whatever source offers them.
install_needed() {
    any_apt -s -o Debug::NoLocking=1 install "$new" "$watcher=$(dpkg-query -W -f '${Version}' "$watcher")" >"$said" 2>&1 || {
        cat "$said"
        return 1
    }
    needed=$(sed -n 's/^Inst \([^ ]*\).*/\1/p' "$said" | grep -v '^secbox' | tr '\n' ' ')
    printf '%s' "$needed" >"$folder/needed" && sync "$folder/needed" || return 1
    [ -z "$needed" ] || {
        say "needed beside it: $needed"
        # shellcheck disable=SC2086
        any_apt install $needed >"$said" 2>&1
        got=$?
        cat "$said"
        return $got
    }
}

install_new() { install_needed && ! is_taken_over && dpkg_in_turn -i "$new" && is_at "$to"; }

# A postinst may not restart anything, by a policy-rc.d of the box: what runs would still be the version before.
restart_old_programs() {
    case $package in secbox-agent) units='mgmt-agent mgmt-link' ;; *) units=recovery-agent ;; esac
    for unit in $units; do
        pid=$(systemctl show -P MainPID "$unit.service" 2>/dev/null)
        case $(readlink "/proc/${pid:-0}/exe") in *' (deleted)') systemctl --no-block try-restart "$unit.service" ;; esac
    done
}

# From now on the other agent waits for its proof.
prove() {
    restart_old_programs
    enter proving "$seconds"
}

leave_to_others() {
    refusal=taken-over
    there=$(dpkg-query -W -f '${db:Status-Status} ${Version}' "$package" 2>/dev/null)
    case $there in
    "installed "*)
        why="somebody installed $package ${there#installed } while it was being updated from $from to $to: theirs stays"
        ;;
    *) why="somebody removed $package while it was being updated from $from to $to: it stays removed" ;;
    esac
    enter failed 0
    rm -f "$new"
}

# What fails once may do the next time: dpkg was killed, or the disk was full for a moment. Nobody else tries it after us, and until
# it is done the package may be there by half.
put_old_back() {
    is_whole "$old" "$old_sum" || return 1
    tries=1
    until dpkg_in_turn -i "$old" && is_at "$from"; do
        if is_taken_over || [ $tries -ge $BACK_TRIES ]; then return 1; fi
        tries=$((tries + 1))
        say "$package $from is put back once more"
        sleep $BACK_PAUSE
    done
}

go_back() {
    if is_taken_over; then
        leave_to_others
        return
    fi
    enter going-back $INSTALL_SECONDS
    put_old_back || true
    if is_at "$from"; then
        restart_old_programs
        enter rolled-back 0
    elif is_taken_over; then
        leave_to_others
        return
    else
        why="$why; and $package $from could not be put back: $(last_said)"
        enter stuck 0
    fi
    rm -f "$new"
}

# The second package of an order follows the first, if that has changed anything.
run() {
    before=
    if load && [ "$id" = "$3" ]; then before=$from began_before=$began; fi
    if [ -n "$before" ] && [ "$(status_of "$1")" = "installed $to" ]; then
        next=''
        enter confirmed 0
        return
    fi
    package=$1 to=$2 id=$3 number=$4 next=$5 tunnel=$6 plan=$7 seconds=$8 recovery=${9:-0}
    if [ -n "$next" ] && is_at "$to"; then
        package=$next next='' tunnel=$recovery
    fi
    from=$(dpkg-query -W -f '${Version}' "$package" 2>/dev/null) || true
    old=$folder/$package-old.deb new=$folder/$package-new.deb old_sum='' new_sum='' boots=0 began=$(date +%s) refusal='' why=''
    [ -z "$before" ] || began=$began_before
    if is_at "$to"; then
        enter confirmed 0
        return
    fi
    rm -f "$folder/needed"
    enter staged $((INSTALL_SECONDS + LOCK_SECONDS))
    if ! stage; then
        rm -f "$new"
        enter failed 0
        return
    fi
    enter installing $((2 * INSTALL_SECONDS))
    if install_new; then
        prove
    else
        why="$package $to could not be installed: $(last_said)"
        go_back
    fi
}

# For the next update the old package is the one that has just proved itself. recovery-agent's word is not enough: mgmt-agent has
# shown, as root, that it works.
keep() {
    [ "$state" = proving ] || return 0
    if [ "$package" = secbox-agent ] && [ "$(cat "$folder/agent-proof")" != "$(this_boot) $id $package" ]; then
        say "mgmt-agent has not shown yet that $package $to works"
        return 75
    fi
    is_at "$to" || {
        why=$put_back
        go_back
        return
    }
    enter confirmed 0
    mv -f "$new" "$old"
}

# Not before its time, whoever asks for it.
back() {
    case $state in staged | installing | proving | going-back) ;; *) return 0 ;; esac
    is_this_boot || deadline=$((seconds * 1000000))
    [ "$(uptime_usec)" -ge "$deadline" ] || {
        say "$package $to has time left to prove itself"
        return 75
    }
    if [ "$state" = staged ]; then
        why="fetching $package $to took too long; nothing was changed"
        enter failed 0
        return
    fi
    if [ "$state" = proving ]; then
        why="$package $to did not prove itself in $seconds s: its tunnel or a dry plan was missing"
        ! is_at "$from" || why="$put_back"
    fi
    [ -n "$why" ] || why="installing $package $to did not come to an end"
    go_back
}

# in_state STATES PACKAGE...: those of the packages that dpkg has in one of these states, an extended regular expression
in_state() {
    states=$1
    shift
    for one in "$@"; do
        if status_of "$one" | grep -qE "^($states) "; then printf '%s ' "$one"; fi
    done
}

# The power went. Only what we began is finished.
boot() {
    ! is_this_boot || return 0
    case $state in
    staged)
        why="the machine was started anew before anything was changed"
        enter failed 0
        ;;
    installing)
        enter installing $INSTALL_SECONDS
        needed=$(cat "$folder/needed" 2>/dev/null)
        # dpkg takes up its own notes of the last moments, before which apt does nothing
        dpkg_in_turn --set-selections </dev/null || true
        # what was still being unpacked wants the package itself once more, which apt keeps or fetches
        # shellcheck disable=SC2086
        ours=$(in_state half-installed $needed)
        # shellcheck disable=SC2086
        [ -z "$ours" ] || any_apt install --reinstall $ours >"$said" 2>&1 || cat "$said"
        # shellcheck disable=SC2086
        ours=$(in_state 'unpacked|half-configured|triggers-[a-z]*' $needed "$package")
        # shellcheck disable=SC2086
        [ -z "$ours" ] || dpkg_in_turn --configure $ours || true
        if is_at "$to" || { is_whole "$new" "$new_sum" && dpkg_in_turn -i "$new" && is_at "$to"; }; then
            prove
        else
            why="the machine was started anew while $package $to was being installed, and that could not be finished: $(last_said)"
            go_back
        fi
        ;;
    going-back) go_back ;;
    proving)
        boots=$((boots + 1))
        if [ $boots -lt $BOOTS_MAX ]; then
            enter proving "$seconds"
        else
            why="the machine was started anew $boots times before $package $to had proved itself"
            go_back
        fi
        ;;
    esac
}

main() {
    verb=$1
    if ! mkdir -p "$folder" || ! lock 60; then
        say "another run is at work, or $folder cannot be made"
        return 75
    fi
    if [ "$verb" = run ]; then
        if load; then
            case $state in confirmed | rolled-back | failed | stuck | '') ;; *)
                say "$package $to is still under way ($state)"
                return 1
                ;;
            esac
        fi
        shift
        run "$@"
    elif load && [ "$package" = "$2" ]; then
        case $state in
        installing | proving | going-back) ! is_taken_over || verb=leave ;;
        esac
        case $verb in keep) keep ;; back) back ;; boot) boot ;; leave) leave_to_others ;; esac
    fi
}

main "$@"; exit
