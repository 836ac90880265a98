/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>

#include "env/env-rules.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/finding-clock.h"
#include "lib/data/digest.h"
#include "lib/data/order-envelope.h"
#include "lib/data/trust.h"
#include "lib/http/client.h"
#include "mgmt-agent/secboxctl/release.h"

#define ORDER_SUFFIX ".order"
#define ORDER_FILE_MAX (160 * 1024)
#define FETCH_TIMEOUT (30 * USEC_PER_MINUTE)
#define STALL_TIMEOUT USEC_PER_MINUTE
#define HTTP_FOUND 200
#define HTTP_NOT_FOUND 404

void release_archive_done(ReleaseInput *a)
{
    free(a->data);
    free(a->order);
    *a = (ReleaseInput) {};
}

/* What the box was told of this key; a new string, or NULL. */
static char *told(const char *key)
{
    static const struct {
        EnvFileKind kind;
        const char *path;
    } files[] = { { ENV_AGENT, AGENT_ENV_PATH }, { ENV_SECBOX, SECBOX_ENV_PATH } };

    for (size_t i = 0; i < ELEMENTSOF(files); i++) {
        _cleanup_(freep) char *path = path_in_root(files[i].path);
        _cleanup_(env_freep) EnvFile *env = NULL;
        const char *value = path && env_load_kind(files[i].kind, path, &env, NULL) >= 0 ? env_get(env, key) : NULL;

        if (!str_empty(value))
            return strdup(value);
    }
    return NULL;
}

/* *ret is NULL where the server does not have it. */
static int fetch(const char *url, size_t max, char **ret, size_t *ret_len, Error *err)
{
    _cleanup_(freep) char *ca_file = told("CLOUD_CA_FILE");
    _cleanup_(http_response_done) HttpResponse response = {};
    const HttpRequest request = {
        .url = url,
        .ca_file = ca_file,
        .timeout_usec = FETCH_TIMEOUT,
        .stall_usec = STALL_TIMEOUT,
        .response_max = max,
    };
    int r = http_run(&request, &response, err);

    if (r < 0)
        return r;
    if (response.status != HTTP_FOUND && response.status != HTTP_NOT_FOUND)
        return error_set(err, EREMOTEIO, "release.unreachable", "%s answers with HTTP status %d", url, response.status);
    *ret = response.status == HTTP_FOUND ? TAKE_PTR(response.body) : NULL;
    *ret_len = response.body_len;
    return 0;
}

static int get_by_url(const char *url, ReleaseInput *a, Error *err)
{
    _cleanup_(freep) char *order = str_format("%s" ORDER_SUFFIX, url);
    _cleanup_(trust_done) Trust trust = {};
    size_t len = 0;
    int r = order ? url_check(url, "https,http", err) : -ENOMEM;

    if (r >= 0)
        r = trust_load(&trust, err);
    if (r >= 0 && str_starts(url, "http:") && trust.signers.n == 0)
        r = error_set(err, EACCES, "release.plain-http",
                      "over http anybody on the way could have changed it, and no signers are pinned on this box who "
                      "would vouch for it: take https, or a file");
    if (r >= 0)
        r = fetch(url, BUNDLE_CONTENT_MAX, &a->data, &a->len, err);
    if (r >= 0 && !a->data)
        r = error_set(err, ENOENT, "release.unreachable", "there is nothing at %s", url);
    return r < 0 ? r : fetch(order, ORDER_FILE_MAX, &a->order, &len, err);
}

static int get_file(const char *path, ReleaseInput *a, Error *err)
{
    _cleanup_(freep) char *order = str_format("%s" ORDER_SUFFIX, path);
    _cleanup_(error_done) Error why = {};
    int r = order ? file_read_followed(path, BUNDLE_CONTENT_MAX, &a->data, &a->len, err) : -ENOMEM;

    if (r < 0)
        return r;
    r = file_read_followed(order, ORDER_FILE_MAX, &a->order, NULL, &why);
    return r < 0 && r != -ENOENT ? error_set(err, r, error_id(&why), "%s", error_message(&why, r)) : 0;
}

int release_archive_get(const char *name, ReleaseInput *ret, Error *err)
{
    _cleanup_(release_archive_done) ReleaseInput a = {};
    int r = strstr(name, "://") ? get_by_url(name, &a, err) : get_file(name, &a, err);

    if (r < 0)
        return error_from_errno(err, r, "cannot get the release");
    *ret = a;
    a = (ReleaseInput) {};
    return 0;
}

int release_archive_get_fetched(const char *sha256, ReleaseInput *ret, Error *err)
{
    _cleanup_(freep) char *below = str_format(LINK_BUNDLES_DIR "/%s", sha256),
                          *path = below ? path_in_root(below) : NULL;
    _cleanup_(release_archive_done) ReleaseInput a = {};
    char hex[SHA256_HEX_SIZE];
    int r = path ? file_read(path, BUNDLE_SIZE_MAX, &a.data, &a.len, err) : -ENOMEM;

    if (r < 0)
        return error_from_errno(err, r, "the archive of the release did not come");
    r = sha256_hex(a.data, a.len, hex);
    if (r >= 0 && !str_equal(hex, sha256))
        r = error_set(err, EBADMSG, "release.bad-content", "what came is not the archive that was ordered");
    if (r < 0)
        return r;
    *ret = a;
    a = (ReleaseInput) {};
    return 0;
}

/* What the order has to be about. */
static cJSON *content_of(const ReleaseInput *a)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    char hex[SHA256_HEX_SIZE];

    if (!o || sha256_hex(a->data, a->len, hex) < 0 || json_add_string(o, "sha256", hex) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static int judge(const ReleaseInput *a, const Trust *trust, char **ret_who, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *envelope = NULL, *content = content_of(a);
    _cleanup_(order_statement_done) OrderStatement s = {};
    _cleanup_(freep) char *text = NULL, *device = told("DEVICE_ID"), *who = NULL;
    OrderView view = { .device = device };
    size_t len = 0;
    int r = content ? json_parse_object(a->order, strlen(a->order), &envelope, err) : -ENOMEM;

    view.clock_is_known = clock_known_time(&view.now);
    if (r >= 0)
        r = order_envelope_open(envelope, order_domain(ORDER_KIND_RELEASE), &trust->signers, &text, &len, &who, err);
    if (r >= 0)
        r = trust_check_time(trust, &view, err);
    if (r >= 0)
        r = order_statement_read(text, len, &s, err);
    if (r >= 0)
        r = order_check(&s, ORDER_KIND_RELEASE, content, &view, err);
    if (r >= 0)
        *ret_who = TAKE_PTR(who);
    return r < 0 ? error_from_errno(err, r, "cannot check who has signed the release") : 0;
}

int release_archive_admit(const ReleaseInput *a, char **ret_who, Error *err)
{
    _cleanup_(trust_done) Trust trust = {};
    int r = trust_load(&trust, err);

    *ret_who = NULL;
    if (r < 0 || trust.signers.n == 0)
        return r;
    if (!a->order)
        return error_set(err, EACCES, "release.unsigned",
                         "401: this box takes only releases that are signed by %u of its %zu signers: "
                         "`secbox-fleet sign-release` makes the file " ORDER_SUFFIX " that belongs beside the archive",
                         trust.signers.threshold, trust.signers.n);
    r = judge(a, &trust, ret_who, err);
    return r < 0 ? error_prefix(err, r, "401") : 0;
}
