/* SPDX-License-Identifier: MIT */
/* `configs`: files that come with the compose file, each mounted for reading where the service says, or as /NAME. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compose/normalise/normalise.h"
#include "lib/base/strv.h"

typedef struct ConfigUse {
    const char *name;
    char *target;
} ConfigUse;

/* Docker compose itself gives no other rights to a file of the machine. */
static int check_rights(const Place *at)
{
    static const struct {
        const char *key, *fits[4];
    } rights[] = {
        { "uid", { "0", "root" } },
        { "gid", { "0", "root" } },
        { "mode", { "0444", "444", "0440", "0644" } },
    };

    for (size_t i = 0; i < ELEMENTSOF(rights); i++) {
        Place member = place_member(at, rights[i].key);
        const char *text = NULL;
        bool fits = false;
        int r = member.node ? take_text(&member, &text) : 0;

        for (size_t k = 0; text && k < ELEMENTSOF(rights[i].fits); k++)
            fits = fits || str_equal(text, rights[i].fits[k]);
        if (r < 0)
            return r;
        if (text && !fits)
            return place_fail(&member, EINVAL, "compose.bad-value",
                              "a config is a file of root's that every user in the container may read (mode 0444), and "
                              "\"%s\" asks for something else; remove it, or have the container copy the file",
                              text);
    }
    return 0;
}

static int take_use(const Place *at, ConfigUse *use)
{
    Place source = at->node->type == YAML_MAPPING ? place_member(at, "source") : *at;
    Place target = at->node->type == YAML_MAPPING ? place_member(at, "target") : (Place) {};
    const char *path = NULL;
    int r;

    if (!source.node)
        return place_fail(at, EINVAL, "compose.bad-value", "`source` is missing: the name of a config");
    r = take_text(&source, &use->name);
    if (r >= 0 && target.node)
        r = take_text(&target, &path);
    if (r >= 0 && at->node->type == YAML_MAPPING)
        r = check_rights(at);
    if (r < 0)
        return r;
    use->target = path && *path == '/' ? strdup(path) : str_format("/%s", path ? path : use->name);
    return use->target ? 0 : -ENOMEM;
}

static int not_defined(const Place *at, const char *name)
{
    return place_fail(at, EINVAL, "compose.bad-value",
                      "there is no config \"%s\"; define it with its `file` under `configs` at the top level", name);
}

/* Without find_file it is not known what came along. */
static int find_source(const Place *file, const Normaliser *n, const char *path, char **ret)
{
    _cleanup_(freep) char *own = NULL;
    char *found = NULL;
    int r = take_host_path(file, n, path, &own);

    if (r >= 0 && *path != '/' && n->options->find_file) {
        r = find_travelled(file, n, own, true, &found);
        if (r >= 0 && !found)
            r = place_fail(
                file, ENOENT, "compose.file-missing",
                "the file %s did not come with the compose file; push it from the folder that has it, without "
                "--no-files, or name a file of the box by its absolute path",
                path);
        free(own);
        own = found;
    }
    if (r >= 0)
        *ret = TAKE_PTR(own);
    return r;
}

static int add_use(const Place *at, const Normaliser *n, ComposeService *s, const ConfigUse *use)
{
    Place top = place_top(compose_file_name(n->file), n->root, at->err), configs = place_member(&top, "configs");
    Place config = configs.node ? place_member(&configs, use->name) : (Place) {};
    Place file = config.node ? place_member(&config, "file") : (Place) {};
    _cleanup_(freep) char *source = NULL;
    const char *path = NULL;
    int r;

    if (!file.node)
        return not_defined(at, use->name);
    r = take_text(&file, &path);
    if (r >= 0)
        r = find_source(&file, n, path, &source);
    return r < 0 ? r : put_file_mount(at, s, source, use->target);
}

int normalise_configs(const Place *at, const Normaliser *n, ComposeService *s)
{
    for (size_t i = 0; i < at->node->n_items; i++) {
        Place item = place_child(at, i);
        ConfigUse use = {};
        int r = take_use(&item, &use);

        if (r >= 0)
            r = add_use(&item, n, s, &use);
        free(use.target);
        if (r < 0)
            return r;
    }
    return 0;
}
