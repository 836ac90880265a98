/* SPDX-License-Identifier: MIT */
#include "gateway/deployments/bundles.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/auth/secrets.h"
#include "gateway/deployments/bundle-folder.h"
#include "gateway/install/range.h"
#include "gateway/store/deployments-table.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/map.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

#define FOLDER "bundles"
#define PREFIX "/v1/bundles/"
/* each has a process that writes it */
#define UPLOADS_MAX 4
#define DAYS_KEPT 7
#define OFFERS_MAX 1024
#define TIDY_INTERVAL USEC_PER_HOUR
/* who takes longer than this goes on with a range */
#define GRACE (60 * USEC_PER_SEC)
#define BYTES_PER_SECOND 4096

struct Bundles {
    BundleFolder *folder;
    Store *store;
    StoreQuery *query; /* which of them are wanted */
    const DeviceTokens *tokens;
    /* "DEVICE DIGEST": what boxes were asked about, without having been pushed it; in this hour, and in the one before */
    Map *offered, *offered_before;
    unsigned n_uploads;
    usec_t tidied;
};

typedef struct Upload {
    Bundles *owner;
    BundleWriter *saver;
} Upload;

static int check(const Bundles *b, const cJSON *bundle, size_t max, const char **ret, Error *err)
{
    struct stat st;
    const char *digest = json_string(bundle, "digest");
    _cleanup_(freep) char *path = NULL;

    *ret = NULL;
    if (!bundle)
        return 0;
    if (!bundle_digest_is_valid(digest))
        return error_set(err, EINVAL, "bundle.bad-digest",
                         "\"bundle\" needs a \"digest\": sha256: and 64 hexadecimal digits");
    path = bundle_folder_path(b->folder, digest);
    if (!path || stat(path, &st) < 0)
        return error_set(err, EINVAL, "bundle.not-here",
                         "the files that belong to the compose file are not here: bring them by PUT " PREFIX "%s",
                         digest);
    if ((uint64_t) st.st_size > max)
        return error_set(err, EINVAL, "bundle.too-large", "the archive has more than %zu MB, and this may have no more",
                         max / (1024 * 1024));
    *ret = digest;
    return 0;
}

int bundles_check(const Bundles *b, const cJSON *bundle, const char **ret, Error *err)
{
    return check(b, bundle, BUNDLE_SIZE_MAX, ret, err);
}

int bundles_check_release(const Bundles *b, const cJSON *bundle, const char **ret, Error *err)
{
    return check(b, bundle, RELEASE_SIZE_MAX, ret, err);
}

static void age_offers(Bundles *b)
{
    Map *fresh = map_new(NULL);

    if (!fresh)
        return;
    map_free(b->offered_before);
    b->offered_before = b->offered;
    b->offered = fresh;
}

int bundles_offer(const char *device, const cJSON *bundle, void *bundles, Error *err)
{
    Bundles *b = bundles;
    const char *digest;
    int r = bundles_check(b, bundle, &digest, err);

    if (r < 0 || !digest)
        return r;
    if (map_size(b->offered) >= OFFERS_MAX)
        age_offers(b);
    _cleanup_(freep) char *key = str_format("%s %s", device, digest);
    return key && map_put(b->offered, key, b) == 0 ? 0 : error_from_errno(err, -ENOMEM, "offer files");
}

static void fail(Request *c, int status, int code, const char *id, const char *sentence)
{
    _cleanup_(error_done) Error err = {};

    request_fail_status(c, status, error_set(&err, code, id, "%s", sentence), &err);
}

/* an operator brings one */

static void upload_free(void *upload)
{
    Upload *u = upload;

    u->owner->n_uploads--;
    bundle_writer_free(u->saver);
    free(u);
}

static void answer_kept(Request *c)
{
    _cleanup_(cJSON_Deletep) cJSON *body = cJSON_CreateObject();

    if (!body || json_add_string(body, "digest", c->args[0]) < 0)
        request_fail(c, -ENOMEM, NULL);
    else
        request_answer(c, 200, TAKE_PTR(body));
}

static void on_room(void *userdata)
{
    const Request *c = userdata;

    http_body_pause(c->exchange, false);
}

/* Frees the saver that calls. */
static void on_saved(BundleWriterResult how, void *userdata)
{
    Request *c = userdata;

    if (how == BUNDLE_KEPT)
        answer_kept(c);
    else if (how == BUNDLE_OTHER)
        fail(c, 422, EBADMSG, "bundle.digest", "what came is not what its digest says; send it again");
    else
        bundle_folder_not_kept(c);
}

