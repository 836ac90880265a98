#!/bin/sh
# SPDX-License-Identifier: MIT
# What `make hooks` has git run before a commit: the lint, over what is staged and not over what lies in the folder.
set -eu
top=$(git rev-parse --show-toplevel)
staged=$(mktemp -d)
trap 'rm -rf "$staged"' EXIT
git checkout-index --all --prefix="$staged/"
# git tells its hooks which repository they serve; what runs in the copy must not take it for that
unset GIT_DIR GIT_INDEX_FILE GIT_WORK_TREE GIT_PREFIX
cd "$staged"
if ! SECBOX_LINT_CACHE="$top/build/lint" /usr/bin/python3 -B tests/lint/lint.py --staged >lint.log; then
    cat lint.log >&2
    echo 'pre-commit: mend that and stage it, or commit with --no-verify' >&2
    exit 1
fi
