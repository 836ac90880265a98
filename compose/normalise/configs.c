/* SPDX-License-Identifier: MIT */
/* `configs` and `secrets`: files that services mount for reading. What they hold comes with the compose file, is a text in it, or
 * is the value of a variable of the box; or it is a file of the box, and then mounted as it is. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compose/normalise/normalise.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"

#define ID_MAX (UINT32_MAX - 1)

/* What the two kinds differ in. */
typedef struct Kind {
    const char *section, *word;
    const char *folder; /* of targets that are no whole path, with the slash */
    bool is_secret;
} Kind;

static const Kind config_kind = { "configs", "config", "/", false };
static const Kind secret_kind = { "secrets", "secret", "/run/secrets/", true };

/* One entry of a service. */
typedef struct Grant {
    const Kind *kind;
    const char *name;
    char *target;
    int64_t uid, gid, mode; /* -1: not said */
    Place rights;           /* the first of them that is said; without a node when none is */
} Grant;

static int take_id(const Place *at, int64_t *ret)
{
    const char *text = NULL;
    uint64_t id = 0;
    int r = at->node ? take_text(at, &text) : 0;

    if (r < 0 || !text)
        return r;
    if (!str_equal(text, "root") && str_to_u64(text, 0, ID_MAX, &id) < 0)
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no number of a user or group", text);
    *ret = (int64_t) id;
    return 0;
}

/* Octal, as people write it. 444 without a zero was taken for that before; any other number would be a decimal one elsewhere. */
static int take_mode(const Place *at, int64_t *ret)
{
    const char *text = NULL, *digits;
    int64_t mode = 0;
    int r = at->node ? take_text(at, &text) : 0;

    if (r < 0 || !text)
        return r;
    digits = str_starts(text, "0o") ? text + 2 : text;
    if (!*digits || strlen(digits) > 5 || strspn(digits, "01234567") != strlen(digits) ||
        (*text != '0' && !str_equal(text, "444")))
        return place_fail(at, EINVAL, "compose.bad-value", "\"%s\" is no mode; write it in octal like 0440", text);
    for (; *digits; digits++)
        mode = mode * 8 + (*digits - '0');
    if (mode > 0777 || !(mode & 0444))
        return place_fail(at, EINVAL, "compose.bad-value",
                          "the mode \"%s\" has more than rights for owner, group and others, or lets nobody read",
                          text);
    *ret = mode & ~0222; /* it is mounted for reading */
    return 0;
}

static int take_rights(const Place *at, Grant *g)
{
    Place uid = place_member(at, "uid"), gid = place_member(at, "gid"), mode = place_member(at, "mode");
    int r = take_id(&uid, &g->uid);

    if (r >= 0)
        r = take_id(&gid, &g->gid);
    if (r >= 0)
        r = take_mode(&mode, &g->mode);
    g->rights = uid.node ? uid : gid.node ? gid : mode;
    return r;
}

static int take_grant(const Place *at, Grant *g)
{
    bool is_long = at->node->type == YAML_MAPPING;
    Place source = is_long ? place_member(at, "source") : *at,
          target = is_long ? place_member(at, "target") : (Place) {};
    const char *path = NULL;
    int r;

    if (!source.node)
        return place_fail(at, EINVAL, "compose.bad-value", "`source` is missing: the name of a %s", g->kind->word);
    r = take_text(&source, &g->name);
    if (r >= 0 && target.node)
        r = take_text(&target, &path);
    if (r >= 0 && is_long)
        r = take_rights(at, g);
    if (r < 0)
        return r;
    path = path ? path : g->name;
    g->target = *path == '/' ? strdup(path) : str_format("%s%s", g->kind->folder, path);
    return g->target ? 0 : -ENOMEM;
}

/* A config is root's, and every user in the container may read it, unless something else is said. 0440 never took that from a
 * file that came along. */
static bool has_own_rights(const Grant *g)
{
    return g->kind->is_secret || g->uid > 0 || g->gid > 0 || (g->mode >= 0 && g->mode != 0444 && g->mode != 0440);
}

/* --- what it holds --- */

/* Without make_file it is not known where the box keeps it. */
static int make_mount(const Place *at, const Normaliser *n, ComposeService *s, const Grant *g, ComposeMadeFile made)
{
    _cleanup_(freep) char *source = NULL;
    int r = 0;

    made.service = s->name;
    made.name = g->name;
    made.is_secret = g->kind->is_secret;
    made.uid = g->uid;
    made.gid = g->gid;
    made.mode = g->mode;
    if (n->options->make_file)
        r = n->options->make_file(&made, &source, n->options->files, at->err);
    else
        source = str_format(FILES_DIR "/%s", g->name);
    if (r < 0)
        return r;
    return source ? put_file_mount(at, s, source, g->target) : -ENOMEM;
}

