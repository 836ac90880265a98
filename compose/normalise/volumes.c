/* SPDX-License-Identifier: MIT */
/* Mounts: short and long form, host paths made absolute. A volume without a name has the source "" until all services are known
 * (compose/resolve-anonymous.h). */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "compose/normalise/data-folders.h"
#include "compose/normalise/normalise.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"

typedef struct Mount {
    const char *type; /* "bind", "volume", "tmpfs" */
    char *source;     /* owned; "" for tmpfs */
    char *target;     /* owned */
    bool read_only;
    bool relative;           /* the source, as it was written */
    const char *propagation; /* or NULL */
    uint64_t size;           /* tmpfs; 0: none */
    const char *mode;        /* tmpfs, octal digits, or NULL */
} Mount;

static void mount_done(Mount *m)
{
    free(m->source);
    free(m->target);
}

static const char *const propagations[] = { "private", "rprivate", "rshared", "rslave", "shared", "slave" };
/* said for SELinux and for other systems' file sharing; nothing to do here */
static const char *const without_effect[] = { "cached", "consistent", "delegated", "z", "Z" };

static const char *find_word(const char *word, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (str_equal(word, words[i]))
            return words[i];
    return NULL;
}

/* Adds the parts of a path; ".." goes up, but never above `floor` bytes. */
static int append_clean(Buf *b, const char *path, size_t floor)
{
    for (const char *p = path; *p;) {
        size_t len = strcspn(p, "/");
        int r = 0;

        if (len == 2 && strncmp(p, "..", 2) == 0) {
            if (b->len <= floor)
                return -EXDEV;
            while (b->data[--b->len] != '/')
                continue;
            b->data[b->len] = '\0';
        } else if (len > 0 && !(len == 1 && *p == '.')) {
            r = buf_puts(b, "/");
            if (r >= 0)
                r = buf_append(b, p, len);
        }
        if (r < 0)
            return r;
        p += len;
        p += *p == '/';
    }
    return 0;
}

static int check_path(const Place *at, const char *path)
{
    if (isalpha((unsigned char) path[0]) && path[1] == ':' && path[2] == '\\')
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is a path of Windows", path);
    if (*path == '~')
        return place_fail(at, EINVAL, "compose.bad-value",
                          "\"%s\": ~ is another folder for each user; write an absolute path", path);
    if (strpbrk(path, ":\\"))
        return place_fail(at, EINVAL, "compose.bad-value", "the path \"%s\" has a colon or backslash in it", path);
    return 0;
}

int take_host_path(const Place *at, const Normaliser *n, const char *path, char **ret)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(PATH_MAX);
    size_t floor = 0;
    char *result;
    int r = check_path(at, path);

    if (r < 0)
        return r;
    if (*path != '/') {
        r = append_clean(&b, n->options->base_dir, 0);
        floor = b.len;
    } else if (strstr(path, "/../") || str_ends(path, "/..")) {
        return place_fail(at, EINVAL, "compose.bad-value", "the absolute path \"%s\" has .. in it; write it without",
                          path);
    }
    if (r >= 0)
        r = append_clean(&b, path, floor);
    if (r == -EXDEV)
        return place_fail(at, EINVAL, "compose.bad-value",
                          "\"%s\" leaves the folder of the file; write an absolute path", path);
    if (r == -EMSGSIZE)
        return place_fail(at, EMSGSIZE, "compose.bad-value", "the path is longer than %d bytes", PATH_MAX);
    if (r >= 0 && b.len == 0)
        r = buf_puts(&b, "/");
    if (r < 0)
        return r;
    result = buf_take(&b);
    if (!result)
        return -ENOMEM;
    *ret = result;
    return 0;
}

int path_below_base(const Place *at, const Normaliser *n, const char *path, const char **ret)
{
    _cleanup_(freep) char *base = NULL;
    int r = take_host_path(at, n, ".", &base);

    if (r < 0)
        return r;
    *ret = path + strlen(base) + (path[strlen(base)] == '/');
    return 0;
}

static int take_target(const Place *at, const char *path, Mount *m)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(PATH_MAX);
    int r = check_path(at, path);

    if (r < 0)
        return r;
    if (*path != '/' || strstr(path, "/../") || str_ends(path, "/.."))
        return place_fail(at, EINVAL, "compose.bad-value",
                          "the path in the container, \"%s\", must be absolute and without ..", path);
    r = append_clean(&b, path, 0);
    if (r >= 0 && b.len == 0)
        return place_fail(at, EINVAL, "compose.bad-value", "nothing can be mounted over / of the container");
    if (r == -EMSGSIZE)
        return place_fail(at, EMSGSIZE, "compose.bad-value", "the path is longer than %d bytes", PATH_MAX);
    if (r < 0)
        return r;
    m->target = buf_take(&b);
    return m->target ? 0 : -ENOMEM;
}

static int take_volume_name(const Place *at, const char *name, Mount *m)
{
    if (!compose_name_is_valid(name))
        return place_fail(at, EINVAL, "compose.bad-value",
                          "\"%s\" is no name of a volume; a path starts with / or ./ (was a variable empty?)", name);
    m->type = "volume";
    m->source = strdup(name);
    return m->source ? 0 : -ENOMEM;
}

