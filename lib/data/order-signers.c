/* SPDX-License-Identifier: MIT */
#include "lib/data/order-signers.h"

#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define THRESHOLD_SIZE_MAX 16

DEFINE_CLEANUP(DIR, closedir)

void order_signers_done(OrderSigners *s)
{
    for (size_t i = 0; i < s->n; i++)
        order_signer_done(&s->list[i]);
    free(s->list);
    *s = (OrderSigners) {};
}

const OrderSigner *order_signers_find(const OrderSigners *s, const char *fingerprint)
{
    for (size_t i = 0; i < s->n; i++)
        if (str_equal(s->list[i].fingerprint, fingerprint))
            return &s->list[i];
    return NULL;
}

int order_signers_add(OrderSigners *s, OrderSigner *signer)
{
    if (order_signers_find(s, signer->fingerprint))
        return -EEXIST;
    OrderSigner *list = reallocarray(s->list, s->n + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    s->list = list;
    s->list[s->n++] = *signer;
    *signer = (OrderSigner) {};
    return 0;
}

/* Whoever else may write there could name himself. */
int order_signers_check_place(const char *path, Error *err)
{
    struct stat st;

    if (lstat(path, &st) < 0)
        return error_set(err, errno, "signer.unreadable", "%s cannot be looked at: %s", path, strerror(errno));
    if (S_ISLNK(st.st_mode))
        return error_set(err, ELOOP, "signer.bad-mode", "%s is a link: put what it leads to there itself", path);
    if ((st.st_uid != 0 && st.st_uid != geteuid()) || (st.st_mode & 022))
        return error_set(err, EPERM, "signer.bad-mode",
                         "others than root may change %s: chown root: %s && chmod go-w %s", path, path, path);
    return 0;
}

static int read_file(const char *folder, const char *name, size_t max, char **ret, Error *err)
{
    _cleanup_(error_done) Error why = {};
    _cleanup_(freep) char *path = path_join(folder, name);
    int r = path ? order_signers_check_place(path, err) : error_from_errno(err, -ENOMEM, "cannot read the signers");

    if (r < 0)
        return r;
    r = file_read(path, max, ret, NULL, &why);
    return r < 0 ? error_set(err, -r, "signer.unreadable", "%s", error_message(&why, r)) : 0;
}

static int add_file(OrderSigners *s, const char *folder, const char *name, Error *err)
{
    _cleanup_(order_signer_done) OrderSigner signer = {};
    _cleanup_(freep) char *text = NULL;
    int r = s->n < ORDER_SIGNERS_MAX
                ? read_file(folder, name, SSH_PUBLIC_KEY_MAX, &text, err)
                : error_set(err, E2BIG, "signer.too-many", "%s names more than %d signers", folder, ORDER_SIGNERS_MAX);
    if (r >= 0)
        r = order_signer_parse(text, &signer, err);
    if (r < 0)
        return error_prefix(err, r, "%s/%s", folder, name);
    signer.name = strndup(name, strlen(name) - strlen(ORDER_SIGNER_SUFFIX));
    r = signer.name ? order_signers_add(s, &signer) : -ENOMEM;
    if (r == -EEXIST)
        return error_set(err, EEXIST, "signer.twice", "%s/%s is a key that another file there has: remove one", folder,
                         name);
    return r < 0 ? error_from_errno(err, r, "cannot read the signers") : 0;
}

static int read_threshold(OrderSigners *s, const char *folder, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    uint64_t threshold = 0;
    int r = read_file(folder, ORDER_THRESHOLD_NAME, THRESHOLD_SIZE_MAX, &text, err);

    if (r < 0)
        return r;
    text[strcspn(text, "\n")] = '\0';
    if (str_to_u64(text, 1, ORDER_THRESHOLD_MAX, &threshold) < 0)
        return error_set(err, EINVAL, "signer.bad-threshold",
                         "%s/" ORDER_THRESHOLD_NAME " must be a number from 1 to %d", folder, ORDER_THRESHOLD_MAX);
    s->threshold = (unsigned) threshold;
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const OrderSigner *) a)->name, ((const OrderSigner *) b)->name);
}

static int read_folder(DIR *dir, const char *folder, bool keys_alone, OrderSigners *s, Error *err)
{
    int r = order_signers_check_place(folder, err);

    while (r >= 0) {
        errno = 0;
        const struct dirent *e = readdir(dir);
        if (!e && errno != 0)
            r = error_set(err, errno, "signer.unreadable", "%s cannot be read: %s", folder, strerror(errno));
        if (!e)
            break;
        if (e->d_name[0] == '.')
            continue;
        if (str_equal(e->d_name, ORDER_THRESHOLD_NAME))
            r = keys_alone ? 0 : read_threshold(s, folder, err);
        else if (str_ends(e->d_name, ORDER_SIGNER_SUFFIX))
            r = add_file(s, folder, e->d_name, err);
    }
    if (r >= 0 && s->threshold > s->n)
        r = error_set(err, EINVAL, "signer.bad-threshold",
                      "%s asks for %u signers and names %zu: no order could ever come through; add keys by `secboxctl "
                      "trust add`, or lower it by `secboxctl trust threshold %zu`",
                      folder, s->threshold, s->n, s->n > 0 ? s->n : 1);
    return r;
}

static int load(bool keys_alone, OrderSigners *ret, Error *err)
{
    _cleanup_(freep) char *folder = path_in_root(SIGNERS_DIR);
    _cleanup_(closedirp) DIR *dir = folder ? opendir(folder) : NULL;

    *ret = (OrderSigners) {};
    if (!folder)
        return error_from_errno(err, -ENOMEM, "cannot read the signers");
    if (!dir && errno == ENOENT)
        return 0;
    if (!dir)
        return error_set(err, errno, "signer.unreadable", "%s cannot be read: %s", folder, strerror(errno));
    int r = read_folder(dir, folder, keys_alone, ret, err);
    if (r < 0) {
        order_signers_done(ret);
        return r;
    }
    if (ret->n > 0)
        qsort(ret->list, ret->n, sizeof(*ret->list), by_name);
    if (ret->threshold == 0)
        ret->threshold = 1;
    return 0;
}

int order_signers_load(OrderSigners *ret, Error *err)
{
    return load(false, ret, err);
}

int order_signers_load_keys(OrderSigners *ret, Error *err)
{
    return load(true, ret, err);
}