static const BundleWriterEvents saver_events = { on_room, on_saved };

static void on_body(HttpExchange *x, const char *data, size_t len, void *userdata)
{
    Request *c = userdata;
    const Upload *u = c->scratch;

    if (len == 0) {
        bundle_writer_end(u->saver);
        return;
    }
    int r = bundle_writer_put(u->saver, data, len);
    if (r < 0)
        request_fail(c, r, NULL);
    else if (r == 0)
        http_body_pause(x, true);
}

static void put(Request *c)
{
    Bundles *b = c->module;
    _cleanup_(error_done) Error err = {};
    size_t len = 0;

    if (!bundle_digest_is_valid(c->args[0])) {
        fail(c, 400, EINVAL, "bundle.bad-digest", "name the archive by its digest: sha256: and 64 hexadecimal digits");
        return;
    }
    if (b->n_uploads >= UPLOADS_MAX) {
        fail(c, 503, EBUSY, "bundle.busy", "the files of other pushes are coming in: try again in a moment");
        return;
    }
    Upload *u = calloc(1, sizeof(*u));
    if (!u) {
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    u->owner = b;
    b->n_uploads++;
    c->scratch = u;
    c->scratch_free = upload_free;
    int r = bundle_folder_receive(b->folder, c->args[0], &saver_events, c, &u->saver, &err);
    const char *body = http_body(c->exchange, &len);
    if (r >= 0 && !http_body_is_coming(c->exchange))
        r = bundle_writer_put(u->saver, body, len);
    if (r < 0)
        request_fail(c, r, &err);
    else if (http_body_is_coming(c->exchange))
        http_body_receive(c->exchange, on_body, c);
    else
        bundle_writer_end(u->saver);
}

size_t bundle_body_max(const HttpExchange *x)
{
    return str_equal(http_method(x), "PUT") && str_starts(http_path(x), PREFIX) ? RELEASE_SIZE_MAX : 0;
}

/* a box fetches one */

typedef struct Sending {
    int fd;
    uint64_t at;
} Sending;

static int sending_read(void *userdata, uint8_t *to, size_t len)
{
    Sending *s = userdata;

    while (len > 0) {
        ssize_t n = pread(s->fd, to, len, (off_t) s->at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        s->at += (uint64_t) n;
        to += n;
        len -= (size_t) n;
    }
    return 0;
}

static void sending_close(void *userdata)
{
    Sending *s = userdata;

    close(s->fd);
    free(s);
}

static void serve(Request *c, int fd, uint64_t size)
{
    _cleanup_(freep) char *range = NULL;
    uint64_t first = 0, len = size;
    Sending *s = calloc(1, sizeof(*s));
    HttpExchange *x = TAKE_PTR(c->exchange);
    int part = range_parse(http_header(x, "Range"), size, &first, &len);

    request_free(c);
    if (part > 0)
        range = str_format("Content-Range: bytes %llu-%llu/%llu", (unsigned long long) first,
                           (unsigned long long) (first + len - 1), (unsigned long long) size);
    else if (part < 0)
        range = str_format("Content-Range: bytes */%llu", (unsigned long long) size);
    const char *const headers[] = { "Accept-Ranges: bytes", "Cache-Control: private, no-store", range, NULL };
    if (!s || (part != 0 && !range) || part < 0) {
        close(fd);
        free(s);
        if (part < 0 && range)
            http_respond(x, 416, NULL, NULL, 0, headers);
        else
            exchange_fail(x, 500, -ENOMEM, NULL);
        return;
    }
    *s = (Sending) { fd, first };
    const HttpSource source = { sending_read, sending_close, s, GRACE + len / BYTES_PER_SECOND * USEC_PER_SEC };
    http_respond_from(x, part > 0 ? 206 : 200, "application/gzip", len, &source, headers);
}

static void serve_kept(Request *c)
{
    const Bundles *b = c->module;
    _cleanup_(freep) char *path = bundle_folder_path(b->folder, c->args[0]);
    _cleanup_(closep) int fd = -1;
    struct stat st;

    fd = path ? open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW) : -1;
    if (fd < 0 || fstat(fd, &st) < 0)
        fail(c, 410, ENOENT, "bundle.gone", "these files are not kept here any more; push again");
    else
        serve(c, TAKE_FD(fd), (uint64_t) st.st_size);
}

static void on_known(Request *c, const StoreRows *rows)
{
    if (store_rows_true(rows, 0, 0))
        serve_kept(c);
    else
        fail(c, 404, ENOENT, "bundle.not-found", "no push to this box has these files");
}

static bool is_offered(const Bundles *b, const char *device, const char *digest)
{
    _cleanup_(freep) char *key = str_format("%s %s", device, digest);

    return key && (map_get(b->offered, key) || map_get(b->offered_before, key));
}

/* A box gets what was pushed to it, or what it is asked about, and nobody else does. */
static void show(Request *c)
{
    const Bundles *b = c->module;
    const char *token = bearer_token(c->exchange);
    _cleanup_(jwt_claims_done) JwtClaims claims = {};
    _cleanup_(error_done) Error err = {};
    int r = token ? device_token_check(b->tokens, token, ROLE_MGMT, &claims, &err)
                  : error_set(&err, EKEYREJECTED, "jwt.missing", "this needs \"Authorization: Bearer TOKEN\"");

    if (r >= 0)
        http_note_known(c->exchange);
    if (r < 0)
        request_fail(c, r, &err);
    else if (!bundle_digest_is_valid(c->args[0]))
        fail(c, 404, ENOENT, "bundle.not-found", "no push to this box has these files");
    else if (is_offered(b, claims.subject, c->args[0]))
        serve_kept(c);
    else
        request_query(c, sql_deployment_has_bundle(claims.subject, c->args[0]), on_known);
}

const Route bundle_routes[] = {
    { "PUT", PREFIX "*", ACCESS_DEPLOY, put, "the files that travel with a push" },
    { "GET", "/device/v1/bundles/*", ACCESS_ANYONE, show, "the same, for the box that they were pushed to" },
    {},
};

/* all of them */

static int wanted_of(const StoreRows *rows, Map **ret)
{
    *ret = map_new(NULL);
    int r = *ret ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < store_rows_count(rows); i++) {
        const char *digest = store_rows_get(rows, i, 0);

        if (bundle_digest_is_valid(digest))
            r = map_put(*ret, digest + strlen(BUNDLE_DIGEST_PREFIX), *ret);
    }
    return r;
}