static int take_bind_source(const Place *at, const Normaliser *n, const char *source, Mount *m)
{
    m->type = "bind";
    m->relative = *source != '/';
    return take_host_path(at, n, source, &m->source);
}

static int take_source(const Place *at, const Normaliser *n, const char *source, Mount *m)
{
    if (*source != '/' && *source != '.' && *source != '~' && !strpbrk(source, "\\"))
        return take_volume_name(at, source, m);
    return take_bind_source(at, n, source, m);
}

/* Where a relative source is on this box. What came with the file is the same for all who mount it, and nobody's to change. */
static int place_source(const Place *at, const Normaliser *n, const char *service, Mount *m)
{
    char *found = NULL;
    int r = m->relative ? find_travelled(at, n, m->source, m->read_only, &found) : 0;

    if (r < 0 || !m->relative)
        return r;
    if (!found)
        return take_data_folder(at, n, service, m->read_only, &m->source);
    r = note_travelled(at, n, m->source);
    free(m->source);
    m->source = found;
    m->read_only = true;
    return r;
}

static int take_short_option(const Place *at, const char *word, Mount *m)
{
    const char *propagation = find_word(word, propagations, ELEMENTSOF(propagations));

    if (str_equal(word, "ro") || str_equal(word, "rw")) {
        m->read_only = str_equal(word, "ro");
        return 0;
    }
    if (propagation && str_equal(m->type, "bind")) {
        m->propagation = propagation;
        return 0;
    }
    if (find_word(word, without_effect, ELEMENTSOF(without_effect)))
        return 0;
    return place_fail(at, EINVAL, "compose.bad-value",
                      "the mount option \"%s\" is not one that podman-compose 1.0.3 passes on; ro, rw and, for paths, "
                      "rslave, rshared, rprivate are",
                      word);
}

static int take_nameless(const Place *at, const char *target, Mount *m)
{
    m->type = "volume";
    m->source = strdup("");
    return m->source ? take_target(at, target, m) : -ENOMEM;
}

static int take_short(const Place *at, const Normaliser *n, Mount *m)
{
    _cleanup_(freep) char *copy = NULL;
    const char *value = NULL;
    char *target, *options;
    int r = take_text(at, &value);

    if (r < 0)
        return r;
    /* C:/x:/y fails later: it reads as a volume C with the option /y */
    if (isalpha((unsigned char) value[0]) && value[1] == ':' && value[2] == '\\')
        return check_path(at, value);
    copy = strdup(value);
    if (!copy)
        return -ENOMEM;
    target = strchr(copy, ':');
    if (!target)
        return take_nameless(at, value, m);
    *target++ = '\0';
    options = strchr(target, ':');
    if (options)
        *options++ = '\0';
    r = take_source(at, n, copy, m);
    if (r >= 0)
        r = take_target(at, target, m);
    for (char *word = options, *next; r >= 0 && word; word = next) {
        next = strchr(word, ',');
        if (next)
            *next++ = '\0';
        r = take_short_option(at, word, m);
    }
    return r;
}

static int take_tmpfs_options(const Place *at, Mount *m)
{
    Place tmpfs = place_member(at, "tmpfs");
    Place size, mode;
    int r = 0;

    if (!tmpfs.node)
        return 0;
    size = place_member(&tmpfs, "size");
    mode = place_member(&tmpfs, "mode");
    if (size.node)
        r = take_size(&size, &m->size);
    if (r >= 0 && mode.node)
        r = take_text(&mode, &m->mode);
    if (r >= 0 && m->mode && (!*m->mode || strlen(m->mode) > 5 || strspn(m->mode, "01234567") != strlen(m->mode)))
        return place_fail(&mode, EINVAL, "compose.bad-value", "\"%s\" is no mode; write it in octal like 1777",
                          m->mode);
    return r;
}

static int take_bind_options(const Place *at, Mount *m)
{
    Place bind = place_member(at, "bind");
    Place propagation;
    const char *word = NULL;
    int r;

    if (!bind.node)
        return 0;
    propagation = place_member(&bind, "propagation");
    if (!propagation.node)
        return 0;
    r = take_text(&propagation, &word);
    if (r < 0)
        return r;
    m->propagation = find_word(word, propagations, ELEMENTSOF(propagations));
    if (!m->propagation)
        return place_fail(&propagation, EINVAL, "compose.bad-value", "\"%s\" is no propagation, like rslave", word);
    return 0;
}

