#!/bin/sh
# SPDX-License-Identifier: MIT
# Packs FOLDER/PART into one file, FOLDER/secbox-bundle-VERSION.tar: the same bytes for the same folder.
#   installer/bundle.sh FOLDER VERSION PART
set -eu

number=$2
# shellcheck source=installer/facts.sh
. installer/facts.sh
version=$(cat "$1/$3/version")
bundle=$1/secbox-bundle-$version.tar
tar -C "$1/$3" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX \
    -cf "$bundle.new" .
mv -f "$bundle.new" "$bundle"
printf 'bundle: %s, %s bytes\n' "$bundle" "$(wc -c <"$bundle")"
