#!/bin/sh
# SPDX-License-Identifier: MIT
# Installs what is missing of the Debian packages that SecBox needs, and nothing else.
#   installer/deps.sh [-n] [build|run|box|libraries|images|packages|test|demo|bench]…
# All but box, libraries, images and packages; -n: only name them.
# Needs no network when everything is there. The database and the registry that come with it are not started. DEBIAN: the number of
# the release, if not this machine's.
set -eu

BUILD="gcc libc6-dev make pkg-config libcurl4-openssl-dev libyaml-dev libcjson-dev libsystemd-dev libpq-dev libssl-dev
    libqrencode-dev libarchive-dev"
# What Debian's podman only recommends is needed as well: netavark makes its bridges and published ports by iptables, `init: true`
# is catatonit, and a rootless user has control groups and a bus only by a session of its own.
RUN="openssh-server podman podman-compose crun catatonit netavark aardvark-dns iptables uidmap slirp4netns fuse-overlayfs
    dbus dbus-user-session libpam-systemd ca-certificates"
# a box onto which only the programs are copied: in place of `build`, the libraries that it brings
LIBRARIES="libcurl4 libcjson1 libyaml-0-2 libsystemd0 libssl3 libqrencode4 libarchive13"
# Debian 13 has renamed those with 64 bits for the time, and its podman 5 calls pasta and nft where podman 4 calls slirp4netns and
# iptables.
# shellcheck disable=SC1091
release=${DEBIAN:-$(. /etc/os-release && echo "${VERSION_ID-}")}
release=${release%%.*}
if [ "${release:-12}" -ge 13 ]; then
    RUN="$RUN passt nftables"
    LIBRARIES="libcurl4t64 libcjson1 libyaml-0-2 libsystemd0 libssl3t64 libqrencode4 libarchive13t64"
fi
BOX="$RUN $LIBRARIES"
# runc where the cgroups are v1, which crun refuses; crun where they are v2
LAB="$RUN runc crun iproute2 iptables util-linux procps python3 busybox-static postgresql"
TEST="$LAB libcmocka-dev clang clang-format clang-tidy llvm libclang-rt-14-dev pmccabe binutils python3-pytest python3-websockets
    python3-pyflakes python3-yaml python3-cryptography skopeo docker-registry git openssl nodejs node-ws debootstrap groff-base
    openssh-client rsync nftables nginx-light haproxy caddy systemd zsh fish chromium chromium-driver libnss3-tools
    fonts-dejavu-core prometheus qrencode shellcheck avahi-daemon ffmpeg glewlwyd dbconfig-sqlite3"
PACKAGES="debhelper dpkg-dev lintian apt-utils gnupg git"
IMAGES="podman binutils busybox-static ca-certificates postgresql tzdata util-linux"
DEMO="$LAB curl"
BENCH="$LAB openssh-client stunnel4 nodejs node-ws openssl python3-yaml python3-cryptography python3-pytest
    python3-websockets skopeo docker-registry nginx-light socat ffmpeg"

say() { printf 'deps: %s\n' "$*"; }

as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    else
        sudo "$@"
    fi
}

# For this machine: another architecture's, which may be there for cross-building, is of no use.
architecture=$(dpkg --print-architecture)
is_installed() {
    dpkg-query -W -f '${Architecture} ${db:Status-Status}\n' "$1" 2>/dev/null | grep -qxE "($architecture|all) installed"
}

# A package's service starts when it is installed; these are only wanted as programs. A machine that has them keeps
# its own settings.
keep_services_off() {
    case " $missing " in *" postgresql "*)
        if [ ! -e /etc/postgresql-common ]; then
            as_root mkdir -p /etc/postgresql-common
            printf '# Written by the SecBox dependency step: only the programs are wanted.\ncreate_main_cluster = false\n' |
                as_root tee /etc/postgresql-common/createcluster.conf >/dev/null
        fi ;;
    esac
    for service in docker-registry nginx haproxy caddy prometheus avahi-daemon glewlwyd; do
        case " $missing " in *" $service "* | *" $service-light "*)
            if [ ! -e "/etc/systemd/system/$service.service" ]; then
                as_root mkdir -p /etc/systemd/system
                as_root ln -s /dev/null "/etc/systemd/system/$service.service"
            fi ;;
        esac
    done
    case " $missing " in *" openssh-server "*)
        if [ ! -e /etc/systemd/system/ssh.service ]; then
            as_root mkdir -p /etc/systemd/system
            as_root ln -s /dev/null /etc/systemd/system/ssh.service
            masked_ssh=1
        fi ;;
    esac
}

# Where tests are run a sshd stays off for good; on a box it starts with the next boot, or when somebody starts it.
unmask_ssh() {
    case " $groups " in *" test "*) return ;; esac
    [ -z "$masked_ssh" ] || as_root rm -f /etc/systemd/system/ssh.service
}

masked_ssh=
packages=
only_names=
if [ "${1-}" = -n ]; then
    only_names=1
    shift
fi
[ $# -gt 0 ] || set -- build run test demo bench
groups=$*
for group; do
    case "$group" in
    build) packages="$packages $BUILD" ;;
    run) packages="$packages $RUN" ;;
    box) packages="$packages $BOX" ;;
    libraries) packages="$packages $LIBRARIES" ;;
    test) packages="$packages $TEST" ;;
    images) packages="$packages $IMAGES" ;;
    packages) packages="$packages $PACKAGES" ;;
    demo) packages="$packages $DEMO" ;;
    bench) packages="$packages $BENCH" ;;
    *)
        printf 'deps: unknown group "%s"; known: build run box libraries images packages test demo bench\n' "$group" >&2
        exit 2
        ;;
    esac
done

if [ -n "$only_names" ]; then
    # shellcheck disable=SC2086
    printf '%s\n' $packages
    exit 0
fi
missing=
for package in $packages; do
    case " $missing " in *" $package "*) continue ;; esac
    is_installed "$package" || missing="${missing:+$missing }$package"
done
if [ -z "$missing" ]; then
    say "everything is there ($*)"
    exit 0
fi
if [ "$(id -u)" != 0 ] && ! command -v sudo >/dev/null; then
    say "missing, and you are neither root nor have sudo: $missing" >&2
    exit 1
fi
say "installing: $missing"
as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq update
keep_services_off
# shellcheck disable=SC2086
as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
    -o Dpkg::Options::=--force-confold $missing </dev/null
unmask_ssh
say "done"
