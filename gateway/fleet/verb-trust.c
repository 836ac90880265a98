/* SPDX-License-Identifier: MIT */
/* trust make, sign, show, send: the root document (lib/data/trust-root.h), from the keys to the boxes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/fleet/show.h"
#include "gateway/fleet/sign.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"
#include "lib/data/json-fields.h"
#include "lib/data/order-envelope.h"
#include "lib/data/trust.h"

#define LIFETIME_DEFAULT_SECONDS (3 * 366 * 86400)
#define LIFETIME_MAX_SECONDS 315576000

/* A document as it is in its file, and what it says. */
typedef struct Document {
    cJSON *envelope;
    char *text;
    TrustRoot root;
} Document;

static void document_done(Document *d)
{
    cJSON_Delete(d->envelope);
    free(d->text);
    trust_root_done(&d->root);
}

static int read_document(const char *path, Document *ret, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;
    int r = file_read_followed(path, TRUST_ROOT_FILE_MAX, &text, &len, err);

    if (r >= 0)
        r = json_parse_object(text, len, &ret->envelope, err);
    if (r >= 0)
        r = trust_root_peek(ret->envelope, &ret->root, &ret->text, err);
    return r < 0 ? error_prefix(err, r, "%s", path) : 0;
}

static int write_document(const char *path, const cJSON *envelope, Error *err)
{
    _cleanup_(freep) char *text = json_print_pretty(envelope), *line = text ? str_format("%s\n", text) : NULL;

    if (!line)
        return error_from_errno(err, -ENOMEM, "write a root document");
    return file_write_atomic(path, line, strlen(line), 0644, (uid_t) -1, (gid_t) -1, err);
}

/* FOLDER/ana.pub is ana. */
static char *name_of(const char *file)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    size_t len = strlen(name), suffix = strlen(ORDER_SIGNER_SUFFIX);

    return strndup(name, str_ends(name, ORDER_SIGNER_SUFFIX) ? len - suffix : len);
}

static int add_key(TrustRoot *root, const char *file, Error *err)
{
    _cleanup_(freep) char *text = NULL, *name = name_of(file);
    int r = name ? file_read_followed(file, SSH_PUBLIC_KEY_MAX, &text, NULL, err)
                 : error_from_errno(err, -ENOMEM, "make a root document");

    if (r >= 0)
        r = trust_root_add_key(root, name, text, err);
    return r < 0 ? error_prefix(err, r, "%s", file) : 0;
}

static int add_boxes(Fleet *fleet, TrustRoot *root, ApiReply *reply, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *labels = cJSON_CreateObject();
    int r = labels ? 0 : -ENOMEM;

    for (char *const *id = fleet->devices; r >= 0 && id && *id; id++)
        r = strv_add(&root->devices, *id);
    if (r >= 0 && fleet->label)
        r = fleet_labels(fleet->label, labels, err);
    if (r >= 0 && fleet->label)
        r = fleet_find_boxes(fleet, labels, &root->devices, reply, err);
    if (r >= 0 && strv_length(root->devices) == 0)
        r = strv_add(&root->devices, ORDER_ANY_BOX);
    return r < 0 ? error_from_errno(err, r, "make a root document") : 0;
}

static int set_numbers(const Fleet *fleet, TrustRoot *root, Error *err)
{
    _cleanup_(document_done) Document before = {};
    int seconds = LIFETIME_DEFAULT_SECONDS;
    uint64_t threshold = 1;
    int r = fleet->root ? read_document(fleet->root, &before, err) : 0;

    if (r >= 0)
        r = fleet_number(fleet->threshold, "threshold", 1, ORDER_THRESHOLD_MAX, 1, &threshold, err);
    if (r >= 0)
        r = fleet_number(fleet->number, "number", 1, INT64_MAX, before.root.version + 1, &root->version, err);
    if (r >= 0)
        r = fleet_duration(fleet->for_time, "for", LIFETIME_MAX_SECONDS, &seconds, err);
    root->threshold = (unsigned) threshold;
    root->issued = realtime_usec() / USEC_PER_MSEC * USEC_PER_MSEC; /* as it is written */
    root->expires = root->issued + (usec_t) seconds * USEC_PER_SEC;
    return r;
}

static int fill(Fleet *fleet, int n_keys, char *const *keys, TrustRoot *root, ApiReply *reply, Error *err)
{
    int r = set_numbers(fleet, root, err);

    if (r >= 0 && (json_set(&root->kind, "root") < 0 || json_set(&root->reason, fleet->reason) < 0))
        r = error_from_errno(err, -ENOMEM, "make a root document");
    for (int i = 0; i < n_keys && r >= 0; i++)
        r = add_key(root, keys[i], err);
    return r < 0 ? r : add_boxes(fleet, root, reply, err);
}

