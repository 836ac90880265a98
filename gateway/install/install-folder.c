/* SPDX-License-Identifier: MIT */
#include "gateway/install/install-folder.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/http/request.h"
#include "gateway/install/range.h"
#include "lib/base/buf.h"
#include "lib/base/mem.h"
#include "lib/base/strv.h"
#include "lib/http/answer-head.h"
#include "lib/http/proxy-header.h"

#define PREFIX "/install/"
#define SCRIPT "secbox"
#define CLOUD_WORD "@CLOUD@"
#define SCRIPT_MAX ((size_t) 1024 * 1024)
/* Each holds a descriptor and 64 KB; whoever comes later is asked to try again. */
#define DOWNLOADS_MAX 100
/* Of them one caller may have: others come to their turn. Boxes of one site come from one address, too. */
#define CALLER_DOWNLOADS_MAX 20
#define CALLER_SIZE 16
/* Who takes less than this gives the place back, and may go on with a range. */
#define BYTES_PER_SECOND 8192
#define GRACE (60 * USEC_PER_SEC)
#define RETRY_SECONDS 10
#define ETAG_SIZE 64

struct InstallFolder {
    const char *path, *issuer;
    struct Download *downloads;
    unsigned n_downloads;
};

typedef struct Download {
    InstallFolder *dir;
    struct Download *prev, *next;
    uint8_t caller[CALLER_SIZE];
    uint64_t at;
    int fd;
} Download;

typedef struct Found {
    struct stat st;
    int fd;
    char etag[ETAG_SIZE], changed[HTTP_DATE_SIZE];
} Found;

static bool may_stand_in_a_script(const char *url)
{
    return strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:/[]_~%-") == strlen(url);
}

int install_folder_new(const char *path, const char *issuer, InstallFolder **ret, Error *err)
{
    if (path && path[0] != '/')
        return error_set(err, EINVAL, "config.install-dir", "--install-dir %s: give an absolute path", path);
    if (path && !issuer)
        return error_set(
            err, EINVAL, "config.install-dir",
            "--install-dir without --issuer: the installer has to know the URL that boxes use; add --issuer");
    if (path && !may_stand_in_a_script(issuer))
        return error_set(
            err, EINVAL, "config.install-dir",
            "--issuer %s cannot be baked into the installer: use letters, digits and . : / [ ] _ ~ %% - only", issuer);
    InstallFolder *d = calloc(1, sizeof(*d));
    if (!d)
        return error_from_errno(err, -ENOMEM, "opening the install folder");
    d->path = path;
    d->issuer = issuer;
    *ret = d;
    return 0;
}

InstallFolder *install_folder_free(InstallFolder *d)
{
    free(d);
    return NULL;
}

bool install_folder_has(const char *path)
{
    return str_starts(path, PREFIX);
}

/* Names that begin with a dot are nobody's business, and ".." is one of them. */
static bool name_is_plain(const char *name)
{
    for (const char *p = name; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (*p == '.' || *p == '/' || *p == '\0')
            return false;
    }
    return true;
}

/* A descriptor of a file below the folder, wherever links may point. Negative otherwise. */
static int open_below(const char *folder, const char *name)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
    };
    _cleanup_(closep) int dir = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return -errno;
    int fd = (int) syscall(SYS_openat2, dir, name, &how, sizeof(how));
    return fd < 0 ? -errno : fd;
}

/* Times of change, not of modification: a copy may bring the latter from elsewhere, and be as long as what was there. */
static void describe(Found *f)
{
    (void) snprintf(f->etag, sizeof f->etag, "\"%llx-%llx-%llx\"", (unsigned long long) f->st.st_size,
                    (unsigned long long) f->st.st_ctim.tv_sec, (unsigned long long) f->st.st_ctim.tv_nsec);
    http_date_print((uint64_t) f->st.st_ctim.tv_sec, f->changed);
}

static int find(const InstallFolder *d, const char *name, Found *ret, Error *err)
{
    if (!d->path)
        return error_set(err, ENOENT, "install.off",
                         "nothing is installed from here: the gateway runs without --install-dir");
    int fd = name_is_plain(name) ? open_below(d->path, name) : -ENOENT;
    if (fd >= 0 && (fstat(fd, &ret->st) < 0 || !S_ISREG(ret->st.st_mode) || !(ret->st.st_mode & S_IROTH)))
        fd = (close(fd), -ENOENT);
    if (fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM)
        return error_from_errno(err, fd, "opening a file");
    if (fd < 0)
        return error_set(err, ENOENT, "install.not-found", "there is no such file to install from");
    ret->fd = fd;
    describe(ret);
    return 0;
}