static int take_long_source(const Place *at, const Normaliser *n, const char *type, Mount *m)
{
    Place source = place_member(at, "source");
    const char *text = "";
    int r = source.node ? take_text(&source, &text) : 0;

    if (r < 0)
        return r;
    if (str_equal(type, "tmpfs")) {
        m->type = "tmpfs";
        m->source = strdup("");
        r = m->source ? take_tmpfs_options(at, m) : -ENOMEM;
        return r;
    }
    if (!*text && str_equal(type, "volume") && !source.node) {
        m->type = "volume";
        m->source = strdup("");
        return m->source ? 0 : -ENOMEM;
    }
    if (!*text)
        return place_fail(at, EINVAL, "compose.bad-value", "`source` is missing or empty; a mount needs one");
    if (str_equal(type, "volume"))
        return take_volume_name(&source, text, m);
    if (!str_equal(type, "bind"))
        return place_fail(at, EINVAL, "compose.bad-value", "the type \"%s\" is not bind, volume or tmpfs", type);
    r = take_bind_source(&source, n, text, m);
    return r < 0 ? r : take_bind_options(at, m);
}

static int take_long(const Place *at, const Normaliser *n, Mount *m)
{
    Place type = place_member(at, "type"), target = place_member(at, "target");
    Place read_only = place_member(at, "read_only");
    const char *type_text = NULL, *target_text = NULL;
    int r = take_text(&type, &type_text);

    if (r >= 0)
        r = take_text(&target, &target_text);
    if (r >= 0)
        r = take_target(&target, target_text, m);
    if (r >= 0 && read_only.node)
        r = take_bool(&read_only, &m->read_only);
    return r < 0 ? r : take_long_source(at, n, type_text, m);
}

static int put_options(const Mount *m, cJSON *entry)
{
    cJSON *options;
    int r = 0;

    if (!m->propagation && !m->size && !m->mode)
        return 0;
    options = put_array(entry, "options");
    if (!options)
        return -ENOMEM;
    if (m->propagation)
        r = append_text(options, m->propagation);
    if (r >= 0 && m->size) {
        _cleanup_(freep) char *text = str_format("size=%llu", (unsigned long long) m->size);
        r = text ? append_text(options, text) : -ENOMEM;
    }
    if (r >= 0 && m->mode) {
        _cleanup_(freep) char *text = str_format("mode=%s", m->mode);
        r = text ? append_text(options, text) : -ENOMEM;
    }
    return r;
}

static int put_mount(const Mount *m, ComposeService *s, cJSON *mounts)
{
    cJSON *entry = cJSON_CreateObject();
    int r = json_append(mounts, entry);

    if (r >= 0)
        r = put_text(entry, "type", m->type);
    if (r >= 0)
        r = put_text(entry, "source", m->source);
    if (r >= 0)
        r = put_text(entry, "target", m->target);
    if (r >= 0)
        r = json_add_bool(entry, "read_only", m->read_only);
    if (r >= 0)
        r = put_options(m, entry);
    if (r >= 0 && str_equal(m->type, "bind") && !strv_contains(s->bind_sources, m->source))
        r = strv_add(&s->bind_sources, m->source);
    if (r >= 0 && str_equal(m->type, "volume") && *m->source && !strv_contains(s->volumes, m->source))
        r = strv_add(&s->volumes, m->source);
    return r;
}

/* `configs` add to them, behind these. */
static cJSON *mounts_of(ComposeService *s)
{
    cJSON *mounts = cJSON_GetObjectItemCaseSensitive(s->config, "volumes");

    return mounts ? mounts : put_array(s->config, "volumes");
}

static int check_target(const Place *at, const cJSON *mounts, const char *target)
{
    const cJSON *other;

    cJSON_ArrayForEach(other, mounts) {
        if (str_equal(json_string(other, "target"), target))
            return place_fail(at, EINVAL, "compose.bad-value", "%s is mounted over twice; remove one", target);
    }
    return 0;
}

int find_travelled(const Place *at, const Normaliser *n, const char *source, bool read_only, char **ret)
{
    const ComposeResolveOptions *o = n->options;
    const char *path = NULL;
    int r = path_below_base(at, n, source, &path);

    return r < 0 || !*path || !o->find_file ? r : o->find_file(path, read_only, ret, o->files, at->err);
}

int put_file_mount(const Place *at, ComposeService *s, const char *source, const char *target)
{
    _cleanup_(mount_done) Mount m = { .type = "bind", .source = strdup(source), .read_only = true };
    cJSON *mounts = mounts_of(s);
    int r = m.source && mounts ? take_target(at, target, &m) : -ENOMEM;

    if (r >= 0)
        r = check_target(at, mounts, m.target);
    return r < 0 ? r : put_mount(&m, s, mounts);
}

int normalise_volumes(const Place *at, const Normaliser *n, ComposeService *s)
{
    cJSON *mounts = mounts_of(s);

    if (!mounts)
        return -ENOMEM;
    for (size_t i = 0; i < at->node->n_items; i++) {
        _cleanup_(mount_done) Mount m = {};
        Place item = place_child(at, i);
        bool is_long = item.node->type == YAML_MAPPING;
        Place source = is_long ? place_member(&item, "source") : item;
        int r = is_long ? take_long(&item, n, &m) : take_short(&item, n, &m);

        if (r >= 0)
            r = place_source(&source, n, s->name, &m);
        if (r >= 0)
            r = check_target(&item, mounts, m.target);
        if (r >= 0)
            r = put_mount(&m, s, mounts);
        if (r < 0)
            return r;
    }
    return 0;
}
