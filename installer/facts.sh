#!/bin/sh
# SPDX-License-Identifier: MIT
# What packages and archives are made from and named by: the commit, its time, and a version that sorts by age. To be read by other
# scripts in the root of the tree:
#   number=VERSION; . installer/facts.sh
# Sets commit, SOURCE_DATE_EPOCH, version. A commit with the tag vVERSION is that version, others come before it: ~dev and how many
# commits there are. Without .git, as in an unpacked archive, no commit is known. DEB_VERSION: another version in its place.

if git rev-parse --verify -q HEAD >/dev/null 2>&1; then
    commit=$(git rev-parse --short=12 HEAD)
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
    version=$number
    [ "$(git tag --points-at HEAD --list "v$number")" ] || version="$number~dev$(git rev-list --count HEAD).g$commit"
    [ -z "$(git status --porcelain)" ] || version="$version+changed"
elif [ -e .git ]; then
    printf 'git does not say which commit this is: ' >&2
    git rev-parse --verify HEAD >&2 || true
    exit 1
else
    commit=unknown
    SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(stat -c %Y CHANGELOG.md)}
    version="$number~dev0"
fi
version=${DEB_VERSION:-$version}
export SOURCE_DATE_EPOCH
