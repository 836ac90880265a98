#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes the images of the last commit for several processors, of its packages and of Debian's: for a processor that is not this
# machine's, those are built by cross.sh, and Debian's are unpacked and not run.
#   installer/images/arches.sh FOLDER VERSION ARCH…       the archives are in FOLDER/images
# PODMAN, CLOUDFLARED: see build.sh. Another processor's need root and debootstrap, as cross.sh does.
set -eu
umask 022

mkdir -p "$1"
folder=$(realpath "$1")
number=$2
shift 2
# shellcheck source=installer/facts.sh
. installer/facts.sh
fail() {
    printf 'images: %s\n' "$*" >&2
    exit 1
}
case $version in
*+changed) fail "images for ARCHES are of a commit, and there are changes that are in none: commit them, or leave ARCHES out" ;;
esac
own=$(dpkg --print-architecture)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

for arch; do
    package=$folder/deb/secbox_${version}_$arch.deb
    if [ ! -e "$package" ] && [ "$arch" = "$own" ]; then
        installer/deb.sh "$folder" "$number"
    elif [ ! -e "$package" ]; then
        installer/cross.sh "$arch" "$folder" packages
    fi
    [ -e "$package" ] || fail "there is no $package"
    mkdir "$work/$arch"
    dpkg-deb -x "$package" "$work/$arch"
    if [ "$arch" = "$own" ]; then
        installer/images/build.sh "$work/$arch/usr/bin" "$folder/images" "$number"
    else
        place=$(installer/cross.sh "$arch" "$folder" debian)
        cp "$place/srv/qemu" "$folder/qemu" # for whoever wants to try them
        IMAGE_ARCH=$arch IMAGE_ROOT=$place/srv/debian IMAGE_QEMU=$(cat "$place/srv/qemu") \
            installer/images/build.sh "$work/$arch/usr/bin" "$folder/images" "$number"
    fi
done
