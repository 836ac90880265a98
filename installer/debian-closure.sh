#!/bin/sh
# SPDX-License-Identifier: MIT
# Fetches what a bare Debian lacks to be a box into FOLDER: the packages of `deps.sh box`, what the data plane needs where it has no
# container, and all that these depend on, of the release and processor of this machine, from the sources that its apt knows, which
# checks them. What is there is not fetched again.
#   installer/debian-closure.sh FOLDER
set -eu
umask 022
export LC_ALL=C.UTF-8

mkdir -p "$1"
folder=$(realpath "$1")
fail() {
    printf 'closure: %s\n' "$*" >&2
    exit 1
}
command -v apt-get >/dev/null || fail "apt-get is missing: a bundle for boxes without internet is made on a Debian"
temp=$(mktemp -d)
trap 'rm -rf "$temp"' EXIT
mkdir -p "$folder/partial"
: >"$temp/status"

# With a status of its own nothing counts as installed, and nothing is installed. Neither apt's lock nor its cache is touched.
apt() {
    apt-get -q -y -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Dir::State::status="$temp/status" \
        -o Dir::State::extended_states="$temp/extended" -o Dir::Cache::archives="$folder/" \
        -o Dir::Cache::pkgcache= -o Dir::Cache::srcpkgcache= -o Acquire::Retries=2 \
        -o APT::Get::AllowUnauthenticated=false --no-install-recommends "$@"
}

wanted="$(installer/deps.sh -n box) libpq5"
# shellcheck disable=SC2086
apt -s install $wanted >"$temp/plan" 2>&1 || {
    tail -n 5 "$temp/plan" >&2
    fail "apt does not know all that a box needs: apt-get update"
}
sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*/\1_\2_/p' "$temp/plan" | sed 's/:/%3a/g' >"$temp/wanted"
# shellcheck disable=SC2086
apt --download-only install $wanted >"$temp/said" 2>&1 || {
    tail -n 5 "$temp/said" >&2
    fail "not all of it can be fetched"
}
rmdir "$folder/partial" 2>/dev/null || true
# what a former list had
for package in "$folder"/*.deb; do
    name=${package##*/}
    grep -qxF "${name%_*.deb}_" "$temp/wanted" || rm -f "$package"
done
found=$(find "$folder" -name '*.deb' | wc -l)
[ "$found" = "$(wc -l <"$temp/wanted")" ] || fail "$found packages are there, and $(wc -l <"$temp/wanted") are needed"
# shellcheck source=/dev/null
printf '%s %s\n' "$(. /etc/os-release && echo "$VERSION_ID")" "$(dpkg --print-architecture)" >"$folder/release"
printf 'closure: %s packages of Debian, %s\n' "$found" "$(cat "$folder/release")"
