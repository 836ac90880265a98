/* SPDX-License-Identifier: MIT */
#include "gateway/fleet/sign.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "gateway/fleet/ssh.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/order-envelope.h"
#include "lib/data/order-signers.h"

#define KEY_FILE_MAX 16384
#define PEM_BEGIN "-----BEGIN "
#define PEM_OF_OPENSSH "-----BEGIN OPENSSH "
#define LIFETIME_MAX_SECONDS 31622400

bool fleet_signs(const Fleet *fleet)
{
    return strv_length(fleet->keys) > 0;
}

static int sign_by_pem(const char *path, const char *domain, const char *statement, cJSON *envelope, Error *err)
{
    _cleanup_(ed25519_freep) SignerKey *key = NULL;
    _cleanup_(secret_freep) char *text = NULL;
    size_t len = 0;
    int r = file_read_secret(path, KEY_FILE_MAX, (uid_t) -1, &text, &len, err);

    if (r < 0)
        return r;
    r = ed25519_parse(text, len, &key);
    if (r == -EBADMSG)
        return error_set_at(err, EBADMSG, "key.bad", path, 0, NULL,
                            "%s is not an Ed25519 key of secbox-fleet keygen, or the pass phrase was wrong", path);
    return r < 0 ? error_from_errno(err, r, "cannot read %s", path)
                 : order_envelope_sign(envelope, domain, statement, strlen(statement), key, err);
}

static int run_keygen(const char *key, const char *domain, const char *file, Error *err)
{
    const char *const argv[] = { "ssh-keygen", "-q", "-Y", "sign", "-n", domain, "-f", key, file, NULL };
    int r = ssh_run((char *const *) (uintptr_t) argv, true, err);

    return r > 0 ? error_set(err, EIO, "ssh.keygen", "ssh-keygen could not sign with %s (exit status %d)", key, r) : r;
}

static int sign_in(const char *folder, const char *key, const char *domain, const char *statement, cJSON *envelope,
                   Error *err)
{
    _cleanup_(freep) char *file = path_join(folder, "order"), *signature = path_join(folder, "order.sig"), *text = NULL;

    if (!file || !signature)
        return error_from_errno(err, -ENOMEM, "cannot sign an order");
    int r = file_write_atomic(file, statement, strlen(statement), 0600, (uid_t) -1, (gid_t) -1, err);
    if (r >= 0)
        r = run_keygen(key, domain, file, err);
    if (r >= 0)
        r = file_read(signature, KEY_FILE_MAX, &text, NULL, err);
    return r < 0 ? r : order_envelope_add_ssh(envelope, text, err);
}

static int sign_by_ssh(const char *key, const char *domain, const char *statement, cJSON *envelope, Error *err)
{
    _cleanup_(freep) char *folder = NULL;
    _cleanup_(error_done) Error left = {};
    int r = ssh_make_folder(&folder, err);

    if (r < 0)
        return r;
    r = sign_in(folder, key, domain, statement, envelope, err);
    if (dir_remove(folder, &left) < 0)
        fprintf(stderr, "%s: %s\n", PROGRAM, error_message(&left, -EIO));
    return r;
}

static int sign_with(const char *key, const char *domain, const char *statement, cJSON *envelope, Error *err)
{
    _cleanup_(secret_freep) char *text = NULL;
    int r = file_read_followed(key, KEY_FILE_MAX, &text, NULL, err);

    if (r < 0)
        return r;
    return str_starts(text, PEM_BEGIN) && !str_starts(text, PEM_OF_OPENSSH)
               ? sign_by_pem(key, domain, statement, envelope, err)
               : sign_by_ssh(key, domain, statement, envelope, err);
}

/* What every statement holds, beside what it is about. `what` does not own these. */
static int complete(const Fleet *fleet, OrderKind kind, OrderStatement *what, usec_t lifetime, Error *err)
{
    int seconds = (int) (lifetime / USEC_PER_SEC);
    uint64_t confirm = 0;
    int r = fleet_duration(fleet->for_time, "for", LIFETIME_MAX_SECONDS, &seconds, err);

    if (r >= 0)
        r = fleet_number(fleet->confirm_deadline, "confirm-deadline", 1, CONFIRM_SECONDS_MAX, 0, &confirm, err);
    if (r < 0)
        return r;
    what->kind = (char *) (uintptr_t) order_kind_to_string(kind);
    what->reason = (char *) (uintptr_t) fleet->reason;
    what->confirm_seconds = (unsigned) confirm;
    what->serial = realtime_usec();
    /* as it is written: whole milliseconds */
    what->issued = what->serial / USEC_PER_MSEC * USEC_PER_MSEC;
    what->expires = what->issued + (usec_t) seconds * USEC_PER_SEC;
    return 0;
}

int fleet_sign_envelope(const Fleet *fleet, const char *domain, const char *statement, cJSON *envelope, Error *err)
{
    int r = 0;

    for (char *const *key = fleet->keys; *key && r >= 0; key++)
        r = sign_with(*key, domain, statement, envelope, err);
    return r;
}

int fleet_sign(const Fleet *fleet, OrderKind kind, OrderStatement *what, usec_t lifetime, cJSON *request, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *envelope = NULL;
    _cleanup_(freep) char *statement = NULL;

    if (!fleet_signs(fleet))
        return fleet->for_time ? error_set(err, EINVAL, "usage", "--for says how long what --key signs is good") : 0;
    /* boxes of an earlier version take no more signatures */
    if (strv_length(fleet->keys) > ORDER_THRESHOLD_MAX)
        return error_set(err, EINVAL, "usage", "at most %d keys sign an order", ORDER_THRESHOLD_MAX);
    int r = complete(fleet, kind, what, lifetime, err);
    if (r < 0)
        return r;
    statement = order_statement_print(what);
    if (statement && strlen(statement) > ORDER_STATEMENT_MAX)
        return error_set(err, E2BIG, "order.malformed",
                         "an order for so many boxes is too long: start several rollouts by --label");
    envelope = statement ? order_envelope_new(statement, strlen(statement)) : NULL;
    if (!envelope)
        return error_from_errno(err, -ENOMEM, "cannot sign an order");
    r = fleet_sign_envelope(fleet, order_domain(kind), statement, envelope, err);
    return r < 0 ? r : json_add_item(request, "order", TAKE_PTR(envelope));
}
