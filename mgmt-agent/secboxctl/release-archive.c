/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env/env-rules.h"
#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/cli/finding-clock.h"
#include "lib/data/digest.h"
#include "lib/data/order-envelope.h"
#include "lib/data/release-folder.h"
#include "lib/data/trust.h"
#include "lib/http/client.h"
#include "mgmt-agent/secboxctl/release.h"

#define ORDER_SUFFIX ".order"
#define ORDER_FILE_MAX (160 * 1024)
#define FETCH_TIMEOUT (30 * USEC_PER_MINUTE)
#define STALL_TIMEOUT USEC_PER_MINUTE
#define ORDER_TIMEOUT USEC_PER_MINUTE
#define HTTP_FOUND 200
#define HTTP_NOT_FOUND 404

void release_archive_done(ReleaseInput *a)
{
    if (a->fd >= 0)
        close(a->fd);
    free(a->order);
    *a = (ReleaseInput) RELEASE_INPUT_INIT;
}

/* From its first byte on. */
static int rewind_archive(const ReleaseInput *a, Error *err)
{
    return lseek(a->fd, 0, SEEK_SET) == 0 ? 0 : error_from_errno(err, -errno, "cannot read the release");
}

/* What is judged is a copy that nobody else can change. */
static int take_copy(int from, ReleaseInput *a, Error *err)
{
    a->fd = release_archive_open(err);
    if (a->fd < 0)
        return a->fd;
    int r = sha256_hex_fd(from, a->fd, RELEASE_SIZE_MAX, NULL, a->sha256);
    if (r == -EFBIG)
        return error_set(err, EFBIG, "release.too-large", "a release may have %zu MB",
                         RELEASE_SIZE_MAX / (1024 * 1024));
    return r < 0 ? error_from_errno(err, r, "cannot read the release") : rewind_archive(a, err);
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

/* 0, or -ENOENT where the server does not have it. */
static int ask(const HttpRequest *request, HttpResponse *response, Error *err)
{
    int r = http_run(request, response, err);

    if (r < 0)
        return r;
    if (response->status == HTTP_NOT_FOUND)
        return error_set(err, ENOENT, "release.unreachable", "there is nothing at %s", request->url);
    return response->status == HTTP_FOUND ? 0
                                          : error_set(err, EREMOTEIO, "release.unreachable",
                                                      "%s answers with HTTP status %d", request->url, response->status);
}

static int on_data(const char *data, size_t len, void *userdata)
{
    const ReleaseInput *a = userdata;

    return fd_write_all(a->fd, data, len) < 0;
}

static int fetch_archive(const char *url, const char *ca_file, ReleaseInput *a, Error *err)
{
    _cleanup_(http_response_done) HttpResponse response = {};
    const HttpRequest request = { .url = url,
                                  .ca_file = ca_file,
                                  .timeout_usec = FETCH_TIMEOUT,
                                  .stall_usec = STALL_TIMEOUT,
                                  .response_max = RELEASE_SIZE_MAX,
                                  .on_data = on_data,
                                  .userdata = a };

    a->fd = release_archive_open(err);
    int r = a->fd < 0 ? a->fd : ask(&request, &response, err);
    if (r >= 0)
        r = rewind_archive(a, err);
    if (r >= 0)
        r = error_from_errno(err, sha256_hex_fd(a->fd, -1, RELEASE_SIZE_MAX, NULL, a->sha256),
                             "cannot read the release");
    return r < 0 ? r : rewind_archive(a, err);
}

static int fetch_order(const char *url, const char *ca_file, ReleaseInput *a, Error *err)
{
    _cleanup_(freep) char *beside = str_format("%s" ORDER_SUFFIX, url);
    _cleanup_(http_response_done) HttpResponse response = {};
    _cleanup_(error_done) Error why = {};
    const HttpRequest request = {
        .url = beside, .ca_file = ca_file, .timeout_usec = ORDER_TIMEOUT, .response_max = ORDER_FILE_MAX
    };
    int r = beside ? ask(&request, &response, &why) : -ENOMEM;

    if (r >= 0)
        a->order = TAKE_PTR(response.body);
    return r >= 0 || r == -ENOENT ? 0 : error_set(err, r, error_id(&why), "%s", error_message(&why, r));
}

static int get_by_url(const char *url, ReleaseInput *a, Error *err)
{
    _cleanup_(freep) char *ca_file = told("CLOUD_CA_FILE");
    _cleanup_(trust_done) Trust trust = {};
    int r = url_check(url, "https,http", err);

    if (r >= 0)
        r = trust_load(&trust, err);
    if (r >= 0 && str_starts(url, "http:") && trust.signers.n == 0)
        r = error_set(err, EACCES, "release.plain-http",
                      "over http anybody on the way could have changed it, and no signers are pinned on this box who "
                      "would vouch for it: take https, or a file");
    if (r >= 0)
        r = fetch_archive(url, ca_file, a, err);
    return r < 0 ? r : fetch_order(url, ca_file, a, err);
}

static int open_file(const char *path, Error *err)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
        return fd;
    int r = fd < 0 ? errno : EINVAL;
    if (fd >= 0)
        close(fd);
    return error_set(err, r, "file.read", "cannot open %s: %s", path, fd < 0 ? strerror(r) : "it is no file");
}

static int get_file(const char *path, ReleaseInput *a, Error *err)
{
    _cleanup_(freep) char *order = str_format("%s" ORDER_SUFFIX, path);
    _cleanup_(error_done) Error why = {};
    _cleanup_(closep) int fd = order ? open_file(path, err) : -ENOMEM;
    int r = fd < 0 ? fd : take_copy(fd, a, err);

    if (r < 0)
        return r;
    r = file_read_followed(order, ORDER_FILE_MAX, &a->order, NULL, &why);
    return r < 0 && r != -ENOENT ? error_set(err, r, error_id(&why), "%s", error_message(&why, r)) : 0;
}

int release_archive_get(const char *name, ReleaseInput *ret, Error *err)
{
    _cleanup_(release_archive_done) ReleaseInput a = RELEASE_INPUT_INIT;
    int r = strstr(name, "://") ? get_by_url(name, &a, err) : get_file(name, &a, err);

    if (r < 0)
        return error_from_errno(err, r, "cannot get the release");
    *ret = a;
    a = (ReleaseInput) RELEASE_INPUT_INIT;
    return 0;
}

int release_archive_get_fetched(const char *sha256, ReleaseInput *ret, Error *err)
{
    _cleanup_(freep) char *below = str_format(LINK_BUNDLES_DIR "/%s", sha256),
                          *path = below ? path_in_root(below) : NULL;
    _cleanup_(release_archive_done) ReleaseInput a = RELEASE_INPUT_INIT;
    _cleanup_(closep) int fd = path ? open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC) : -1;
    int r = fd >= 0 ? take_copy(fd, &a, err) : path ? -errno : -ENOMEM;

    if (r < 0)
        return error_from_errno(err, r, "the archive of the release did not come");
    if (!str_equal(a.sha256, sha256))
        return error_set(err, EBADMSG, "release.bad-content", "what came is not the archive that was ordered");
    *ret = a;
    a = (ReleaseInput) RELEASE_INPUT_INIT;
    return 0;
}

/* What the order has to be about. */
static cJSON *content_of(const ReleaseInput *a)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_string(o, "sha256", a->sha256) < 0)
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
