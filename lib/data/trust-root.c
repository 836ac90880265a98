/* SPDX-License-Identifier: MIT */
#include "lib/data/trust-root.h"

#include <errno.h>
#include <string.h>

#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/json-fields.h"
#include "lib/data/order-envelope.h"

#define KIND "root"
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
/* An operator's clock may be ahead of the box's by this much. */
#define CLOCK_TOLERANCE USEC_PER_HOUR

static const JsonField key_fields[] = {
    { JSON_FIELD(TrustKey, name, "name") },
    { JSON_FIELD(TrustKey, key, "key") },
    { JSON_REST_FIELD(TrustKey, rest) },
    {},
};
static const JsonType key_type = JSON_TYPE(TrustKey, key_fields);

static const JsonField fields[] = {
    { JSON_FIELD(TrustRoot, kind, "kind") },
    { JSON_FIELD(TrustRoot, version, "version") },
    { JSON_FIELD(TrustRoot, devices, "devices") },
    { JSON_TIME_FIELD(TrustRoot, issued, "issuedAt") },
    { JSON_TIME_FIELD(TrustRoot, expires, "expiresAt") },
    { JSON_FIELD(TrustRoot, reason, "reason") },
    { JSON_FIELD(TrustRoot, threshold, "threshold") },
    { JSON_LIST_FIELD(TrustRoot, keys, "keys", &key_type) },
    { JSON_REST_FIELD(TrustRoot, rest) },
    {},
};
static const JsonType root_type = JSON_TYPE(TrustRoot, fields);

static int malformed(Error *err, const char *what)
{
    return error_set(err, EBADMSG, "root.malformed", "the root document cannot be taken: %s", what);
}

bool trust_key_name_is_valid(const char *name)
{
    size_t len = name ? strlen(name) : 0;

    return len > 0 && len <= TRUST_KEY_NAME_MAX && name[0] != '.' && strspn(name, NAME_CHARACTERS) == len;
}

int trust_root_signers(const TrustRoot *root, OrderSigners *ret, Error *err)
{
    int r = 0;

    *ret = (OrderSigners) { .threshold = root->threshold };
    for (size_t i = 0; i < root->n_keys && r == 0; i++) {
        _cleanup_(order_signer_done) OrderSigner signer = {};
        r = order_signer_parse(root->keys[i].key, &signer, err);
        if (r < 0) {
            r = error_prefix(err, r, "the root document's key %s", root->keys[i].name);
            break;
        }
        signer.name = strdup(root->keys[i].name);
        r = signer.name ? order_signers_add(ret, &signer) : -ENOMEM;
        if (r == -EEXIST)
            r = malformed(err, "it names one key twice");
        else if (r < 0)
            error_from_errno(err, r, "cannot read a root document");
    }
    if (r < 0)
        order_signers_done(ret);
    return r;
}

static int check_keys(const TrustRoot *root, Error *err)
{
    _cleanup_(order_signers_done) OrderSigners signers = {};

    if (root->n_keys == 0 || root->n_keys > ORDER_SIGNERS_MAX)
        return malformed(err, "it names no keys, or more than boxes keep");
    if (root->threshold < 1 || root->threshold > ORDER_THRESHOLD_MAX || root->threshold > root->n_keys)
        return malformed(err, "its threshold is not from 1 to the number of its keys, 8 at most");
    for (size_t i = 0; i < root->n_keys; i++) {
        const TrustKey *key = &root->keys[i];
        if (key->rest || !key->key || !trust_key_name_is_valid(key->name))
            return malformed(err, "a key has no name that could be a file's, or is more than name and key");
        for (size_t j = 0; j < i; j++)
            if (str_equal(root->keys[j].name, key->name))
                return malformed(err, "two of its keys have the same name");
    }
    return trust_root_signers(root, &signers, err);
}

static int check_form(const TrustRoot *root, Error *err)
{
    if (root->rest)
        return error_set(err, EBADMSG, "root.malformed",
                         "the root document has the member \"%.40s\", which this version does not know: update the "
                         "box's agent first",
                         root->rest->child && root->rest->child->string ? root->rest->child->string : "");
    if (!str_equal(root->kind, KIND) || root->version == 0 || strv_length(root->devices) == 0)
        return malformed(err, "it lacks its kind, its version or the boxes that it is for");
    if (root->issued == 0 || root->expires <= root->issued || root->expires - root->issued > TRUST_ROOT_LIFETIME_MAX)
        return malformed(err, "it lacks issuedAt or expiresAt, or would be good for more than ten years");
    return check_keys(root, err);
}

int trust_root_read(const char *text, size_t len, TrustRoot *ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    int r = json_parse_object(text, len, &o, err);

    *ret = (TrustRoot) {};
    if (r < 0)
        return r == -ENOMEM ? r : error_prefix(err, -EBADMSG, "the root document cannot be read");
    r = json_read(o, &root_type, ret);
    if (r == -EINVAL)
        r = malformed(err, "a member is of the wrong kind");
    else if (r < 0)
        error_from_errno(err, r, "cannot read a root document");
    else
        r = check_form(ret, err);
    if (r < 0)
        trust_root_done(ret);
    return r;
}

char *trust_root_print(const TrustRoot *root)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_write(&root_type, root);

    return o ? json_print(o) : NULL;
}

void trust_root_done(TrustRoot *root)
{
    json_done(&root_type, root);
}

/* Without the comment, which is for people and would be signed with it. */
static char *bare_key(const char *text)
{
    size_t type = strcspn(text, " \n"), key = text[type] == ' ' ? strcspn(text + type + 1, " \r\n") : 0;

    return strndup(text, key > 0 ? type + 1 + key : type);
}

