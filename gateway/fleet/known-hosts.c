/* SPDX-License-Identifier: MIT */
/* Links to files of host keys. */
#include "gateway/fleet/known-hosts.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/base/buf.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

/* '@' is in no box's id. */
#define FOLDER "known_hosts.d"
#define OWN_MARK "@ssh-"
#define ADVICE_KEPT_SECONDS 86400
#define KEYS_TEXT_MAX 16384
static const char *const kinds[] = { "@host", "@recovery" };
/* What the gateway said, and a person did not believe. */
static const char *const refused[] = { "@host.refused", "@recovery.refused" };
/* What the gateway said last. */
static const char *const tolds[] = { "@host.told", "@recovery.told" };

/* "@cloud.example_8443": a new string or NULL. */
static char *gateway_name(const char *url)
{
    const char *host = strstr(url, "://");
    char *name = str_format("@%s", host ? host + strlen("://") : url);

    for (char *c = name; c && *c; c++)
        if (c > name)
            *c = isalnum((unsigned char) *c) || strchr(".-", *c) ? (char) tolower((unsigned char) *c) : '_';
    return name;
}

/* A folder for this gateway's boxes; NULL: the one above it. */
static int folder_for(const char *gateway, char **ret, Error *err)
{
    _cleanup_(freep) char *all = fleet_config_path(FOLDER), *name = gateway ? gateway_name(gateway) : NULL,
                          *folder = all && name ? path_join(all, name) : NULL;
    _cleanup_(error_done) Error why = {};

    if (!all)
        return error_set(err, ENOENT, "fleet.known-hosts",
                         "there is no folder to keep boxes' host keys in, without which anybody could pose as a box: "
                         "set HOME or XDG_CONFIG_HOME");
    if (!gateway)
        folder = TAKE_PTR(all);
    int r = folder ? dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, &why) : -ENOMEM;
    if (r < 0)
        return error_set(err, -r, "fleet.known-hosts", "the boxes' host keys cannot be kept: %s",
                         error_message(&why, r));
    *ret = TAKE_PTR(folder);
    return 0;
}

static int find_path(const char *gateway, const char *device, const char *suffix, char **ret, Error *err)
{
    _cleanup_(freep) char *folder = NULL;

    /* a name on the command line could be anything */
    if (device[0] == '.' || strpbrk(device, "/@"))
        return error_set(err, EINVAL, "usage", "\"%s\" is no box's id", device);
    int r = folder_for(gateway, &folder, err);
    if (r < 0)
        return r;
    *ret = str_format("%s/%s%s", folder, device, suffix);
    return *ret ? 0 : error_from_errno(err, -ENOMEM, "look for host keys");
}

int known_hosts_link(const Fleet *fleet, const char *device, char **ret, Error *err)
{
    return find_path(fleet->api.gateway, device, "", ret, err);
}

/* Those of an earlier version, which had one folder for all gateways, are those of the gateway that is asked first. */
static void take_old(const char *path, const char *device, const char *kind)
{
    _cleanup_(freep) char *all = fleet_config_path(FOLDER),
                          *old = all ? str_format("%s/%s%s", all, device, kind) : NULL;

    if (old && access(path, F_OK) < 0)
        (void) rename(old, path);
}

/* Which keys the link led to, by what ssh-keygen has kept of it; -1: nobody knows. */
static int kind_before(const char *link)
{
    _cleanup_(freep) char *before = str_format("%s.old", link);
    char target[PATH_MAX];
    ssize_t len = before ? readlink(before, target, sizeof(target) - 1) : -1;

    target[len < 0 ? 0 : len] = '\0';
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (str_ends(target, kinds[i]))
            return (int) i;
    return -1;
}

/* Keys that are not in the file are taken again, until a certificate is fetched the next time. */
static void unmark_strict(const Fleet *fleet, const char *device)
{
    _cleanup_(freep) char *mark = NULL;

    if (find_path(fleet->api.gateway, device, HOST_KEYS_STRICT_SUFFIX, &mark, NULL) == 0)
        (void) unlink(mark);
}