static int read_all(int fd, uint64_t at, uint8_t *to, size_t len)
{
    while (len > 0) {
        ssize_t n = pread(fd, to, len, (off_t) at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO; /* shorter than it was */
        to += n;
        at += (uint64_t) n;
        len -= (size_t) n;
    }
    return 0;
}

static int download_read(void *userdata, uint8_t *to, size_t len)
{
    Download *w = userdata;
    int r = read_all(w->fd, w->at, to, len);
    w->at += len;
    return r;
}

static void download_close(void *userdata)
{
    Download *w = userdata;
    if (w->prev)
        w->prev->next = w->next;
    else
        w->dir->downloads = w->next;
    if (w->next)
        w->next->prev = w->prev;
    w->dir->n_downloads--;
    close(w->fd);
    free(w);
}

/* The script knows which cloud it came from. */
static int render_script(const InstallFolder *d, const Found *f, Buf *ret)
{
    size_t len = (size_t) f->st.st_size;
    if (f->st.st_size > (off_t) SCRIPT_MAX)
        return -EFBIG;
    _cleanup_(freep) char *text = malloc(len + 1);
    if (!text)
        return -ENOMEM;
    int r = read_all(f->fd, 0, (uint8_t *) text, len);
    text[len] = '\0';
    const char *at = text, *word;
    while (r >= 0 && (word = strstr(at, CLOUD_WORD))) {
        r = buf_append(ret, at, (size_t) (word - at));
        if (r >= 0)
            r = buf_puts(ret, d->issuer);
        at = word + strlen(CLOUD_WORD);
    }
    return r < 0 ? r : buf_puts(ret, at);
}

static void serve_script(const InstallFolder *d, HttpExchange *x, const Found *f)
{
    static const char *const headers[] = { "Cache-Control: no-cache", "X-Content-Type-Options: nosniff", NULL };
    _cleanup_(buf_done) Buf text = BUF_INIT(4 * SCRIPT_MAX);
    int r = render_script(d, f, &text);
    if (r < 0)
        exchange_fail(x, 500, r, NULL);
    else
        http_respond(x, 200, "text/plain; charset=utf-8", text.data, text.len, headers);
}

static bool is_unchanged(const HttpExchange *x, const Found *f)
{
    const char *tags = http_header(x, "If-None-Match"), *date = http_header(x, "If-Modified-Since");
    if (tags)
        return str_equal(tags, "*") || strstr(tags, f->etag);
    return date && str_equal(date, f->changed);
}

/* A part is of use only beside the rest of the same file. */
static const char *wanted_range(const HttpExchange *x, const Found *f)
{
    const char *only_if = http_header(x, "If-Range");
    if (only_if && !str_equal(only_if, f->etag) && !str_equal(only_if, f->changed))
        return NULL;
    return http_header(x, "Range");
}

/* Takes the descriptor. */
static void start_download(InstallFolder *d, HttpExchange *x, int status, int fd, uint64_t first, uint64_t len,
                           const char *const *headers)
{
    Download *w = calloc(1, sizeof(*w));
    if (!w) {
        close(fd);
        exchange_fail(x, 500, -ENOMEM, NULL);
        return;
    }
    *w = (Download) { .dir = d, .next = d->downloads, .fd = fd, .at = first };
    caller_network(http_peer(x), w->caller);
    if (w->next)
        w->next->prev = w;
    d->downloads = w;
    d->n_downloads++;
    const HttpSource source = { download_read, download_close, w, GRACE + len / BYTES_PER_SECOND * USEC_PER_SEC };
    http_respond_from(x, status, "application/octet-stream", len, &source, headers);
}

static void serve_file(InstallFolder *d, HttpExchange *x, Found *f)
{
    _cleanup_(freep) char *etag = str_format("ETag: %s", f->etag), *date = str_format("Last-Modified: %s", f->changed);
    _cleanup_(freep) char *range = NULL;
    uint64_t size = (uint64_t) f->st.st_size, first = 0, len = size;
    int part = range_parse(wanted_range(x, f), size, &first, &len);
    if (part > 0)
        range = str_format("Content-Range: bytes %llu-%llu/%llu", (unsigned long long) first,
                           (unsigned long long) (first + len - 1), (unsigned long long) size);
    else if (part < 0)
        range = str_format("Content-Range: bytes */%llu", (unsigned long long) size);
    if (!etag || !date || (part != 0 && !range)) {
        exchange_fail(x, 500, -ENOMEM, NULL);
        return;
    }
    const char *const headers[] = {
        etag, date, "Accept-Ranges: bytes", "Cache-Control: no-cache", "X-Content-Type-Options: nosniff", range, NULL
    };
    if (is_unchanged(x, f))
        http_respond(x, 304, NULL, NULL, 0, headers);
    else if (part < 0)
        http_respond(x, 416, NULL, NULL, 0, headers);
    else
        start_download(d, x, part > 0 ? 206 : 200, TAKE_FD(f->fd), first, len, headers);
}

static bool has_room(const InstallFolder *d, const HttpExchange *x, Error *err)
{
    uint8_t caller[CALLER_SIZE];
    unsigned n = 0;
    caller_network(http_peer(x), caller);
    for (const Download *w = d->downloads; w; w = w->next)
        n += memcmp(w->caller, caller, CALLER_SIZE) == 0;
    if (n < CALLER_DOWNLOADS_MAX && d->n_downloads < DOWNLOADS_MAX)
        return true;
    (void) error_set(err, EBUSY, "install.busy", "%u downloads %s are under way; try again in %d seconds",
                     n < CALLER_DOWNLOADS_MAX ? d->n_downloads : n,
                     n < CALLER_DOWNLOADS_MAX ? "of all" : "of this address", RETRY_SECONDS);
    return false;
}

void install_folder_serve(InstallFolder *d, HttpExchange *x)
{
    _cleanup_(error_done) Error err = {};
    const char *name = http_path(x) + strlen(PREFIX);
    Found f = { .fd = -1 };
    int r;
    if (!str_equal(http_method(x), "GET")) {
        r = error_set(&err, EINVAL, "request.method", "%s is not possible here", http_method(x));
        exchange_fail(x, 405, r, &err);
        return;
    }
    r = find(d, name, &f, &err);
    if (r < 0)
        exchange_fail(x, r == -ENOENT ? 404 : 500, r, &err);
    else if (str_equal(name, SCRIPT))
        serve_script(d, x, &f);
    else if (!has_room(d, x, &err))
        exchange_fail_busy(x, RETRY_SECONDS, &err);
    else
        serve_file(d, x, &f);
    if (f.fd >= 0)
        close(f.fd);
}
