/* SPDX-License-Identifier: MIT */
/* Files that belong to a push: fetched before mgmt-agent hears of it, and left in our own folder, where it takes them. What has
 * come of them is kept over a lost connection. mgmt-agent believes nothing of this: it asks the digest itself. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/bundle.h"
#include "lib/data/json.h"
#include "lib/event/daemon.h"
#include "mgmt-agent/link/link-impl.h"

#define FETCH_PATH "/device/v1/bundles/"
#define HELD_MAX 4
#define KEPT_MAX 4
/* what a push that failed has left half fetched */
#define PART ".part"
#define PART_AGE_MAX (24 * 3600)
/* an archive that comes damaged is fetched once more, this many times */
#define DAMAGED_MAX 2
/* Nobody waits longer for a push; and a line that is slower than this is none. */
#define FETCH_MAX (15 * USEC_PER_MINUTE)
#define FETCH_RELEASE_MAX (120 * USEC_PER_MINUTE)
#define STALL (30 * USEC_PER_SEC)
#define CONNECT_TIMEOUT (20 * USEC_PER_SEC)
#define RETRY_PAUSE (3 * USEC_PER_SEC)

typedef struct HeldLine {
    char *id, *text;
    char digest[BUNDLE_DIGEST_SIZE];
    size_t max; /* how long the archive may be */
    LineKind kind;
} HeldLine;

struct LinkFiles {
    Link *link;
    HeldLine held[HELD_MAX];
    size_t n;
    /* of the first one */
    char *path, *part;
    int fd;
    off_t before;     /* what had come when we asked for the rest */
    usec_t since;     /* CLOCK_BOOTTIME */
    unsigned damaged; /* how often what came was not what it should be */
    bool refused;     /* once; by a proxy, maybe */
    bool past_proxy;  /* what worked last is tried first; where there is no proxy, both are the same way */
    HttpCall *call;
    sd_event_source *again;
};

static char *path_of(const char *digest)
{
    _cleanup_(freep) char *path = str_format(LINK_BUNDLES_DIR "/%s", digest + strlen(BUNDLE_DIGEST_PREFIX));

    return path ? path_in_root(path) : NULL;
}

static void fetch_done(LinkFiles *f)
{
    f->call = http_call_free(f->call);
    f->again = sd_event_source_disable_unref(f->again);
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    f->path = (free(f->path), NULL);
    f->part = (free(f->part), NULL);
}

LinkFiles *link_files_free(LinkFiles *f)
{
    if (!f)
        return NULL;
    fetch_done(f);
    for (size_t i = 0; i < f->n; i++) {
        free(f->held[i].id);
        free(f->held[i].text);
    }
    free(f);
    return NULL;
}

static bool remove_from(DIR *dir, const char *name)
{
    if (unlinkat(dirfd(dir), name, 0) == 0)
        return true;
    log_debug("%s in " LINK_BUNDLES_DIR " stays: %s", name, strerror(errno));
    return false;
}

/* The name of the archive that was written first, and whether there are too many, of whole ones or of what is half there; what is
 * of `keep`, or hidden, is not looked at. What is half there goes by its age, too. */
