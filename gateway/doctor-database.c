/* SPDX-License-Identifier: MIT */
/* doctor: the database, asked without changing it. As the user that serves, whom PostgreSQL knows. */
#include <errno.h>
#include <string.h>

#include "gateway/doctor.h"
#include "gateway/store/schema.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"

#define AS_POSTGRES "runuser -u postgres -- "
#define STATE_PASSWORD "28P01"
#define STATE_AUTHORIZATION "28000"
#define STATE_NO_DATABASE "3D000"
#define STATE_DISK_FULL "53100"

static const StoreProbe *probe(Doctor *d)
{
    if (!d->probed)
        d->probe_result = store_probe(d->database ? d->database : "", &gateway_schema, &d->probe, &d->probe_error);
    d->probed = true;
    return &d->probe;
}

/* Of this machine: a folder of sockets, or its own address. */
static bool is_here(const StoreProbe *p)
{
    return str_empty(p->host) || p->host[0] == '/' || str_equal(p->host, "localhost") ||
           str_equal(p->host, "127.0.0.1") || str_equal(p->host, "::1");
}

/* What is typed must be one word to the shell and a name to PostgreSQL. */
static bool names_are_plain(const StoreProbe *p)
{
    return p->user && p->database && text_is_shell_word(p->user) && text_is_shell_word(p->database);
}

static void of_refusal(const StoreProbe *p, Finding *f)
{
    if (!is_here(p) || !names_are_plain(p))
        return;
    if (str_equal(p->sqlstate, STATE_PASSWORD))
        finding_remedy(f, AS_POSTGRES "psql -q -c '\\password %s'", p->user);
    else if (str_equal(p->sqlstate, STATE_AUTHORIZATION))
        finding_remedy(f, AS_POSTGRES "createuser %s", p->user);
    else if (str_equal(p->sqlstate, STATE_NO_DATABASE))
        finding_remedy(f, AS_POSTGRES "createdb --owner=%s %s", p->user, p->database);
    else if (p->sqlstate[0] == '\0')
        finding_remedy(f, "systemctl restart postgresql");
}

static const char *advice_of(const StoreProbe *p)
{
    if (str_equal(p->sqlstate, STATE_PASSWORD))
        return "Type the password that stands in SECBOX_GATEWAY_DATABASE; or write the right one there, and restart "
               "the "
               "gateway.";
    if (str_equal(p->sqlstate, STATE_AUTHORIZATION))
        return "Where the user is there already, pg_hba.conf does not let it in: see PostgreSQL's log.";
    if (str_equal(p->sqlstate, STATE_NO_DATABASE))
        return "Where there was one before, restore it from its dump (docs/backup.md).";
    return is_here(p) ? "Where it does not stay up, its log has the reason: `journalctl -u 'postgresql*'`."
                      : "Look at that machine, and at the line to it; the gateway takes it up again by itself.";
}

void check_database(Doctor *d, Finding *f)
{
    const StoreProbe *p;

    if (!d->database) {
        finding_set(f, VERDICT_UNKNOWN, NULL, "see the check `env-file`");
        return;
    }
    p = probe(d);
    if (d->probe_result == 0) {
        finding_pass(f, "%s answers", p->database);
    } else if (str_equal(error_id(&d->probe_error), "store.bad-config")) {
        finding_set(f, VERDICT_FAIL, "Correct SECBOX_GATEWAY_DATABASE, then restart the gateway.", "%s",
                    error_message(&d->probe_error, d->probe_result));
        finding_since_file(f, d->env_file);
    } else {
        finding_set(f, VERDICT_FAIL, advice_of(p), "%s", error_message(&d->probe_error, d->probe_result));
        of_refusal(p, f);
    }
}

static bool has_answered(Doctor *d, Finding *f)
{
    if (d->database && probe(d) && d->probe_result == 0)
        return true;
    finding_set(f, VERDICT_UNKNOWN, NULL, "the database does not answer");
    return false;
}

void check_database_writes(Doctor *d, Finding *f)
{
    if (!has_answered(d, f))
        return;
    const StoreProbe *p = &d->probe;
    if (p->standby) {
        finding_set(f, VERDICT_FAIL, "Name the primary in SECBOX_GATEWAY_DATABASE, or promote this one.",
                    "the database is a standby of another, and takes no changes");
    } else if (p->read_only) {
        finding_set(f, VERDICT_FAIL, "Find out who made it so, and why, first.", "the database is read-only");
        if (names_are_plain(p))
            finding_remedy(f,
                           AS_POSTGRES "env PGOPTIONS=-cdefault_transaction_read_only=off psql -q -c 'ALTER DATABASE "
                                       "\"%s\" RESET default_transaction_read_only' -c "
                                       "'ALTER ROLE \"%s\" RESET default_transaction_read_only' && systemctl restart "
                                       "secbox-gateway",
                           p->database, p->user);
    } else if (p->write_error) {
        finding_set(f, VERDICT_FAIL,
                    str_equal(p->sqlstate, STATE_DISK_FULL) ? "Make room on the database's disk; see `df -h`."
                                                            : "PostgreSQL's log says more.",
                    "the database takes no changes: %s", p->write_error);
    } else {
        finding_pass(f, "the database takes changes");
    }
}

void check_schema(Doctor *d, Finding *f)
{
    if (!has_answered(d, f))
        return;
    const StoreProbe *p = &d->probe;
    if (p->version > p->known) {
        finding_set(
            f, VERDICT_FAIL, "Install the newer secbox-gateway again; an older one may not change what it wrote.",
            "the database has schema %u, which a newer secbox-gateway made; this one knows %u", p->version, p->known);
        if (p->version_at)
            (void) timestamp_parse(p->version_at, &f->since);
    } else if (p->version < p->known) {
        finding_pass(f, "version %u; the next start brings it to %u", p->version, p->known);
    } else {
        finding_pass(f, "version %u", p->version);
    }
}
