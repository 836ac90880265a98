#!/bin/sh
# SPDX-License-Identifier: MIT
# Pushes the images of `make images` to a registry, each as one index over the processors that it is there for, and prints what to
# pin: ADDRESS/NAME:TAG@DIGEST, a line each.
#   installer/images/publish.sh REGISTRY TAG [ARCHIVE…]
# REGISTRY: its address, with a path if there is one. ARCHIVE: an OCI archive of another processor's image, as a repository has them
# (images/secbox-latest.oci.tar); its name begins with the image's and its version's. Who may push is said by `podman login` before,
# or for this once by REGISTRY_USER and REGISTRY_PASSWORD.
# PODMAN: another command in its place.
set -eu

podman=${PODMAN:-podman}
fail() {
    printf 'publish: %s\n' "$*" >&2
    exit 1
}
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

# add IMAGE: one more processor's
add() { $podman manifest add "$list" "$1" >/dev/null || fail "$1 cannot be added to the index"; }

# publish NAME LOCAL-TAG TAG ARCHIVE…
publish() {
    name=$1 version=$2 local=localhost/$1:$2 as=$registry/$1:$3
    shift 3
    $podman manifest rm "$list" >/dev/null 2>&1 || true
    $podman manifest create "$list" >/dev/null
    add "containers-storage:$local"
    for archive; do
        case ${archive##*/} in "$name-$version".* | "$name-$version"-*) add "oci-archive:$archive" ;; esac
    done
    processors=$($podman manifest inspect "$list" | sed -n 's/^ *"architecture": "\(.*\)".*/\1/p' | sort)
    twice=$(printf '%s\n' "$processors" | uniq -d)
    [ -z "$twice" ] || fail "there are two images $name for $twice"
    $podman manifest push -q --all --digestfile "$digest" "$list" "docker://$as" >/dev/null ||
        fail "$as cannot be pushed: podman login ${registry%%/*}"
    printf '%s@%s %s\n' "$as" "$(cat "$digest")" "$(printf '%s' "$processors" | tr '\n' ' ')"
}

# What `make images` makes: not what somebody else has tagged beside it.
versions() {
    $podman images --format '{{.Repository}}:{{.Tag}}' | sed -n "s|^localhost/$1:||p" | sort | case $1 in
    postgres) grep -x '[0-9][0-9]*' ;;
    *) grep -x latest ;;
    esac || true
}

for archive; do
    [ -r "$archive" ] || fail "$archive cannot be read"
    name=${archive##*/}
    case $name in secbox-* | postgres-* | relay-client-*) ;; *) fail "$archive: its name begins with no image's" ;; esac
    case $name in relay-client-*) image=relay-client ;; *) image=${name%%-*} ;; esac
    version=${name#"$image-"}
    version=${version%%[.-]*}
    versions "$image" | grep -qxF "$version" ||
        fail "$archive: there is no image localhost/$image:$version here to be one index with"
done
$podman image exists localhost/secbox:latest || fail "there is no image localhost/secbox:latest: make images"
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