static int missing(const Place *file, const Grant *g, const char *path)
{
    if (g->kind->is_secret)
        return place_fail(file, ENOENT, "compose.file-missing",
                          "the file %s did not come with the compose file; put it on the box and name it by its "
                          "absolute path, or take the secret from secbox.env with `environment: VARIABLE`",
                          path);
    return place_fail(file, ENOENT, "compose.file-missing",
                      "the file %s did not come with the compose file; push it from the folder that has it, without "
                      "--no-files, or name a file of the box by its absolute path",
                      path);
}

/* A file of the box has the rights that it has there. */
static int mount_as_it_is(const Place *at, ComposeService *s, const Grant *g, const char *source)
{
    if (g->rights.node && has_own_rights(g))
        return place_fail(&g->rights, EINVAL, "compose.bad-value",
                          "`%s` cannot be given to a file that is on the box already: change the file's own owner and "
                          "mode there",
                          g->rights.key);
    return put_file_mount(at, s, source, g->target);
}

/* Without find_file it is not known what came along. What is made anew needs no place of its own as it came. */
static int mount_file(const Place *at, const Place *file, const Normaliser *n, ComposeService *s, const Grant *g)
{
    _cleanup_(freep) char *own = NULL, *found = NULL;
    const char *path = NULL, *below = NULL;
    int r = take_text(file, &path);

    if (r >= 0)
        r = take_host_path(file, n, path, &own);
    if (r < 0)
        return r;
    if (*path == '/')
        return mount_as_it_is(at, s, g, own);
    r = path_below_base(file, n, own, &below);
    if (r >= 0 && has_own_rights(g) && n->options->has_file)
        return n->options->has_file(below, n->options->files)
                   ? make_mount(at, n, s, g, (ComposeMadeFile) { .path = below })
                   : missing(file, g, path);
    if (r >= 0 && n->options->find_file) {
        r = find_travelled(file, n, own, true, &found);
        if (r >= 0 && !found)
            return missing(file, g, path);
    }
    if (r < 0)
        return r;
    if (has_own_rights(g))
        return make_mount(at, n, s, g, (ComposeMadeFile) { .path = below });
    return put_file_mount(at, s, found ? found : own, g->target);
}

static int mount_variable(const Place *at, const Place *variable, const Normaliser *n, ComposeService *s,
                          const Grant *g)
{
    const char *name = NULL, *value;
    int r = take_text(variable, &name);

    if (r < 0)
        return r;
    value = n->options->lookup(name, n->options->userdata);
    if (!value)
        return place_fail(variable, ENOKEY, "interpolate.unset",
                          "the %s %s is the value of the variable %s, which is not set; add it to secbox.env",
                          g->kind->word, g->name, name);
    return make_mount(at, n, s, g, (ComposeMadeFile) { .content = value });
}

static int mount_content(const Place *at, const Place *content, const Normaliser *n, ComposeService *s, const Grant *g)
{
    const char *text = NULL;
    int r = take_any_text(content, &text);

    return r < 0 ? r : make_mount(at, n, s, g, (ComposeMadeFile) { .content = text });
}

static int not_defined(const Place *at, const Grant *g)
{
    return place_fail(at, EINVAL, "compose.bad-value",
                      "there is no %s \"%s\"; define it with its `file`%s or `environment` under `%s` at the top level",
                      g->kind->word, g->name, g->kind->is_secret ? "" : ", `content`", g->kind->section);
}

static int add_grant(const Place *at, const Normaliser *n, ComposeService *s, const Grant *g)
{
    Place top = place_top(compose_file_name(n->file), n->root, at->err);
    Place section = place_member(&top, g->kind->section);
    Place definition = section.node ? place_member(&section, g->name) : (Place) {};
    Place file, content, variable;

    if (!definition.node)
        return not_defined(at, g);
    file = place_member(&definition, "file");
    content = place_member(&definition, "content");
    variable = place_member(&definition, "environment");
    if ((file.node != NULL) + (content.node != NULL) + (variable.node != NULL) != 1)
        return place_fail(&definition, EINVAL, "compose.bad-value", "the %s %s needs one of `file`%s and `environment`",
                          g->kind->word, g->name, g->kind->is_secret ? "" : ", `content`");
    if (content.node)
        return mount_content(at, &content, n, s, g);
    return variable.node ? mount_variable(at, &variable, n, s, g) : mount_file(at, &file, n, s, g);
}

static int normalise_grants(const Place *at, const Normaliser *n, const Kind *kind, ComposeService *s)
{
    for (size_t i = 0; i < at->node->n_items; i++) {
        Place item = place_child(at, i);
        Grant g = { .kind = kind, .uid = -1, .gid = -1, .mode = -1 };
        int r = take_grant(&item, &g);

        if (r >= 0)
            r = add_grant(&item, n, s, &g);
        free(g.target);
        if (r < 0)
            return r;
    }
    return 0;
}

int normalise_configs(const Place *at, const Normaliser *n, ComposeService *s)
{
    return normalise_grants(at, n, &config_kind, s);
}

int normalise_secrets(const Place *at, const Normaliser *n, ComposeService *s)
{
    return normalise_grants(at, n, &secret_kind, s);
}
