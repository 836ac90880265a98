/* SPDX-License-Identifier: MIT */
/* trust root: the root document that says whose orders this box takes; shown, taken from a file, forgotten. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "env/env-rules.h"
#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/confirm.h"
#include "lib/cli/finding-clock.h"
#include "lib/cli/report.h"
#include "lib/data/trust-root-store.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define NONE                                                                                                           \
    "No root document is in force: whose orders count is what `secboxctl trust list` shows.\n"                         \
    "`secbox-fleet trust make` makes one.\n"

static int add_devices(cJSON *o, const TrustRoot *root)
{
    cJSON *list = cJSON_AddArrayToObject(o, "devices");

    for (char *const *device = root->devices; device && *device; device++)
        if (json_append(list, cJSON_CreateString(*device)) < 0)
            return -ENOMEM;
    return list ? 0 : -ENOMEM;
}

static int add_record(cJSON *o, const TrustRootRecord *record)
{
    char at[TIMESTAMP_SIZE];

    if (record->at > 0 && json_add_string(o, "takenAt", timestamp_format(record->at, at)) < 0)
        return -ENOMEM;
    return json_add_string(o, "signedBy", record->who) < 0 ? -ENOMEM : json_add_string(o, "cameBy", record->id);
}

static cJSON *describe(const Trust *trust, const TrustRootRecord *record)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    const TrustRoot *root = &trust->root;
    char issued[TIMESTAMP_SIZE], expires[TIMESTAMP_SIZE];

    if (!o || json_add_u64(o, "floor", record->version) < 0)
        return NULL;
    if (root->version == 0)
        return cJSON_AddNullToObject(o, "version") ? TAKE_PTR(o) : NULL;
    if (json_add_u64(o, "version", root->version) < 0 || json_add_int(o, "threshold", (int) root->threshold) < 0 ||
        json_add_string(o, "issuedAt", timestamp_format(root->issued, issued)) < 0 ||
        json_add_string(o, "expiresAt", timestamp_format(root->expires, expires)) < 0 ||
        json_add_string(o, "reason", root->reason) < 0 || json_add_string(o, "agreedBy", trust->root_signed_by) < 0 ||
        secboxctl_add_signers(o, "keys", &trust->signers) < 0 || add_devices(o, root) < 0)
        return NULL;
    return record->version == root->version && add_record(o, record) < 0 ? NULL : TAKE_PTR(o);
}

/* What came by a message of the cloud has its id, and what root brought says so. */
static char *print(const Trust *trust, const cJSON *document)
{
    static const struct {
        const char *label, *member;
    } lines[] = {
        { "version", "version" }, { "good until", "expiresAt" },  { "made", "issuedAt" },
        { "reason", "reason" },   { "agreed to by", "agreedBy" }, { "signed before by", "signedBy" },
        { "came by", "cameBy" },  { "taken", "takenAt" },
    };
    _cleanup_(freep) char *table = NULL, *boxes = strv_join(trust->root.devices, ", ");
    _cleanup_(buf_done) Buf text = BUF_INIT(TRUST_ROOT_FILE_MAX);
    int r = 0;

    if (trust->root.version == 0)
        return strdup(NONE);
    for (size_t i = 0; i < ELEMENTSOF(lines) && r >= 0; i++) {
        _cleanup_(freep) char *value = report_member(document, lines[i].member),
                              *shown = value ? text_printable(value) : NULL;
        if (shown)
            r = buf_printf(&text, "%-18s%s\n", lines[i].label, shown);
    }
    table = secboxctl_signers_table(&trust->signers);
    if (r < 0 || !table || !boxes)
        return NULL;
    r = buf_printf(&text, "%-18s%s\n\n%s%u of them must sign an order\n", "for",
                   str_equal(boxes, ORDER_ANY_BOX) ? "every box" : boxes, table, trust->root.threshold);
    return r < 0 ? NULL : buf_take(&text);
}

static int show(const Secboxctl *ctl, Error *err, int r)
{
    _cleanup_(trust_root_record_done) TrustRootRecord record = {};
    _cleanup_(trust_done) Trust trust = {};
    _cleanup_(cJSON_Deletep) cJSON *document = NULL;

    if (r >= 0)
        r = trust_load(&trust, err);
    if (r >= 0)
        r = trust_root_record_load(&record, err);
    if (r < 0)
        return secboxctl_fail(ctl, err, r);
    document = describe(&trust, &record);
    if (!document)
        return secboxctl_fail(ctl, NULL, -ENOMEM);
    return ctl->json ? report_json(document, EXIT_OK) : report_text(print(&trust, document), EXIT_OK);
}

static char *device_id(void)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_ENV_PATH);
    _cleanup_(env_freep) EnvFile *env = NULL;
    const char *id = path && env_load(path, &env, NULL) >= 0 ? env_get(env, "DEVICE_ID") : NULL;

    return id ? strdup(id) : NULL;
}

/* For a box that no gateway reaches: it is judged as one that came by the cloud. */
static int take(const char *file, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *envelope = NULL;
    _cleanup_(freep) char *text = NULL, *device = device_id();
    OrderView view = { .device = device };
    size_t len = 0;
    view.clock_is_known = clock_known_time(&view.now);
    int r = file_read_followed(file, TRUST_ROOT_FILE_MAX, &text, &len, err);

    if (r >= 0)
        r = json_parse_object(text, len, &envelope, err);
    return r < 0 ? r : trust_root_take(envelope, PROGRAM, &view, err);
}

static int forget(const Secboxctl *ctl, Error *err)
{
    int r = cli_confirm(ctl->yes,
                        "The keys that the root document names stay pinned, and no document as old as it is taken "
                        "again. Forget it?",
                        err);

    return r < 0 ? r : trust_root_forget(err);
}

int verb_trust_root(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(error_done) Error err = {};
    int r = 0, denied = argc > 0 ? secboxctl_fail_unless_root(ctl) : 0;

    if (denied)
        return denied;
    if (argc == 2 && str_equal(argv[0], "take"))
        r = take(argv[1], &err);
    else if (argc == 1 && str_equal(argv[0], "forget"))
        r = forget(ctl, &err);
    else if (argc > 0)
        r = error_set(&err, EINVAL, "usage", "trust root shows the root document; take FILE and forget change it");
    return show(ctl, &err, r);
}