/* All of the box's keys; those that a person took out of `link` are not believed of the gateway either. */
static void forget(const Fleet *fleet, const char *device, const char *link)
{
    int doubted = kind_before(link);

    for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
        _cleanup_(freep) char *path = NULL, *before = NULL;

        if (find_path(fleet->api.gateway, device, kinds[i], &path, NULL) < 0 ||
            find_path(fleet->api.gateway, device, refused[i], &before, NULL) < 0)
            continue;
        if (doubted < 0 || doubted == (int) i)
            (void) rename(path, before);
        else
            (void) unlink(path);
    }
    unmark_strict(fleet, device);
}

static bool was_edited(const char *link)
{
    struct stat st;

    return lstat(link, &st) == 0 && S_ISREG(st.st_mode);
}

static bool is_old(const char *link)
{
    struct stat st;

    return lstat(link, &st) == 0 && st.st_mtime + ADVICE_KEPT_SECONDS < time(NULL);
}

/* ssh-keygen keeps what was there before it. */
static void remove_link(const char *link)
{
    _cleanup_(freep) char *before = str_format("%s.old", link);

    (void) unlink(link);
    if (before)
        (void) unlink(before);
}

/* Whether a person has taken a key out of it: then those of the box are forgotten. */
static bool take_edited(const Fleet *fleet, const char *device, const char *link)
{
    if (!was_edited(link))
        return false;
    forget(fleet, device, link);
    remove_link(link);
    return true;
}

/* The links that lines in ~/.ssh/config name, those of an earlier version, too. */
static void take_plain(const Fleet *fleet, const char *device)
{
    const char *const gateways[] = { fleet->api.gateway, NULL };

    for (size_t i = 0; i < ELEMENTSOF(gateways); i++) {
        _cleanup_(freep) char *link = NULL;

        if (find_path(gateways[i], device, "", &link, NULL) == 0)
            (void) take_edited(fleet, device, link);
    }
}

static bool is_left(const char *name, const char *prefix)
{
    uint64_t pid;

    return str_starts(name, prefix) && str_to_u64(name + strlen(prefix), 1, INT32_MAX, &pid) == 0 &&
           kill((pid_t) pid, 0) < 0 && errno == ESRCH;
}

/* The links that our own ssh's left, whose advice somebody may have followed. */
static void take_left(const Fleet *fleet, const char *device)
{
    _cleanup_(freep) char *folder = NULL, *prefix = str_format("%s" OWN_MARK, device);
    DIR *dir = prefix && folder_for(fleet->api.gateway, &folder, NULL) == 0 ? opendir(folder) : NULL;
    const struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        _cleanup_(freep) char *link = is_left(entry->d_name, prefix) ? path_join(folder, entry->d_name) : NULL;

        if (link && !take_edited(fleet, device, link) && is_old(link))
            remove_link(link);
    }
    if (dir)
        closedir(dir);
}

int known_hosts_own_link(const Fleet *fleet, const char *device, char **ret, Error *err)
{
    _cleanup_(freep) char *mark = str_format(OWN_MARK "%d", (int) getpid());
    int r = mark ? find_path(fleet->api.gateway, device, mark, ret, err) : -ENOMEM;

    if (r < 0)
        return error_from_errno(err, r, "look for host keys");
    remove_link(*ret);
    return 0;
}

bool known_hosts_is_set(const char *link)
{
    struct stat st;

    return lstat(link, &st) == 0 && S_ISLNK(st.st_mode);
}

void known_hosts_own_ended(const char *link, bool failed)
{
    if (!failed)
        remove_link(link);
}

static int set_link(const char *link, const char *target)
{
    _cleanup_(freep) char *fresh = str_format("%s@%d", link, (int) getpid());

    if (!fresh)
        return -ENOMEM;
    (void) unlink(fresh);
    if (symlink(target, fresh) == 0 && rename(fresh, link) == 0)
        return 0;
    int r = -errno;
    (void) unlink(fresh);
    return r;
}

void known_hosts_settle(const Fleet *fleet, const char *device)
{
    take_plain(fleet, device);
    take_left(fleet, device);
}

