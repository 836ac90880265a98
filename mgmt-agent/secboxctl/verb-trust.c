/* SPDX-License-Identifier: MIT */
/* trust list, add, remove, threshold: whose signed orders this box takes. The agent reads the folder at each order. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "lib/cli/table.h"
#include "lib/data/trust.h"
#include "mgmt-agent/secboxctl/secboxctl.h"

#define NOBODY                                                                                                         \
    "No signers are pinned: this box takes orders of whomever the gateway has let in.\n"                               \
    "`secboxctl trust add FILE.pub` ends that; `secbox-fleet keygen` makes a key.\n"

static int check_name(const char *name, Error *err)
{
    return trust_key_name_is_valid(name)
               ? 0
               : error_set(err, EINVAL, "usage", "a signer's name has letters, digits, '.', '_' and '-', not \"%s\"",
                           name);
}

static char *path_of(const char *name)
{
    _cleanup_(freep) char *relative = str_format(SIGNERS_DIR "/%s" ORDER_SIGNER_SUFFIX, name);

    return relative ? path_in_root(relative) : NULL;
}

static int write_threshold(unsigned threshold, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(SIGNERS_DIR "/" ORDER_THRESHOLD_NAME),
                          *text = str_format("%u\n", threshold);

    if (!path || !text)
        return error_from_errno(err, -ENOMEM, "change the signers");
    return threshold > 1 ? file_write_atomic(path, text, strlen(text), 0644, (uid_t) -1, (gid_t) -1, err)
                         : file_remove(path, err);
}

int secboxctl_add_signers(cJSON *o, const char *member, const OrderSigners *signers)
{
    cJSON *list = cJSON_AddArrayToObject(o, member);

    for (size_t i = 0; i < signers->n; i++) {
        const OrderSigner *s = &signers->list[i];
        cJSON *entry = cJSON_CreateObject();
        if (json_append(list, entry) < 0 || json_add_string(entry, "name", s->name) < 0 ||
            json_add_string(entry, "keyId", s->fingerprint) < 0 || json_add_bool(entry, "hardware", s->application) < 0)
            return -ENOMEM;
    }
    return list ? 0 : -ENOMEM;
}

char *secboxctl_signers_table(const OrderSigners *signers)
{
    static const char *const headers[] = { "NAME", "KEY", "KIND", NULL };
    _cleanup_(table_freep) Table *t = table_new(headers);

    for (size_t i = 0; i < signers->n; i++) {
        const OrderSigner *s = &signers->list[i];
        if (!t || table_row(t, s->name, s->fingerprint, s->application ? "hardware" : "file") < 0)
            return NULL;
    }
    return t ? table_print(t, 0) : NULL;
}

static cJSON *describe(const Trust *trust)
{
    const OrderSigners *signers = &trust->signers;
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || secboxctl_add_signers(o, "signers", signers) < 0 ||
        json_add_int(o, "threshold", (int) signers->threshold) < 0 ||
        (trust->root.version > 0 && json_add_u64(o, "rootVersion", trust->root.version) < 0))
        return NULL;
    return TAKE_PTR(o);
}

static char *print(const Trust *trust)
{
    const OrderSigners *signers = &trust->signers;
    _cleanup_(freep) char *table = NULL;

    if (signers->n == 0)
        return strdup(NOBODY);
    table = secboxctl_signers_table(signers);
    if (!table || trust->root.version == 0)
        return table ? str_format("%s%u of them must sign an order\n", table, signers->threshold) : NULL;
    return str_format("%s%u of them must sign an order, as version %llu of the root document says\n", table,
                      signers->threshold, (unsigned long long) trust->root.version);
}

/* What is pinned now, after whatever was `done`: a word, or NULL. */
static int show(const Secboxctl *ctl, const char *done, Error *err, int r)
{
    _cleanup_(trust_done) Trust trust = {};
    _cleanup_(cJSON_Deletep) cJSON *document = NULL;

    if (r >= 0) {
        r = trust_load(&trust, err);
        if (r < 0 && done) /* one of several steps that mend a folder */
            r = error_prefix(err, r, "%s, and something is still wrong", done);
    }
    if (r < 0)
        return secboxctl_fail(ctl, err, r);
    if (!ctl->json)
        return report_text(print(&trust), EXIT_OK);
    document = describe(&trust);
    return document ? report_json(document, EXIT_OK) : secboxctl_fail(ctl, NULL, -ENOMEM);
}

int verb_trust_list(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(error_done) Error err = {};

    (void) argc;
    (void) argv;
    return show(ctl, NULL, &err, 0);
}

/* What is written beside a root document counts for nobody. */
static int check_no_root(Error *err)
{
    _cleanup_(freep) char *path = path_in_root(SIGNERS_DIR "/" TRUST_ROOT_NAME);

    if (!path)
        return error_from_errno(err, -ENOMEM, "change the signers");
    return access(path, F_OK) < 0 && errno == ENOENT
               ? 0
               : error_set(err, EPERM, "root.in-force",
                           "a root document says whose orders count (secboxctl trust root): send the box a newer one, "
                           "or end it here by secboxctl trust root forget");
}

