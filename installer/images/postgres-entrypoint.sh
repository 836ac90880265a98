#!/bin/sh
# SPDX-License-Identifier: MIT
# The first process of the postgres image: makes the database at the first start, then is PostgreSQL.
#   POSTGRES_USER, POSTGRES_DB        its superuser and database; by default postgres, and the user's name
#   POSTGRES_PASSWORD                 the user's password
#   POSTGRES_HOST_AUTH_METHOD         how others log in: scram-sha-256, or trust where only friends are on the network
# Each version has a folder of its own, so that a newer image never opens an older one's.
set -eu
umask 077

say() { printf 'postgres: %s\n' "$*" >&2; }

if [ "$(id -u)" = 0 ]; then
    mkdir -p "${PGDATA%/*}" /run/postgresql
    chown postgres:postgres "${PGDATA%/*}" /run/postgresql
    exec /usr/bin/setpriv --reuid=postgres --regid=postgres --clear-groups -- "$0" "$@"
fi

make_database() {
    user=${POSTGRES_USER:-postgres}
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    if [ -z "${POSTGRES_PASSWORD-}" ] && [ "$method" != trust ]; then
        say "set POSTGRES_PASSWORD, or POSTGRES_HOST_AUTH_METHOD=trust where only friends are on the network"
        exit 1
    fi
    # made beside its place: what a power cut leaves is no database, and is made again
    new=$PGDATA.new
    rm -rf "$new"
    printf '%s\n' "${POSTGRES_PASSWORD-}" >/tmp/password
    if [ -n "${POSTGRES_PASSWORD-}" ]; then
        set -- "$@" --pwfile=/tmp/password
    fi
    initdb -D "$new" -U "$user" -E UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host="$method" "$@" >&2
    rm -f /tmp/password
    printf "listen_addresses = '*'\n" >>"$new/postgresql.conf"
    printf 'host all all all %s\n' "$method" >>"$new/pg_hba.conf"
    database=${POSTGRES_DB:-$user}
    if [ "$database" != postgres ]; then
        printf 'CREATE DATABASE "%s"\n' "$(printf '%s' "$database" | sed 's/"/""/g')" |
            postgres --single -D "$new" postgres >/dev/null
    fi
    sync
    mv "$new" "$PGDATA"
    sync
}

[ -s "$PGDATA/PG_VERSION" ] || make_database
[ "${1-}" ] || set -- postgres
exec "$@"
