#!/bin/sh
# SPDX-License-Identifier: MIT
# Says which libraries a build lacks, and in what package each comes.
#   installer/libs-missing.sh NAME-OF-PKG-CONFIG…
set -eu

pkg_config=${PKG_CONFIG:-pkg-config}
say() { printf '%s is missing: apt-get install %s, or installer/deps.sh build\n' "$1" "$2" >&2; }

if ! command -v "$pkg_config" >/dev/null; then
    say "$pkg_config" pkg-config
    exit 1
fi
missing=
for name; do
    ! "$pkg_config" --exists "$name" 2>/dev/null || continue
    missing=1
    case $name in
    libssl | libcrypto) say "$name" libssl-dev ;;
    libcurl) say "$name" libcurl4-openssl-dev ;;
    yaml-0.1) say "$name" libyaml-dev ;;
    *) say "$name" "$name-dev" ;;
    esac
done
[ -z "$missing" ]