/* Read back as boxes read it: a document that none takes is not written. */
static int make(Fleet *fleet, int argc, char **argv, ApiReply *reply, Document *ret, Error *err)
{
    _cleanup_(trust_root_done) TrustRoot root = {};
    _cleanup_(freep) char *text = NULL;
    int r = access(argv[0], F_OK) == 0 /* it may hold somebody's signature */
                ? error_set(err, EEXIST, "root.exists", "%s is there already: name another file", argv[0])
                : fill(fleet, argc - 1, argv + 1, &root, reply, err);

    if (r < 0)
        return r;
    text = trust_root_print(&root);
    ret->envelope = text ? order_envelope_new(text, strlen(text)) : NULL;
    if (!ret->envelope)
        return error_from_errno(err, -ENOMEM, "make a root document");
    r = trust_root_peek(ret->envelope, &ret->root, &ret->text, err);
    return r < 0 ? r : write_document(argv[0], ret->envelope, err);
}

/* Who of its own keys has signed it: a new string, "" when nobody has. Others may have, whom only boxes know. */
static char *own_signers(const Document *d)
{
    _cleanup_(order_signers_done) OrderSigners own = {};
    _cleanup_(freep) char *text = NULL, *who = NULL;
    size_t len = 0;

    if (trust_root_signers(&d->root, &own, NULL) < 0)
        return NULL;
    own.threshold = 1;
    return order_envelope_open(d->envelope, TRUST_ROOT_DOMAIN, &own, &text, &len, &who, NULL) < 0 ? strdup("")
                                                                                                  : TAKE_PTR(who);
}

static int add_members(cJSON *o, const Document *d, const char *own)
{
    char expires[TIMESTAMP_SIZE];
    const cJSON *signatures = cJSON_GetObjectItemCaseSensitive(d->envelope, "signatures");
    cJSON *document = NULL;
    int r = json_parse_object(d->text, strlen(d->text), &document, NULL);

    if (r < 0 || json_add_item(o, "document", document) < 0 || json_add_u64(o, "version", d->root.version) < 0 ||
        json_add_string(o, "expiresAt", timestamp_format(d->root.expires, expires)) < 0 ||
        json_add_int(o, "threshold", (int) d->root.threshold) < 0 || json_add_string(o, "agreedBy", own) < 0)
        return -ENOMEM;
    return json_add_int(o, "signatures", cJSON_GetArraySize(signatures));
}

static char *document_table(const Document *d)
{
    static const char *const headers[] = { "NAME", "KEY", "KIND", NULL };
    _cleanup_(order_signers_done) OrderSigners own = {};
    _cleanup_(table_freep) Table *t = table_new(headers);

    if (!t || trust_root_signers(&d->root, &own, NULL) < 0)
        return NULL;
    for (size_t i = 0; i < own.n; i++)
        if (table_row(t, own.list[i].name, own.list[i].fingerprint, own.list[i].application ? "hardware" : "file") < 0)
            return NULL;
    return table_print(t, 0);
}

static char *document_text(const Document *d, const char *own)
{
    _cleanup_(freep) char *table = document_table(d), *boxes = strv_join(d->root.devices, ", "),
                          *reason = text_printable(d->root.reason ? d->root.reason : "-"),
                          *shown = boxes ? text_printable(boxes) : NULL;
    const cJSON *signatures = cJSON_GetObjectItemCaseSensitive(d->envelope, "signatures");
    char issued[TIMESTAMP_SIZE], expires[TIMESTAMP_SIZE];

    if (!table || !shown || !reason)
        return NULL;
    return str_format("version     %llu\nmade        %s\ngood until  %s\nreason      %s\nfor         %s\n\n"
                      "%s%u of them must sign an order.\n"
                      "Of these keys, %s signed the document; %d signatures in all. Boxes want %u of these, and enough "
                      "of those that they trust now.\n",
                      (unsigned long long) d->root.version, timestamp_format(d->root.issued, issued),
                      timestamp_format(d->root.expires, expires), reason,
                      str_equal(shown, ORDER_ANY_BOX) ? "every box" : shown, table, d->root.threshold,
                      *own ? own : "none has", cJSON_GetArraySize(signatures), d->root.threshold);
}

static int show_document(const Fleet *fleet, const Document *d)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(freep) char *own = own_signers(d);

    if (!own || !o || add_members(o, d, own) < 0)
        return fleet_fail(fleet, NULL, NULL, -ENOMEM);
    return fleet->json ? report_json(o, EXIT_OK) : report_text(document_text(d, own), EXIT_OK);
}

int verb_trust_make(int argc, char **argv, void *userdata)
{
    Fleet *fleet = userdata;
    _cleanup_(document_done) Document d = {};
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    int r = make(fleet, argc, argv, &reply, &d, &err);

    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : show_document(fleet, &d);
}

