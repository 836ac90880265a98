#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the images that compose/examples/secbox.yml names, from what this machine has: programs, the libraries that they are
# started with, and nothing that they do not need. Needs no registry, no network and no root; the images are in the podman of
# whoever calls.
#   installer/images/build.sh FOLDER-OF-PROGRAMS FOLDER-OF-ARCHIVES VERSION [secbox|postgres|relay-client]…
# Each is an OCI archive, FOLDER-OF-ARCHIVES/NAME-TAG-PROCESSOR.oci.tar: the same bytes for the same files. Those of this machine's
# processor are loaded into podman, too.
# PODMAN: another command in its place. CLOUDFLARED: the path of that program, which relay-client needs for the provider
# cloudflare alone.
# IMAGE_ARCH, IMAGE_ROOT, IMAGE_QEMU: for another processor, a folder with a Debian of it to take all but our programs from, and
# what runs programs of it here.
set -eu
umask 022

here=$(dirname "$0")
podman=${PODMAN:-podman}
own=$(dpkg --print-architecture)
arch=${IMAGE_ARCH:-$own}
from=${IMAGE_ROOT:-}
qemu=${IMAGE_QEMU:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

fail() {
    printf 'images: %s\n' "$*" >&2
    exit 1
}

# Folders, users and name service of an image, and a shell to look around with.
begin() {
    rm -rf "$root"
    for folder in usr/bin usr/sbin usr/lib usr/lib64 etc/ssl run var/lib home root proc sys dev; do
        mkdir -p "$root/$folder"
    done
    mkdir -m 1777 "$root/tmp" "$root/var/tmp"
    for name in bin sbin lib lib64; do
        ln -s "usr/$name" "$root/$name"
    done
    ln -s ../run "$root/var/run"
    printf 'root:x:0:0:root:/root:/bin/sh\npostgres:x:999:999::/var/lib/postgresql:/bin/sh\n' >"$root/etc/passwd"
    printf 'root:x:0:\npostgres:x:999:\n' >"$root/etc/group"
    printf 'hosts: files dns\npasswd: files\ngroup: files\n' >"$root/etc/nsswitch.conf"
    cp /etc/services /etc/protocols "$root/etc" 2>/dev/null || true
    busybox=$from/usr/bin/busybox
    [ -n "$from" ] || busybox=$(command -v busybox) || fail "busybox is missing: installer/deps.sh images"
    put "$busybox" /usr/bin/busybox
    for name in $($qemu "$busybox" --list); do
        [ -e "$root/usr/bin/$name" ] || ln -s busybox "$root/usr/bin/$name"
    done
    copy /usr/bin/getent
}

# needed_by FILE: what starts it, and the libraries that it names
needed_by() {
    readelf -ld "$1" 2>/dev/null |
        sed -n 's/.*Requesting program interpreter: \(.*\)\].*/\1/p; s/.*(NEEDED).*\[\(.*\)\].*/\1/p'
}

# library_named NAME: where it lies below $from
library_named() {
    for library in "$from"/usr/lib/*-linux-gnu*/"$1"; do
        [ ! -e "$library" ] || { printf '%s\n' "${library#"$from"}" && return; }
    done
    printf '%s\n' "$1"
}

# libraries_of FILE: all that it is started with
libraries_of() {
    if [ -z "$from" ]; then
        ldd "$1" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) (0x.*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (0x.*/\1/p'
        return
    fi
    : >"$work/known" # nothing of it can ask its own loader here, as ldd does
    needed_by "$1" >"$work/names"
    while [ -s "$work/names" ]; do
        : >"$work/more"
        while read -r name; do
            case $name in /*) ;; *) name=$(library_named "$name") ;; esac
            [ -e "$from$name" ] || fail "$1 needs $name, which is not in $from"
            grep -qxF "$name" "$work/known" && continue
            printf '%s\n' "$name" | tee -a "$work/known"
            needed_by "$from$name" >>"$work/more"
        done <"$work/names"
        mv "$work/more" "$work/names"
    done
}

# put FILE NAME: a file and the libraries that it is started with
put() {
    mkdir -p "$root${2%/*}"
    rm -f "$root$2"
    cp -L "$1" "$root$2"
    libraries_of "$1" >"$work/needed"
    while read -r library; do
        [ -e "$root$library" ] || { mkdir -p "$root${library%/*}" && cp -L "$from$library" "$root$library"; }
    done <"$work/needed"
}

copy() { put "$from$1" "$1"; }

# starts PROGRAM: what is for another processor is tried here, since no podman of this machine will
starts() {
    [ -n "$from" ] || return 0
    said=$("$qemu" -L "$root" "$root$1" --version 2>&1) || fail "$1 for $arch does not start: $said"
}

# blob FILE: becomes one of the archive; $digest and $size tell which
blob() {
    digest=$(sha256sum "$1")
    digest=${digest%% *}
    size=$(wc -c <"$1")
    mv "$1" "$work/oci/blobs/sha256/$digest"
}

# finish NAME TAG TIME LABELS SETTINGS: what was put together becomes an image (OCI image specification 1.0)
finish() {
    name=$1 tag=$2 time=$3 labels=$4 settings=$5
    rm -rf "$work/oci"
    mkdir -p "$work/oci/blobs/sha256" "$archives"
    pack() { tar -C "$1" --sort=name --format=gnu --mtime="@$time" --numeric-owner --owner=0 --group=0 -cf "$2" .; }
    pack "$root" "$work/layer"
    plain=$(sha256sum "$work/layer")
    gzip -5n "$work/layer"
    blob "$work/layer.gz"
    layer="{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:$digest\",\"size\":$size}"
    created=$(date -u -d "@$time" +%Y-%m-%dT%H:%M:%SZ)
    printf '{"created":"%s","architecture":"%s","os":"linux","config":{%s,"Labels":{%s}},"rootfs":{"type":"layers",%s},%s}' \
        "$created" "$arch" "$settings" "$labels" "\"diff_ids\":[\"sha256:${plain%% *}\"]" \
        "\"history\":[{\"created\":\"$created\",\"created_by\":\"make images\"}]" >"$work/config"
    blob "$work/config"
    config="{\"mediaType\":\"application/vnd.oci.image.config.v1+json\",\"digest\":\"sha256:$digest\",\"size\":$size}"
    type='"mediaType":"application/vnd.oci.image.manifest.v1+json"'
    printf '{"schemaVersion":2,%s,"config":%s,"layers":[%s]}' "$type" "$config" "$layer" >"$work/manifest"
    blob "$work/manifest"
    printf '{"schemaVersion":2,"manifests":[{%s,"digest":"sha256:%s","size":%s,"annotations":{%s%s}}]}' "$type" "$digest" "$size" \
        "\"org.opencontainers.image.ref.name\":\"localhost/$name:$tag\"" "${labels:+,$labels}" >"$work/oci/index.json"
    printf '{"imageLayoutVersion":"1.0.0"}' >"$work/oci/oci-layout"
    archive=$archives/$name-$tag-$arch.oci.tar
    pack "$work/oci" "$archive.new"
    mv -f "$archive.new" "$archive"
    # shellcheck disable=SC2086
    [ "$arch" != "$own" ] || $podman load -q <"$archive" >/dev/null
    printf 'images: localhost/%s:%s for %s, %s bytes, sha256:%s\n' "$name" "$tag" "$arch" "$(wc -c <"$archive")" "$digest"
}

# ours NAME: one of our programs
ours() {
    [ -x "$programs/$1" ] || fail "$programs/$1 is not built: make"
    put "$programs/$1" "/usr/bin/$1"
}

# the public authorities; one of the site's own comes by CLOUD_CA_FILE or TUNNEL_CA_FILE
authorities() {
    [ -d /etc/ssl/certs ] || fail "ca-certificates is missing: installer/deps.sh images"
    cp -rL /etc/ssl/certs "$root/etc/ssl/certs"
    mkdir -p "$root/usr/lib/ssl" # where Debian's OpenSSL looks for them
    ln -s /etc/ssl/certs "$root/usr/lib/ssl/certs"
}

# finish_ours NAME: an image of one of our programs, which says of which commit it is
finish_ours() {
    starts "/usr/bin/$1"
    finish "$1" latest "$SOURCE_DATE_EPOCH" \
        "\"org.opencontainers.image.version\":\"$version\",\"org.opencontainers.image.revision\":\"$commit\"" "$2"
}

secbox() {
    begin
    ours secbox
    authorities
    finish_ours secbox '"Cmd":["/usr/bin/secbox"],"Env":["PATH=/usr/sbin:/usr/bin"]'
}

# Its root is the podman user, who owns secbox.env; it has no capability, and writes nowhere but to its run folder.
relay_client() {
    begin
    ours relay-client
    authorities
    if [ -n "${CLOUDFLARED-}" ] && [ "$arch" = "$own" ]; then
        [ -x "$CLOUDFLARED" ] || fail "CLOUDFLARED names no program: $CLOUDFLARED"
        put "$CLOUDFLARED" /usr/bin/cloudflared
    fi
    finish_ours relay-client '"Cmd":["/usr/bin/relay-client","--stay"],"Env":["PATH=/usr/sbin:/usr/bin"]'
}

# Nothing in it is of a commit: the time is that of PostgreSQL's own program, so that it changes only when Debian's packages do.
postgres() {
    begin
    major=$(find "$from/usr/lib/postgresql" -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -n | tail -n 1)
    bin=/usr/lib/postgresql/$major/bin
    [ -x "$from$bin/postgres" ] || fail "postgresql is missing: installer/deps.sh images"
    for program in initdb pg_ctl pg_isready pg_dump pg_restore postgres psql; do
        copy "$bin/$program"
    done
    for library in "$from/usr/lib/postgresql/$major"/lib/*.so; do
        case $library in *llvm*) ;; *) copy "${library#"$from"}" ;; esac # a compiler of 100 MB, which it goes without
    done
    mkdir -p "$root/usr/share/postgresql" "$root/etc/postgresql"
    cp -rL "$from/usr/share/postgresql/$major" "$root/usr/share/postgresql"
    cp -rL "$from/usr/share/zoneinfo" "$root/usr/share"
    mkdir -p "$root/usr/lib/locale"
    cp -rL "$from/usr/lib/locale/C.utf8" "$root/usr/lib/locale"
    copy /usr/bin/setpriv
    install -m 755 "$here/postgres-entrypoint.sh" "$root/usr/bin/postgres-entrypoint"
    starts "$bin/postgres"
    variables="\"PATH=$bin:/usr/sbin:/usr/bin\",\"LANG=C.UTF-8\",\"PGDATA=/var/lib/postgresql/data/$major\""
    # a session keeps up to 16 MB of memory: else it gives back some MB after each part of a snapshot, and the kernel clears them
    # again for the next, which takes longer than to read the rows (tests/bench/data.py has the same)
    variables="$variables,\"MALLOC_TRIM_THRESHOLD_=16777216\",\"MALLOC_MMAP_THRESHOLD_=16777216\""
    stops='"StopSignal":"SIGINT","ExposedPorts":{"5432/tcp":{}}'
    finish postgres "$major" "$(stat -c %Y "$from$bin/postgres")" '' \
        "\"Entrypoint\":[\"/usr/bin/postgres-entrypoint\"],$stops,\"Env\":[$variables]"
}

programs=${1:?the folder of the programs} archives=${2:?the folder of the archives} number=${3:?the version}
shift 3
# shellcheck source=installer/facts.sh
. installer/facts.sh
[ $# -gt 0 ] || set -- secbox postgres relay-client
for image; do
    case $image in
    secbox | postgres) "$image" ;;
    relay-client) relay_client ;;
    *) fail "there is no image $image: secbox, postgres, relay-client" ;;
    esac
done
