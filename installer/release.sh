#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes a release of the data plane, for boxes without containers: FOLDER/secbox-VERSION-ARCH.tar.gz, the same bytes for the same
# programs. `secboxctl release apply` takes it; docs/install.md has the rest.
#   installer/release.sh FOLDER VERSION PROGRAM…
# DEB_VERSION: another version. RELEASE_ARCH: the processor, where it is not this machine's. STRIP: another strip.
set -eu
umask 022

folder=$1 number=$2
shift 2
# shellcheck source=installer/facts.sh
. installer/facts.sh
arch=${RELEASE_ARCH:-$(dpkg --print-architecture)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/root/bin" "$folder"
files=
for program; do
    name=bin/${program##*/}
    cp "$program" "$work/root/$name"
    chmod 755 "$work/root/$name"
    "${STRIP:-strip}" "$work/root/$name" 2>/dev/null || true # a script has nothing to take away
    sum=$(sha256sum "$work/root/$name")
    files="$files${files:+,}{\"path\":\"$name\",\"sha256\":\"${sum%% *}\"}"
done
printf '{"version":"%s","arch":"%s","files":[%s]}\n' "$version" "$arch" "$files" >"$work/root/manifest.json"
archive=$folder/secbox-$version-$arch.tar.gz
tar -C "$work/root" --sort=name --owner=0 --group=0 --numeric-owner --mtime="@$SOURCE_DATE_EPOCH" --format=ustar \
    -cf - manifest.json bin | gzip -9n >"$archive.new"
mv -f "$archive.new" "$archive"
printf 'release: %s\n' "$archive"