int trust_root_add_key(TrustRoot *root, const char *name, const char *text, Error *err)
{
    _cleanup_(order_signer_done) OrderSigner signer = {};
    _cleanup_(freep) char *bare = NULL;
    int r = order_signer_parse(text, &signer, err);

    if (r < 0)
        return r;
    if (!trust_key_name_is_valid(name))
        return error_set(err, EBADMSG, "root.malformed",
                         "a key's name has letters, digits, '.', '_' and '-', not \"%.80s\"", name ? name : "");
    bare = bare_key(text);
    TrustKey *key = bare ? json_list_add(&key_type, &root->keys, &root->n_keys) : NULL;
    if (!key || json_set(&key->name, name) < 0 || json_set(&key->key, bare) < 0)
        return error_from_errno(err, -ENOMEM, "make a root document");
    return 0;
}

int trust_root_peek(const cJSON *envelope, TrustRoot *ret, char **ret_text, Error *err)
{
    _cleanup_(freep) uint8_t *text = NULL;
    const char *encoded = json_string(envelope, "statement");
    size_t len = encoded ? strlen(encoded) : 0;

    *ret = (TrustRoot) {};
    if (len == 0 || len > (ORDER_STATEMENT_MAX + 2) / 3 * 4)
        return malformed(err, "it has no statement, or too long a one");
    int r = base64_decode(encoded, len, &text, &len);
    if (r < 0)
        return r == -ENOMEM ? r : malformed(err, "its statement is not Base64");
    r = trust_root_read((const char *) text, len, ret, err);
    if (r == 0 && ret_text)
        *ret_text = (char *) TAKE_PTR(text);
    return r;
}

/* Its own keys have agreed: nobody can be named without knowing, and nobody names keys that do not exist. */
static int check_agreed(const cJSON *envelope, const TrustRoot *root, char **ret_who, Error *err)
{
    _cleanup_(order_signers_done) OrderSigners own = {};
    _cleanup_(error_done) Error why = {};
    _cleanup_(freep) char *text = NULL, *who = NULL;
    size_t len = 0;
    int r = trust_root_signers(root, &own, err);

    if (r < 0)
        return r;
    r = order_envelope_open(envelope, TRUST_ROOT_DOMAIN, &own, &text, &len, &who, &why);
    if (r == -EACCES)
        return error_set(err, EACCES, "root.not-agreed",
                         "%u of the keys that the root document names have to sign it, too: secbox-fleet trust sign",
                         root->threshold);
    if (r < 0)
        return error_set(err, -r, error_id(&why) ? error_id(&why) : "root.malformed", "%s", error_message(&why, r));
    if (ret_who && !*ret_who)
        *ret_who = TAKE_PTR(who);
    return 0;
}

int trust_root_open(const cJSON *envelope, const OrderSigners *before, TrustRoot *ret, char **ret_who, Error *err)
{
    _cleanup_(freep) char *text = NULL, *who = NULL;
    size_t len = 0;
    int r;

    *ret = (TrustRoot) {};
    if (before) {
        r = order_envelope_open(envelope, TRUST_ROOT_DOMAIN, before, &text, &len, &who, err);
        if (r == 0)
            r = trust_root_read(text, len, ret, err);
    } else {
        r = trust_root_peek(envelope, ret, NULL, err);
    }
    if (r < 0)
        return r;
    r = check_agreed(envelope, ret, &who, err);
    if (r < 0)
        trust_root_done(ret);
    else if (ret_who)
        *ret_who = TAKE_PTR(who);
    return r;
}

static int check_time(const TrustRoot *root, const OrderView *view, Error *err)
{
    char at[TIMESTAMP_SIZE], here[TIMESTAMP_SIZE];

    if (!view->clock_is_known)
        return 0;
    if (view->now > root->expires)
        return error_set(err, EACCES, "root.expired",
                         "the root document was good until %s, and here it is %s: make and sign a newer one",
                         timestamp_format(root->expires, at), timestamp_format(view->now, here));
    if (root->issued > view->now + CLOCK_TOLERANCE)
        return error_set(err, EACCES, "root.not-yet",
                         "the root document was made at %s, and here it is %s: set the clock of the operator's "
                         "machine, and make it anew",
                         timestamp_format(root->issued, at), timestamp_format(view->now, here));
    return 0;
}

int trust_root_check(const TrustRoot *root, const OrderView *view, uint64_t floor, Error *err)
{
    if (!strv_contains(root->devices, ORDER_ANY_BOX) && (!view->device || !strv_contains(root->devices, view->device)))
        return error_set(err, EACCES, "root.other-box", "the root document is for '%.64s'%s, and this is '%s'",
                         root->devices[0], strv_length(root->devices) > 1 ? " and others" : "",
                         view->device ? view->device : "");
    if (root->version <= floor)
        return error_set(err, EACCES, "root.older",
                         "this is version %llu of the root document, and this box has taken version %llu: make one "
                         "with a higher version",
                         (unsigned long long) root->version, (unsigned long long) floor);
    if (root->version - floor > TRUST_ROOT_STEP_MAX)
        return error_set(err, EACCES, "root.jump",
                         "the version of the root document, %llu, is more than %d above the one that this box has "
                         "taken, %llu: make one with a lower version",
                         (unsigned long long) root->version, TRUST_ROOT_STEP_MAX, (unsigned long long) floor);
    return check_time(root, view, err);
}
