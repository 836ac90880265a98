#!/bin/sh
# SPDX-License-Identifier: MIT
# Makes FOLDER/repo of FOLDER/deb: an apt repository, signed, with all that a box needs of us beside it.
# Any web server can serve it.
#   installer/repo.sh FOLDER VERSION
# DEBIAN: a folder of installer/debian-closure.sh; with it FOLDER/bundle is made, which is FOLDER/repo with a component
# of what a bare Debian lacks.
# REPO_KEY: the signing key, by its id in gpg's keyring (GNUPGHOME); without one a key for tests is made, and kept in FOLDER.
# CHANNEL: the suite (stable). CLOUD: the address that the installer is told.
# The images of `make images` are taken from FOLDER/images.
# INSTALLER: its script.
set -eu
umask 022
export LC_ALL=C.UTF-8

build=$(realpath "$1")
channel=${CHANNEL:-stable}
debian=${DEBIAN:-}
repo=$build/repo
[ -z "$debian" ] || repo=$build/bundle
new=$repo.new
say() { printf 'repo: %s\n' "$*"; }
fail() {
    say "$*" >&2
    exit 1
}

number=$2
# shellcheck source=installer/facts.sh
. installer/facts.sh
for program in apt-ftparchive gpg; do
    command -v "$program" >/dev/null || fail "$program is missing: apt-get install apt-utils gnupg, or installer/deps.sh packages"
done
ls "$build"/deb/*.deb >/dev/null 2>&1 || fail "there are no packages in $build/deb: make deb"

home=
end() {
    [ -z "$home" ] || { GNUPGHOME=$home gpgconf --kill all >/dev/null 2>&1 || true; rm -rf "$home"; }
    rm -rf "$new" "$new.gpg"
}
trap end EXIT

# The key for tests lives in a file; gpg gets a folder whose name is short enough for its sockets.
test_key() {
    home=$(mktemp -d)
    GNUPGHOME=$home
    export GNUPGHOME
    kept=$build/repo-test-key.asc
    if [ ! -s "$kept" ]; then
        gpg --batch --quiet --passphrase '' --faked-system-time "$SOURCE_DATE_EPOCH!" \
            --quick-gen-key 'SecBox repository, key for tests only' ed25519 sign never 2>/dev/null
        (umask 077 && gpg --batch --quiet --armor --export-secret-keys >"$kept.new") && mv "$kept.new" "$kept"
    else
        gpg --batch --quiet --import "$kept" 2>/dev/null
    fi
    key=$(gpg --batch --with-colons --list-secret-keys 2>/dev/null | awk -F: '$1 == "fpr" { print $10; exit }')
    say "signed with a key for tests, $kept: name your own with REPO_KEY"
}

key=${REPO_KEY:-}
[ -n "$key" ] || test_key
# A signature has the commit's time, so that it is the same each time; but a key signs nothing from before it was made.
made=$(gpg --batch --with-colons --list-keys "$key" 2>/dev/null | awk -F: '$1 == "pub" { print $6; exit }')
[ -n "$made" ] || fail "gpg has no key $key: gpg --list-secret-keys"
[ "$made" -le "$SOURCE_DATE_EPOCH" ] || SOURCE_DATE_EPOCH=$made
sign() {
    gpg --batch --yes --quiet --local-user "$key" --digest-algo SHA512 --faked-system-time "$SOURCE_DATE_EPOCH!" "$@" \
        2>"$new.gpg" ||
        { cat "$new.gpg" >&2 && fail "gpg does not sign with $key"; }
}

rm -rf "$new" "$new.gpg"
mkdir -p "$new/apt"
cd "$new/apt"
architectures=
# debug symbols are a component of their own, which a box does not read
for package in "$build"/deb/*.deb; do
    case $package in *-dbgsym_*) component=debug ;; *) component=main ;; esac
    mkdir -p "pool/$component"
    cp "$package" "pool/$component/"
    arch=${package##*_}
    arch=${arch%.deb}
    case " $architectures " in *" $arch "*) ;; *) architectures="${architectures:+$architectures }$arch" ;; esac
done
components='main debug'
# a pool's files are named without the epoch, which a URL could not hold as it stands in a file's name
if [ -n "$debian" ]; then
    components="$components debian"
    mkdir -p pool/debian
    for package in "$debian"/*.deb; do
        cp "$package" "pool/debian/$(basename "$package" | sed 's/_[0-9]*%3a/_/')"
    done
    cp "$debian/release" "$new/debian"
fi
version=$(dpkg-deb -f "$(find pool/main -name '*.deb' | sort | head -n 1)" Version)
printf '%s\n' "$version" >"$new/version"
for component in $components; do
    for arch in $architectures; do
        lists=dists/$channel/$component/binary-$arch
        mkdir -p "$lists" "pool/$component"
        apt-ftparchive --arch "$arch" packages "pool/$component" >"$lists/Packages"
        gzip -9nk "$lists/Packages"
    done
done
set --
for field in Origin=SecBox Label=SecBox "Suite=$channel" "Codename=$channel" "Architectures=$architectures" \
    "Components=$components" "Version=$version" "Date=$(date -u -R -d "@$SOURCE_DATE_EPOCH" | sed 's/+0000/UTC/')"; do
    set -- "$@" -o "APT::FTPArchive::Release::$field"
done
apt-ftparchive "$@" -o APT::FTPArchive::MD5=false -o APT::FTPArchive::SHA1=false \
    release "dists/$channel" >Release
mv Release "dists/$channel/Release"
sign --clearsign -o "dists/$channel/InRelease" "dists/$channel/Release"
sign --armor --detach-sign -o "dists/$channel/Release.gpg" "dists/$channel/Release"
gpg --batch --quiet --armor --export "$key" >"$new/secbox-archive-keyring.asc"
cd "$OLDPWD"

CLOUD=${CLOUD:-} awk -v keyfile="$new/secbox-archive-keyring.asc" '
    BEGIN { while ((getline line < keyfile) > 0) key = key (key == "" ? "" : "\n") line; cloud = ENVIRON["CLOUD"] }
    # by hand, since in a replacement of sub() some characters mean something
    function put(text, word, value,    at) {
        at = index(text, word)
        return at ? substr(text, 1, at - 1) value put(substr(text, at + length(word)), word, value) : text
    }
    { text = put($0, "@KEY@", key); if (cloud != "") text = put(text, "@CLOUD@", cloud); print text }
' "$INSTALLER" >"$new/secbox"
chmod 755 "$new/secbox"
# those of the packages' own version: what lies there of another one would be taken for it
for image in "$build"/images/*.oci.tar; do
    [ -e "$image" ] || continue
    of=$(tar -xOf "$image" ./index.json | sed -n 's/.*"org\.opencontainers\.image\.version":"\([^"]*\)".*/\1/p')
    if [ -n "$of" ] && [ "$of" != "$version" ]; then
        say "$image is left out, since it is of version $of: make images"
        continue
    fi
    mkdir -p "$new/images"
    cp "$image" "$new/images/"
done
find "$new" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
rm -rf "$repo"
mv "$new" "$repo"
images=$(find "$repo" -name '*.oci.tar' | wc -l)
say "$version for $architectures in $repo, with $images images"