int known_hosts_strict(const Fleet *fleet, const char *device, bool known, bool *ret, Error *err)
{
    _cleanup_(freep) char *mark = NULL;

    known_hosts_settle(fleet, device);
    int r = find_path(fleet->api.gateway, device, HOST_KEYS_STRICT_SUFFIX, &mark, err);
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(refused); i++) {
        _cleanup_(freep) char *path = NULL;

        r = find_path(fleet->api.gateway, device, refused[i], &path, err);
        known = known && r >= 0 && access(path, F_OK) < 0;
    }
    if (r < 0)
        return r;
    r = known ? file_write_atomic(mark, "", 0, 0600, (uid_t) -1, (gid_t) -1, err) : file_remove(mark, err);
    *ret = known;
    return r;
}

/* As ssh reads it: a new string, or NULL when out of memory. */
static char *keys_text(const char *device, const cJSON *keys)
{
    Buf text = BUF_INIT(KEYS_TEXT_MAX);
    const cJSON *key;
    int r = 0;

    cJSON_ArrayForEach(key, keys) {
        const char *line = cJSON_GetStringValue(key);

        if (r >= 0 && line && !strchr(line, '\n'))
            r = buf_printf(&text, HOST_KEY_ALIAS_PREFIX "%s %s\n", device, line);
    }
    if (r >= 0)
        return buf_take(&text);
    buf_done(&text);
    return NULL;
}

static bool holds(const char *path, const char *text)
{
    _cleanup_(freep) char *there = NULL;

    return file_read(path, KEYS_TEXT_MAX, &there, NULL, NULL) >= 0 && str_equal(there, text);
}

/* The gateway does not know any more: what it said before is not believed for ever. */
static int take_back(const Fleet *fleet, const char *device, const char *path, const char *told, Error *err)
{
    _cleanup_(freep) char *text = NULL;

    unmark_strict(fleet, device);
    if (file_read(told, KEYS_TEXT_MAX, &text, NULL, NULL) < 0)
        return 0;
    int r = holds(path, text) ? file_remove(path, err) : 0;
    return r < 0 ? r : file_remove(told, err);
}

static int write_text(const char *path, const char *text, Error *err)
{
    return holds(path, text) ? 0 : file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

/* Puts them into `path`, unless a person did not believe just these. */
static int write_keys(const Fleet *fleet, const char *path, const char *device, bool recovery, const cJSON *keys,
                      Error *err)
{
    _cleanup_(freep) char *text = keys_text(device, keys), *doubted = NULL, *told = NULL;

    int r = find_path(fleet->api.gateway, device, refused[recovery], &doubted, err);
    if (r >= 0)
        r = find_path(fleet->api.gateway, device, tolds[recovery], &told, err);
    if (r < 0 || !text)
        return error_from_errno(err, r < 0 ? r : -ENOMEM, "keep host keys");
    if (!*text)
        return keys ? take_back(fleet, device, path, told, err) : 0;
    if (holds(doubted, text))
        return 0;
    r = file_remove(doubted, err);
    if (r >= 0)
        r = write_text(told, text, err);
    return r < 0 ? r : write_text(path, text, err);
}

int known_hosts_use(const Fleet *fleet, const char *link, const char *device, bool recovery, const cJSON *keys,
                    Error *err)
{
    _cleanup_(freep) char *own = NULL, *target = NULL;
    int r = link ? 0 : find_path(NULL, device, "", &own, err);

    if (r >= 0)
        r = find_path(fleet->api.gateway, device, kinds[recovery], &target, err);
    if (r < 0)
        return r;
    if (!link)
        link = own;
    (void) take_edited(fleet, device, link);
    known_hosts_settle(fleet, device);
    take_old(target, device, kinds[recovery]);
    r = write_keys(fleet, target, device, recovery, keys, err);
    if (r < 0)
        return r;
    r = set_link(link, target);
    if (r == 0)
        return 0;
    return error_set(err, -r, "fleet.known-hosts",
                     "the link %s, by which ssh finds the box's host keys, cannot be made: %s", link, strerror(-r));
}