static bool find_surplus(DIR *dir, const char *keep, bool parts, char ret[static NAME_MAX + 1])
{
    const time_t now = (time_t) (realtime_usec() / USEC_PER_SEC);
    struct timespec first = {};
    uint64_t bytes = 0;
    size_t n = 0;

    rewinddir(dir);
    for (struct dirent *e; (e = readdir(dir));) {
        struct stat st;

        if (e->d_name[0] == '.' || str_starts(e->d_name, keep) || str_ends(e->d_name, PART) != parts ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            continue;
        /* a clock that was set back makes none of them old */
        if (parts && now - st.st_mtim.tv_sec > PART_AGE_MAX && remove_from(dir, e->d_name))
            continue;
        bytes += (uint64_t) st.st_size;
        if (n++ == 0 || st.st_mtim.tv_sec < first.tv_sec ||
            (st.st_mtim.tv_sec == first.tv_sec && st.st_mtim.tv_nsec < first.tv_nsec)) {
            first = st.st_mtim;
            snprintf(ret, NAME_MAX + 1, "%s", e->d_name);
        }
    }
    return n >= KEPT_MAX || bytes > RELEASE_SIZE_MAX;
}

/* A plan is often followed by its push, which then finds the files here; those of the last few stay. */
static void prune(const char *keep)
{
    _cleanup_(freep) char *folder = path_in_root(LINK_BUNDLES_DIR);
    char oldest[NAME_MAX + 1];
    DIR *dir = folder ? opendir(folder) : NULL;

    while (dir && find_surplus(dir, keep, false, oldest) && remove_from(dir, oldest))
        continue;
    while (dir && find_surplus(dir, keep, true, oldest) && remove_from(dir, oldest))
        continue;
    if (dir)
        closedir(dir);
}

static void start_next(LinkFiles *f);

/* Whatever became of it: without its files the push is refused by mgmt-agent, in a result that the cloud gets. */
static void hand_over(LinkFiles *f)
{
    char digest[BUNDLE_DIGEST_SIZE];
    size_t left = 0;

    memcpy(digest, f->held[0].digest, sizeof(digest));
    fetch_done(f);
    for (size_t i = 0; i < f->n; i++) {
        HeldLine *line = &f->held[i];

        if (!str_equal(line->digest, digest)) {
            f->held[left++] = *line;
            continue;
        }
        if (agent_client_send(f->link->agent, line->kind, line->text, strlen(line->text)) < 0)
            log_warning("a push is lost: mgmt-agent does not take any more");
        free(line->id);
        free(line->text);
    }
    f->n = left;
    start_next(f);
}

static int start_fetch(LinkFiles *f);

static int on_again(sd_event_source *s, uint64_t usec, void *userdata)
{
    LinkFiles *f = userdata;

    (void) s;
    (void) usec;
    if (start_fetch(f) < 0)
        hand_over(f);
    return 0;
}

/* A release may have many times what a push has, and a box's line be thin. */
static usec_t fetch_max(const LinkFiles *f)
{
    return f->held[0].max > BUNDLE_SIZE_MAX ? FETCH_RELEASE_MAX : FETCH_MAX;
}

/* Once more in a moment, unless it has taken too long. */
static void try_again(LinkFiles *f, const Error *err, int r)
{
    log_failure(LOG_LEVEL_WARNING, NULL, err, r, "the files of a push are not here yet");
    f->past_proxy = !f->past_proxy;
    if (boottime_usec() - f->since > fetch_max(f) ||
        timer_arm(f->link->event, &f->again, RETRY_PAUSE, on_again, f) < 0) {
        log_error("the files of a push did not come; it is refused");
        hand_over(f);
    }
}

static int on_data(const char *data, size_t len, void *userdata)
{
    LinkFiles *f = userdata;

    return fd_write_all(f->fd, data, len) < 0;
}

static bool is_archive(const char *path, const char *digest)
{
    _cleanup_(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    char found[SHA256_HEX_SIZE];

    return fd >= 0 && sha256_hex_fd(fd, -1, RELEASE_SIZE_MAX, NULL, found) == 0 &&
           str_equal(found, digest + strlen(BUNDLE_DIGEST_PREFIX));
}

/* What cannot be continued is begun again; what comes damaged every time is so where it comes from. */
static void begin_anew(LinkFiles *f, const char *why)
{
    _cleanup_(error_done) Error err = {};
    int r = error_set(&err, EBADMSG, "bundle.digest", "%s", why);

    if (ftruncate(f->fd, 0) < 0)
        log_debug("%s cannot be cut: %s", f->part, strerror(errno));
    if (f->damaged++ < DAMAGED_MAX) {
        try_again(f, &err, r);
        return;
    }
    log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "the files of a push came damaged each time; it is refused");
    hand_over(f);
}

static void take_answer(LinkFiles *f, int status, const Error *err, int r)
{
    _cleanup_(error_done) Error refused = {};

    /* what a connection that broke off has brought stays; it is gone on with */
    if (r >= 0 && status != 200 && status != 206 && ftruncate(f->fd, f->before) < 0)
        log_debug("%s cannot be cut: %s", f->part, strerror(errno));
    if (r < 0) {
        try_again(f, err, r);
    } else if (status == 200 || status == 206 || status == 416) {
        if (!is_archive(f->part, f->held[0].digest)) {
            begin_anew(f, "what came is not what the push names");
        } else if (fsync(f->fd) < 0 || rename(f->part, f->path) < 0) {
            log_error("%s cannot be kept: %s", f->path, strerror(errno));
            hand_over(f);
        } else {
            log_info("the files of a push are here");
            hand_over(f);
        }
    } else {
        r = error_set(&refused, EBADMSG, "bundle.status", "the gateway answers with HTTP status %d", status);
        if (status == 401 || status == 429 || status >= 500 || !f->refused) {
            f->refused = true;
            try_again(f, &refused, r);
        } else {
            log_failure(LOG_LEVEL_ERROR, NULL, &refused, r, "the files of a push did not come; it is refused");
            hand_over(f);
        }
    }
}

static void on_fetched(HttpCall *call, int r, const HttpResponse *response, const Error *err, void *userdata)
{
    LinkFiles *f = userdata;

    (void) call;
    f->call = NULL; /* freed behind this */
    take_answer(f, response ? response->status : 0, err, r);
}

static int open_part(LinkFiles *f)
{
    _cleanup_(freep) char *folder = path_in_root(LINK_BUNDLES_DIR);

    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
    if (!folder || dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, NULL) < 0)
        return -EIO;
    f->fd = open(f->part, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
    f->before = f->fd < 0 ? -1 : lseek(f->fd, 0, SEEK_END);
    if (f->before > (off_t) f->held[0].max && ftruncate(f->fd, 0) == 0)
        f->before = 0;
    return f->before < 0 ? -errno : 0;
}

static int ask(LinkFiles *f, const char *token, Error *err)
{
    const LinkConfig *c = &f->link->config;
    size_t len = strlen(c->cloud_url);

    while (len > 0 && c->cloud_url[len - 1] == '/')
        len--;
    _cleanup_(freep) char *url = str_format("%.*s" FETCH_PATH "%s", (int) len, c->cloud_url, f->held[0].digest);
    _cleanup_(secret_freep) char *bearer = str_format("Authorization: Bearer %s", token);
    _cleanup_(freep) char *range = str_format("Range: bytes=%lld-", (long long) f->before);
    if (!url || !bearer || !range)
        return -ENOMEM;
    const char *const headers[] = { bearer, f->before > 0 ? range : NULL, NULL };
    const HttpRequest request = {
        .url = url,
        .headers = headers,
        .ca_file = c->ca_file,
        .timeout_usec = fetch_max(f),
        .connect_timeout_usec = CONNECT_TIMEOUT,
        .stall_usec = STALL,
        .past_proxy = f->past_proxy,
        .response_max = f->held[0].max,
        .on_data = on_data,
        .userdata = f,
    };
    return http_start(f->link->http, &request, on_fetched, f, &f->call, err);
}

/* Negative when it never can. */
static int start_fetch(LinkFiles *f)
{
    const char *token = device_tunnel_token(f->link->tunnel);
    _cleanup_(error_done) Error err = {};
    int r = open_part(f);

    if (r < 0) {
        log_error("the files of a push cannot be kept: %s", strerror(-r));
        return r;
    }
    if (!token) {
        r = error_set(&err, EAGAIN, "bundle.no-token", "there is no device token");
        try_again(f, &err, r);
        return 0;
    }
    r = ask(f, token, &err);
    if (r < 0)
        log_failure(LOG_LEVEL_ERROR, NULL, &err, r, "the files of a push cannot be fetched");
    return r;
}

static void start_next(LinkFiles *f)
{
    if (f->n == 0)
        return;
    f->since = boottime_usec();
    f->damaged = 0;
    f->refused = false;
    prune(f->held[0].digest + strlen(BUNDLE_DIGEST_PREFIX));
    f->path = path_of(f->held[0].digest);
    f->part = f->path ? str_format("%s" PART, f->path) : NULL;
    if (!f->part || start_fetch(f) < 0)
        hand_over(f);
}

/* The digest of the files that a message names and that are not here; NULL when there is nothing to fetch. */
static const char *missing_files(const cJSON *message)
{
    const char *type = json_string(message, "type");
    const char *digest = json_string(cJSON_GetObjectItemCaseSensitive(message, "bundle"), "digest");
    _cleanup_(freep) char *path = NULL;

    if ((!str_equal(type, "compose.snapshot") && !str_equal(type, "compose.plan") &&
         !str_equal(type, "release.update")) ||
        !bundle_digest_is_valid(digest))
        return NULL; /* mgmt-agent says what is wrong with it */
    path = path_of(digest);
    if (path && is_archive(path, digest)) {
        if (utimensat(AT_FDCWD, path, NULL, 0) < 0) /* it is in use, and must not be the oldest now */
            log_debug("%s cannot be touched: %s", path, strerror(errno));
        return NULL;
    }
    /* what lies there under its name and is another one would be in the way for ever */
    if (path && unlink(path) < 0 && errno != ENOENT)
        log_warning("%s cannot be removed: %s", path, strerror(errno));
    return digest;
}

static size_t archive_max(const cJSON *message)
{
    return str_equal(json_string(message, "type"), "release.update") ? RELEASE_SIZE_MAX : BUNDLE_SIZE_MAX;
}

/* The gateway says it again after a reconnect. */
static HeldLine *find_held(LinkFiles *f, const char *id)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_equal(f->held[i].id, id))
            return &f->held[i];
    return NULL;
}

bool link_hold_for_files(Link *l, const cJSON *message, LineKind kind, const char *text)
{
    const char *digest = missing_files(message), *id = json_string(message, "id");
    _cleanup_(freep) char *copy = NULL, *name = NULL;

    if (!digest || !id)
        return false;
    if (!l->files) {
        l->files = calloc(1, sizeof(*l->files));
        if (!l->files)
            return false;
        *l->files = (LinkFiles) { .link = l, .fd = -1 };
    }
    if (find_held(l->files, id))
        return true;
    copy = strdup(text);
    name = strdup(id);
    if (!copy || !name || l->files->n == HELD_MAX)
        return false;
    HeldLine *line = &l->files->held[l->files->n++];
    *line = (HeldLine) { .id = TAKE_PTR(name), .text = TAKE_PTR(copy), .max = archive_max(message), .kind = kind };
    memcpy(line->digest, digest, sizeof(line->digest));
    if (l->files->n == 1)
        start_next(l->files);
    return true;
}
