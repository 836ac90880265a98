#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian packages for another processor, and runs the unit tests of that build by qemu, in a Debian of its own: the
# libraries for two processors cannot all be on one machine (libpq-dev). That is made once, by debootstrap, outside of the tree.
#   installer/cross.sh ARCH FOLDER       as root; the packages are in FOLDER/deb
set -eu
umask 022

say() { printf 'cross: %s\n' "$*"; }

arch=${1:-arm64}
case $arch in
arm64) cpu=aarch64 ;;
*)
    say "$arch is not known here; known: arm64" >&2
    exit 2
    ;;
esac
if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    say "this needs root and debootstrap: apt-get install debootstrap, or installer/deps.sh test" >&2
    exit 1
fi
mkdir -p "$2"
folder=$(realpath "$2")

native="build-essential crossbuild-essential-$arch debhelper dpkg-dev git make openssl pkgconf python3 qemu-user-static"
foreign="pkgconf:$arch"
for name in $(installer/deps.sh -n build) libcmocka-dev; do
    case $name in *-dev) foreign="$foreign $name:$arch" ;; esac
done
key=$(printf '%s' "$native $foreign" | sha256sum | cut -c1-16)
place=${XDG_CACHE_HOME:-$HOME/.cache}/secbox/cross-$arch-$key

mirrors() {
    sed -n 's/^URIs: *\([^ ]*\).*/\1/p; s/^deb \(\[[^]]*\] *\)\{0,1\}\([^ ]*\).*/\2/p' /etc/apt/sources.list \
        /etc/apt/sources.list.d/* 2>/dev/null
}

# What runs in it sees its own mounts, which end with it.
inside() {
    # shellcheck disable=SC2016
    unshare --mount --propagation private sh -euc '
        root=$1
        shift
        mount --rbind "$root" "$root" # a root with a mount of its own, as every machine has
        mount -t proc none "$root/proc"
        mount --rbind /dev "$root/dev"
        exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
    ' inside "$@"
}

make_place() {
    making=$place.making
    for mirror in $(mirrors); do
        rm -rf --one-file-system "$making"
        mkdir -p "$making"
        if unshare --mount debootstrap --variant=minbase bookworm "$making" "$mirror" >"$making.log" 2>&1; then
            printf 'deb %s bookworm main\n' "$mirror" >"$making/etc/apt/sources.list"
            cp /etc/resolv.conf "$making/etc/resolv.conf"
            printf '127.0.0.1 localhost\n::1 localhost\n' >"$making/etc/hosts"
            inside "$making" dpkg --add-architecture "$arch"
            # shellcheck disable=SC2086
            inside "$making" sh -euc 'apt-get -qq update; apt-get -qq install -y --no-install-recommends "$@"' install \
                $native $foreign >>"$making.log" 2>&1 || {
                say "not all of what a build needs can be installed there: see $making.log" >&2
                exit 1
            }
            mv "$making" "$place"
            return
        fi
    done
    say "no mirror of apt's sources gives a Debian: see $making.log" >&2
    exit 1
}

if [ ! -d "$place" ]; then
    say "making a Debian for building ($place)"
    mkdir -p "$(dirname "$place")"
    make_place
fi

rm -rf "$place/srv/secbox"
git clone -q . "$place/srv/secbox"
say "building for $arch"
# shellcheck disable=SC2016
inside "$place" sh -euc '
    cd /srv/secbox
    git config --global --add safe.directory /srv/secbox
    export RUN_BUILT="qemu-$2-static"
    make -s deb ARCH="$1"
' build "$arch" "$cpu"
mkdir -p "$folder/deb"
cp "$place"/srv/secbox/build/deb/*_"$arch".deb "$folder/deb/"
say "$(find "$folder/deb" -name "*_$arch.deb" | wc -l) packages in $folder/deb"
# shellcheck disable=SC2016
inside "$place" sh -euc '
    cd /srv/secbox
    export RUN_BUILT="qemu-$2-static"
    export BUILD=build/cross UNIT_RUN="$RUN_BUILT" UNIT_MAKE="CC=$2-linux-gnu-gcc PKG_CONFIG=$2-linux-gnu-pkg-config"
    python3 -B tests/run.py unit
' build "$arch" "$cpu"