static bool is_old(const char *name, const struct stat *st, const void *wanted)
{
    int64_t age = (int64_t) (realtime_usec() / USEC_PER_SEC) - st->st_mtim.tv_sec;

    return !map_get(wanted, name) && age > DAYS_KEPT * 24 * 3600;
}

static void on_wanted(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    Bundles *b = userdata;
    _cleanup_(map_freep) Map *wanted = NULL;

    b->query = NULL;
    if (r >= 0)
        r = wanted_of(rows, &wanted);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, err, r, "old files of pushes stay for another hour");
    else
        bundle_folder_sweep(b->folder, is_old, wanted);
}

void bundles_sweep(Bundles *b)
{
    _cleanup_(error_done) Error err = {};
    usec_t now = boottime_usec();

    if (b->query || (b->tidied > 0 && now - b->tidied < TIDY_INTERVAL))
        return;
    b->tidied = now;
    age_offers(b);
    int r = store_query(b->store, sql_bundles_wanted(), on_wanted, b, &b->query, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "old files of pushes stay for another hour");
}

int bundles_new(sd_event *event, const char *state_dir, Store *store, Requests *requests, const DeviceTokens *tokens,
                Bundles **ret, Error *err)
{
    _cleanup_(bundles_freep) Bundles *b = calloc(1, sizeof(*b));
    int r;

    if (!b)
        return -ENOMEM;
    b->store = store;
    b->tokens = tokens;
    b->offered = map_new(NULL);
    b->offered_before = map_new(NULL);
    if (!b->offered || !b->offered_before)
        return -ENOMEM;
    r = bundle_folder_new(event, state_dir, FOLDER, requests, NULL, NULL, &b->folder, err);
    if (r == 0)
        *ret = TAKE_PTR(b);
    return r;
}

Bundles *bundles_free(Bundles *b)
{
    if (!b)
        return NULL;
    store_query_free(b->query);
    bundle_folder_free(b->folder);
    map_free(b->offered);
    map_free(b->offered_before);
    free(b);
    return NULL;
}
