#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the Debian packages of this tree: all but what git ignores, as it lies here.
#   installer/deb.sh FOLDER VERSION       the packages are in FOLDER/deb
# DEB_VERSION: another version. DEB_ARCH: for another architecture. SECBOX_TREE and SECBOX_WORDS: see installer/debian/rules.
set -eu
umask 022

build=$(realpath "$1")
say() { printf 'deb: %s\n' "$*"; }

number=$2
# shellcheck source=installer/facts.sh
. installer/facts.sh
arch=${DEB_ARCH:-$(dpkg --print-architecture)}
for program in dpkg-buildpackage dh; do
    command -v "$program" >/dev/null && continue
    say "$program is missing: apt-get install debhelper dpkg-dev, or installer/deps.sh packages" >&2
    exit 1
done

work=$build/deb-work
tree=$work/secbox
rm -rf "$work"
mkdir -p "$tree" "$build/deb"
if [ "$commit" = unknown ]; then
    tar --exclude='./build*' --exclude='*/__pycache__' -cf - . | tar -C "$tree" -xf -
else
    git ls-files -z --cached --others --exclude-standard | tar --null --files-from=- --ignore-failed-read -cf - 2>/dev/null |
        tar -C "$tree" -xf -
fi
cp -R "$tree/installer/debian" "$tree/debian"
cat >"$tree/debian/changelog" <<END
secbox ($version) unstable; urgency=medium

  * Made from the commit $commit.

 -- The SecBox authors <secbox@cloud.example>  $(LC_ALL=C date -u -R -d "@$SOURCE_DATE_EPOCH")
END

# Nothing of a make above, whose jobs and variables are its own.
for name in MAKEFLAGS MFLAGS MAKELEVEL MAKEOVERRIDES; do unset "$name"; done
log=$build/deb-work/log
say "$version for $arch"
export TZ=UTC LC_ALL=C.UTF-8 SECBOX_COMMIT="$commit"
if ! (cd "$tree" && dpkg-buildpackage -us -uc -b -a"$arch" -j"$(nproc)") >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    say "dpkg-buildpackage failed; all it said is in $log" >&2
    exit 1
fi
rm -f "$build"/deb/*_"$arch".*deb
for package in "$work"/*.deb "$work"/*.ddeb; do
    [ ! -e "$package" ] || mv "$package" "$build/deb/"
done
mv "$work"/*.buildinfo "$work"/*.changes "$build/deb/"
rm -rf "$tree"
say "$(find "$build/deb" -name "*_$arch.deb" | wc -l) packages in $build/deb"
