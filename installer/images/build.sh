#!/bin/sh
# SPDX-License-Identifier: MIT
# Builds the images that compose/examples/secbox.yml names, from what this machine has: programs, the libraries that they are
# started with, and nothing that they do not need. Needs no registry, no network and no root; the images are in the podman of
# whoever calls.
#   installer/images/build.sh FOLDER-OF-PROGRAMS [secbox|postgres|relay-client]…
# PODMAN: another command in its place. CLOUDFLARED: the path of that program, which relay-client needs for the provider
# cloudflare alone.
set -eu

here=$(dirname "$0")
podman=${PODMAN:-podman}
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
    busybox=$(command -v busybox) || fail "busybox is missing: installer/deps.sh images"
    put "$busybox" /usr/bin/busybox
    for name in $("$busybox" --list); do
        [ -e "$root/usr/bin/$name" ] || ln -s busybox "$root/usr/bin/$name"
    done
    copy /usr/bin/getent
}

# put FILE NAME: a file and the libraries that it is started with
put() {
    mkdir -p "$root${2%/*}"
    rm -f "$root$2"
    cp -L "$1" "$root$2"
    ldd "$1" 2>/dev/null | sed -n 's/.*=> \(\/[^ ]*\) (0x.*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (0x.*/\1/p' >"$work/needed"
    while read -r library; do
        [ -e "$root$library" ] || { mkdir -p "$root${library%/*}" && cp -L "$library" "$root$library"; }
    done <"$work/needed"
}

copy() { put "$1" "$1"; }

# finish TAG CHANGE…: what was put together becomes an image
finish() {
    tag=$1
    shift
    for change; do
        shift
        set -- "$@" --change "$change"
    done
    tar -C "$root" --numeric-owner --owner=0 --group=0 -cf "$work/image.tar" .
    # shellcheck disable=SC2086
    $podman import -q "$@" - "$tag" <"$work/image.tar" >/dev/null
    printf 'images: %s, %s bytes\n' "$tag" "$(wc -c <"$work/image.tar")"
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

secbox() {
    begin
    ours secbox
    authorities
    finish localhost/secbox:latest 'CMD ["/usr/bin/secbox"]' 'ENV PATH=/usr/sbin:/usr/bin'
}

# Its root is the podman user, who owns secbox.env; it has no capability, and writes nowhere but to its run folder.
relay_client() {
    begin
    ours relay-client
    authorities
    if [ -n "${CLOUDFLARED-}" ]; then
        [ -x "$CLOUDFLARED" ] || fail "CLOUDFLARED names no program: $CLOUDFLARED"
        put "$CLOUDFLARED" /usr/bin/cloudflared
    fi
    finish localhost/relay-client:latest 'CMD ["/usr/bin/relay-client", "--stay"]' 'ENV PATH=/usr/sbin:/usr/bin'
}

postgres() {
    begin
    version=$(find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -n | tail -n 1)
    [ -x "/usr/lib/postgresql/$version/bin/postgres" ] || fail "postgresql is missing: installer/deps.sh images"
    for program in initdb pg_ctl pg_isready pg_dump pg_restore postgres psql; do
        copy "/usr/lib/postgresql/$version/bin/$program"
    done
    for library in "/usr/lib/postgresql/$version"/lib/*.so; do
        case $library in *llvm*) ;; *) copy "$library" ;; esac # a compiler of 100 MB, which it goes without
    done
    mkdir -p "$root/usr/share/postgresql" "$root/etc/postgresql"
    cp -rL "/usr/share/postgresql/$version" "$root/usr/share/postgresql"
    cp -rL /usr/share/zoneinfo "$root/usr/share"
    mkdir -p "$root/usr/lib/locale"
    cp -rL /usr/lib/locale/C.utf8 "$root/usr/lib/locale"
    copy /usr/bin/setpriv
    install -m 755 "$here/postgres-entrypoint.sh" "$root/usr/bin/postgres-entrypoint"
    # a session keeps up to 16 MB of memory: else it gives back some MB after each part of a snapshot, and the kernel clears them
    # again for the next, which takes longer than to read the rows (tests/bench/data.py has the same)
    finish "localhost/postgres:$version" 'ENTRYPOINT ["/usr/bin/postgres-entrypoint"]' 'STOPSIGNAL SIGINT' 'EXPOSE 5432' \
        "ENV PATH=/usr/lib/postgresql/$version/bin:/usr/sbin:/usr/bin" 'ENV LANG=C.UTF-8' \
        'ENV MALLOC_TRIM_THRESHOLD_=16777216' 'ENV MALLOC_MMAP_THRESHOLD_=16777216' \
        "ENV PGDATA=/var/lib/postgresql/data/$version"
}

programs=${1:?the folder of the programs}
shift
[ $# -gt 0 ] || set -- secbox postgres relay-client
for image; do
    case $image in
    secbox | postgres) "$image" ;;
    relay-client) relay_client ;;
    *) fail "there is no image $image: secbox, postgres, relay-client" ;;
    esac
done