/* FILE.pub and ana.pub are FILE and ana. */
static char *name_of(const char *file)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file;
    size_t len = strlen(name), suffix = strlen(ORDER_SIGNER_SUFFIX);

    return strndup(name, str_ends(name, ORDER_SIGNER_SUFFIX) ? len - suffix : len);
}

static int check_new(const char *text, const char *name, Error *err)
{
    _cleanup_(order_signers_done) OrderSigners signers = {};
    _cleanup_(order_signer_done) OrderSigner signer = {};
    int r = order_signer_parse(text, &signer, err);

    if (r >= 0)
        r = order_signers_load_keys(&signers, err);
    if (r < 0)
        return r;
    const OrderSigner *same = order_signers_find(&signers, signer.fingerprint);
    if (same)
        return error_set(err, EEXIST, "signer.twice", "this key is pinned already, as %s", same->name);
    for (size_t i = 0; i < signers.n; i++)
        if (str_equal(signers.list[i].name, name))
            return error_set(err, EEXIST, "signer.twice",
                             "%s is pinned already with another key: give a name behind the file", name);
    return signers.n < ORDER_SIGNERS_MAX
               ? 0
               : error_set(err, E2BIG, "signer.too-many", "%d signers are pinned already", ORDER_SIGNERS_MAX);
}

static int add(const char *file, const char *given, Error *err)
{
    _cleanup_(freep) char *name = given ? strdup(given) : name_of(file), *text = NULL,
                          *path = name ? path_of(name) : NULL, *folder = path_in_root(SIGNERS_DIR);
    int r = path && folder ? check_name(name, err) : error_from_errno(err, -ENOMEM, "add a signer");

    if (r >= 0)
        r = check_no_root(err);
    if (r >= 0)
        r = file_read_followed(file, SSH_PUBLIC_KEY_MAX, &text, NULL, err);
    if (r >= 0)
        r = check_new(text, name, err);
    if (r >= 0)
        r = dir_make(folder, 0755, (uid_t) -1, (gid_t) -1, err);
    return r < 0 ? r : file_write_atomic(path, text, strlen(text), 0644, (uid_t) -1, (gid_t) -1, err);
}

int verb_trust_add(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(error_done) Error err = {};
    int denied = secboxctl_fail_unless_root(ctl);

    return denied ? denied : show(ctl, "the signer is added", &err, add(argv[0], argc > 1 ? argv[1] : NULL, &err));
}

static int remove_signer(const char *name, Error *err)
{
    _cleanup_(order_signers_done) OrderSigners signers = {};
    _cleanup_(freep) char *path = path_of(name);
    bool there = false;
    int r = check_name(name, err);

    if (r >= 0)
        r = check_no_root(err);
    if (r >= 0)
        r = path ? order_signers_load(&signers, err) : error_from_errno(err, -ENOMEM, "remove a signer");
    if (r < 0)
        return r;
    for (size_t i = 0; i < signers.n; i++)
        there = there || str_equal(signers.list[i].name, name);
    if (!there)
        return error_set(err, ENOENT, "signer.unknown", "no signer is pinned as %s: see secboxctl trust list", name);
    if (signers.n > 1 && signers.n - 1 < signers.threshold)
        return error_set(
            err, EINVAL, "signer.bad-threshold",
            "%u signers must sign an order, and fewer would be left: add one, or lower it by secboxctl trust threshold",
            signers.threshold);
    if (signers.n == 1) /* nobody is left: first what would make the folder a fault */
        r = write_threshold(1, err);
    return r < 0 ? r : file_remove(path, err);
}

int verb_trust_remove(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(error_done) Error err = {};
    int denied = secboxctl_fail_unless_root(ctl);

    (void) argc;
    return denied ? denied : show(ctl, "the signer is removed", &err, remove_signer(argv[0], &err));
}

static int set_threshold(const char *text, Error *err)
{
    _cleanup_(order_signers_done) OrderSigners signers = {};
    uint64_t threshold = 0;
    int r = check_no_root(err);

    if (r >= 0)
        r = order_signers_load_keys(&signers, err);
    if (r < 0)
        return r;
    /* 1 needs no keys: it takes the file away that asks for more than there are */
    if (str_to_u64(text, 1, ORDER_THRESHOLD_MAX, &threshold) < 0 || (threshold > 1 && threshold > signers.n))
        return error_set(err, EINVAL, "signer.bad-threshold",
                         "the threshold is from 1 to the number of signers, %zu here and %d at most", signers.n,
                         ORDER_THRESHOLD_MAX);
    return write_threshold((unsigned) threshold, err);
}

int verb_trust_threshold(int argc, char **argv, void *userdata)
{
    const Secboxctl *ctl = secboxctl_begin(userdata);
    _cleanup_(error_done) Error err = {};
    int denied = secboxctl_fail_unless_root(ctl);

    (void) argc;
    return denied ? denied : show(ctl, "the threshold is set", &err, set_threshold(argv[0], &err));
}