static int sign(const Fleet *fleet, const char *path, Document *d, Error *err)
{
    int r =
        fleet_signs(fleet) ? read_document(path, d, err) : error_set(err, EINVAL, "usage", "--key says with which key");

    if (r >= 0 && (size_t) cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(d->envelope, "signatures")) +
                          strv_length(fleet->keys) >
                      ORDER_SIGNATURES_MAX)
        r = error_set(err, E2BIG, "root.malformed", "at most %d signatures are taken", ORDER_SIGNATURES_MAX);
    if (r >= 0)
        r = fleet_sign_envelope(fleet, TRUST_ROOT_DOMAIN, d->text, d->envelope, err);
    return r < 0 ? r : write_document(path, d->envelope, err);
}

int verb_trust_sign(int argc _unused_, char **argv, void *userdata)
{
    const Fleet *fleet = userdata;
    _cleanup_(document_done) Document d = {};
    _cleanup_(error_done) Error err = {};
    int r = sign(fleet, argv[0], &d, &err);

    return r < 0 ? fleet_fail(fleet, NULL, &err, r) : show_document(fleet, &d);
}

static int add_rows(Table *t, const cJSON *root)
{
    _cleanup_(freep) char *version = report_member(root, "version"), *at = report_member(root, "sentAt");
    const cJSON *box;

    cJSON_ArrayForEach(box, cJSON_GetObjectItemCaseSensitive(root, "boxes")) {
        const cJSON *error = cJSON_GetObjectItemCaseSensitive(box, "error");
        _cleanup_(freep) char *why = cJSON_IsObject(error) ? report_error(error) : NULL;
        if (table_row(t, version, at, json_string(box, "device"), json_string(box, "state"), json_string(box, "at"),
                      why) < 0)
            return -ENOMEM;
    }
    return 0;
}

static char *sent_text(const cJSON *roots)
{
    static const char *const headers[] = { "VERSION", "SENT", "BOX", "STATE", "SINCE", "WHY", NULL };
    _cleanup_(table_freep) Table *t = table_new(headers);
    const cJSON *root;

    if (cJSON_GetArraySize(roots) == 0)
        return strdup("no root document was sent yet\n");
    cJSON_ArrayForEach(root, roots)
        if (!t || add_rows(t, root) < 0)
            return NULL;
    return t ? table_print(t, 0) : NULL;
}

int verb_trust_show(int argc, char **argv, void *userdata)
{
    static const FleetView view = { .member = "roots", .text = sent_text };
    Fleet *fleet = userdata;
    _cleanup_(document_done) Document d = {};
    _cleanup_(error_done) Error err = {};

    if (argc == 0)
        return fleet_show(fleet, "GET", strdup("/v1/trust/roots"), NULL, &view);
    int r = read_document(argv[0], &d, &err);
    return r < 0 ? fleet_fail(fleet, NULL, &err, r) : show_document(fleet, &d);
}

static int make_request(const Fleet *fleet, int n, char *const *devices, Document *d, cJSON *request, Error *err)
{
    cJSON *labels = cJSON_CreateObject(), *list = n > 0 ? cJSON_CreateArray() : NULL;
    int r = json_add_item(request, "labels", labels);

    if (r >= 0)
        r = fleet_labels(fleet->label, labels, err);
    if (r >= 0 && n > 0)
        r = json_add_item(request, "devices", list);
    for (int i = 0; i < n && r >= 0; i++)
        r = json_append(list, cJSON_CreateString(devices[i]));
    if (r >= 0)
        r = json_add_item(request, "order", TAKE_PTR(d->envelope));
    return r < 0 ? error_from_errno(err, r, "make a request") : 0;
}

static char *boxes_text(const cJSON *boxes)
{
    int n = cJSON_GetArraySize(boxes);

    return str_format("it is on its way to %d box%s; `%s trust show` shows what they say\n", n, n == 1 ? "" : "es",
                      PROGRAM);
}

int verb_trust_send(int argc, char **argv, void *userdata)
{
    static const FleetView view = { .member = "boxes", .text = boxes_text };
    Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *request = cJSON_CreateObject();
    _cleanup_(document_done) Document d = {};
    _cleanup_(error_done) Error err = {};
    int r = argc > 1 || fleet->label
                ? read_document(argv[0], &d, &err)
                : error_set(&err, EINVAL, "usage", "name boxes, or give --label; --label '' is every box");

    if (r >= 0)
        r = request ? make_request(fleet, argc - 1, argv + 1, &d, request, &err) : -ENOMEM;
    return r < 0 ? fleet_fail(fleet, NULL, &err, r)
                 : fleet_show(fleet, "POST", strdup("/v1/trust/roots"), request, &view);
}
