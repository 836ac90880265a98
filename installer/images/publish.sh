#!/bin/sh
# SPDX-License-Identifier: MIT
# Pushes the images of `make images` to a registry, each as one index over the processors that it is there for, and prints what to
# pin: ADDRESS/NAME:TAG@DIGEST, a line each.
#   installer/images/publish.sh FOLDER REGISTRY TAG [ARCHIVE…]
# FOLDER: where `make images` has left them. REGISTRY: its address, with a path if there is one. ARCHIVE: an OCI archive of another
# processor's image, which `make images` has made elsewhere; its name begins with the image's and its version's. Who may push is
# said by `podman login` before, or for this once by REGISTRY_USER and REGISTRY_PASSWORD.
# PODMAN: another command in its place, of somebody who can read FOLDER.
set -eu

podman=${PODMAN:-podman}
fail() {
    printf 'publish: %s\n' "$*" >&2
    exit 1
}
images=$(realpath -m "$1")
shift
case ${1:+1}${2:+2} in
12) ;;
*) fail "say where to, and under which tag: make publish REGISTRY=registry.example/fleet TAG=stable" ;;
esac
case $1 in *://*) fail "REGISTRY is an address without ${1%%://*}://, like registry.example/fleet" ;; esac
registry=${1%/}
tag=$2
shift 2
list=localhost/secbox-publish-$$
digest=$(mktemp)
login=''
end() {
    rm -f "$digest" ${login:+"$login"}
    $podman manifest rm "$list" >/dev/null 2>&1 || true
}
trap end EXIT
trap 'exit 130' INT TERM HUP

# revision ARCHIVE: the commit that it says it is of
revision() { tar -xOf "$1" ./index.json 2>/dev/null | sed -n 's/.*"org\.opencontainers\.image\.revision":"\([^"]*\)".*/\1/p'; }

# add ARCHIVE: one more processor's
add() {
    of=$(revision "$1")
    [ -z "$of" ] || [ "${commit:=$of}" = "$of" ] || fail "$1 is of the commit $of, and another of $name is of $commit"
    $podman manifest add "$list" "oci-archive:$1" >/dev/null || fail "$1 cannot be added to the index"
}

# publish NAME VERSION TAG ARCHIVE…
publish() {
    name=$1 version=$2 as=$registry/$1:$3 commit=
    shift 3
    $podman manifest rm "$list" >/dev/null 2>&1 || true
    $podman manifest create "$list" >/dev/null
    for archive in "$images/$name-$version"-*.oci.tar "$@"; do
        case ${archive##*/} in "$name-$version".* | "$name-$version"-*) add "$archive" ;; esac
    done
    processors=$($podman manifest inspect "$list" | sed -n 's/^ *"architecture": "\(.*\)".*/\1/p' | sort)
    twice=$(printf '%s\n' "$processors" | uniq -d)
    [ -z "$twice" ] || fail "there are two images $name for $twice"
    $podman manifest push -q --all --digestfile "$digest" "$list" "docker://$as" >/dev/null ||
        fail "$as cannot be pushed: podman login ${registry%%/*}"
    printf '%s@%s %s\n' "$as" "$(cat "$digest")" "$(printf '%s' "$processors" | tr '\n' ' ')"
}

# versions NAME: those that `make images` has made
versions() {
    for archive in "$images/$1"-*.oci.tar; do
        [ -e "$archive" ] && printf '%s\n' "${archive##*/}"
    done | sed -n "s/^$1-\([a-z0-9]*\)-[a-z0-9]*\.oci\.tar$/\1/p" | sort -u
}

for archive; do
    [ -r "$archive" ] || fail "$archive cannot be read"
    name=${archive##*/}
    case $name in secbox-* | postgres-* | relay-client-*) ;; *) fail "$archive: its name begins with no image's" ;; esac
    case $name in relay-client-*) image=relay-client ;; *) image=${name%%-*} ;; esac
    version=${name#"$image-"}
    version=${version%%[.-]*}
    versions "$image" | grep -qxF "$version" ||
        fail "$archive: there is no image $image:$version in $images to be one index with"
done
[ -n "$(versions secbox)" ] || fail "there is no image secbox in $images: make images"
if [ -n "${REGISTRY_USER-}" ]; then
    login=$(mktemp) # goes in the end, and with it the password
    printf '{}' >"$login"
    export REGISTRY_AUTH_FILE="$login"
    printf '%s' "${REGISTRY_PASSWORD-}" | $podman login --username "$REGISTRY_USER" --password-stdin "${registry%%/*}" >/dev/null ||
        fail "REGISTRY_USER cannot log in to ${registry%%/*} with REGISTRY_PASSWORD"
fi
for image in secbox postgres relay-client; do
    for found in $(versions $image); do
        # the version of a database's data stays in its tag, so that a tag never leads to another one
        case $found in latest) publish $image "$found" "$tag" "$@" ;; *) publish $image "$found" "$found-$tag" "$@" ;; esac
    done
done
