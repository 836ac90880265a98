#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian packages for another processor, and runs the unit tests of that build by qemu, in a Debian of its own: the
# libraries for two processors cannot all be on one machine (libpq-dev). That is made once, by debootstrap, outside of the tree.
#   installer/cross.sh ARCH FOLDER            as root; the packages are in FOLDER/deb
#   installer/cross.sh ARCH FOLDER packages   without the tests
#   installer/cross.sh ARCH FOLDER debian     only says where that Debian is, which then has in srv/debian what images take of
#                                             Debian's packages for ARCH, and in srv/qemu the path of what runs ARCH here
set -eu
umask 022

say() { printf 'cross: %s\n' "$*" >&2; }

arch=${1:-arm64}
case $arch in
arm64) cpu=aarch64 ;;
*)
    say "$arch is not known here; known: arm64"
    exit 2
    ;;
esac
if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    say "this needs root and debootstrap: apt-get install debootstrap, or installer/deps.sh test"
    exit 1
fi
mkdir -p "$2"
folder=$(realpath "$2")
what=${3:-all}

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
                say "not all of what a build needs can be installed there: see $making.log"
                exit 1
            }
            mv "$making" "$place"
            return
        fi
    done
    say "no mirror of apt's sources gives a Debian: see $making.log"
    exit 1
}

if [ ! -d "$place" ]; then
    say "making a Debian for building ($place)"
    mkdir -p "$(dirname "$place")"
    make_place
fi

# Debian's packages for that processor, unpacked: what their scripts would do beyond that, images do themselves. What only compiles,
# translates or asks questions is left out.
unpack_debian() {
    wanted="busybox-static libc-bin postgresql-15 tzdata util-linux $(DEBIAN=12 installer/deps.sh -n libraries) libpq5"
    key=$(printf '%s' "$wanted" | sha256sum)
    [ "$(cat "$place/srv/debian.key" 2>/dev/null)" != "$key" ] || return 0
    say "fetching what images take of Debian for $arch"
    # shellcheck disable=SC2016,SC2086
    inside "$place" sh -euc '
        arch=$1 folder=/srv/packages
        shift
        rm -rf /srv/debian /srv/debian.key "$folder"
        mkdir -p "$folder/partial" /srv/debian
        : >/srv/status # nothing counts as installed
        for name in bin lib sbin; do mkdir -p "/srv/debian/usr/$name" && ln -s "usr/$name" "/srv/debian/$name"; done
        apt-get -qq update
        apt-get -qq -y -o APT::Architecture="$arch" -o APT::Architectures::="$arch" -o Dir::State::status=/srv/status \
            -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Dir::Cache::archives="$folder/" -o APT::Sandbox::User=root \
            --no-install-recommends --download-only install "$@"
        for package in "$folder"/*.deb; do
            case ${package##*/} in libllvm* | libz3* | locales_* | perl* | libperl* | openssl_* | ucf_*) continue ;; esac
            dpkg-deb --fsys-tarfile "$package" | tar -C /srv/debian --keep-directory-symlink -xf -
        done
        rm -rf "$folder"
    ' unpack "$arch" $wanted >"$place.debian.log" 2>&1 || {
        say "not all of what images take of Debian for $arch is to be had: see $place.debian.log"
        exit 1
    }
    printf '%s' "$key" >"$place/srv/debian.key"
}

if [ "$what" = debian ]; then
    unpack_debian
    printf '%s/usr/bin/qemu-%s-static\n' "$place" "$cpu" >"$place/srv/qemu"
    printf '%s\n' "$place"
    exit 0
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
rm -f "$folder"/deb/*_"$arch".deb # of another commit
cp "$place"/srv/secbox/build/deb/*_"$arch".deb "$folder/deb/"
say "$(find "$folder/deb" -name "*_$arch.deb" | wc -l) packages in $folder/deb"
[ "$what" = all ] || exit 0
# shellcheck disable=SC2016
inside "$place" sh -euc '
    cd /srv/secbox
    export RUN_BUILT="qemu-$2-static"
    export BUILD=build/cross UNIT_RUN="$RUN_BUILT" UNIT_MAKE="CC=$2-linux-gnu-gcc PKG_CONFIG=$2-linux-gnu-pkg-config"
    python3 -B tests/run.py unit
' build "$arch" "$cpu"
