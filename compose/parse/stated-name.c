/* SPDX-License-Identifier: MIT */
#include "compose/parse/stated-name.h"

#include <errno.h>

#include "compose/parse/interpolate.h"
#include "lib/base/strv.h"

static const char *unknown(const char *name _unused_, void *userdata _unused_)
{
    return NULL;
}

int compose_stated_name(const YamlNode *root, char **ret)
{
    const InterpolateContext context = { .lookup = unknown };
    const YamlNode *name = yaml_get(root, "name");
    _cleanup_(freep) char *text = NULL;

    *ret = NULL;
    if (!name || name->type != YAML_SCALAR || str_empty(name->value))
        return 0;
    int r = interpolate(name->value, &context, &text, NULL);
    if (r < 0)
        return r == -ENOMEM ? r : 0;
    if (!str_empty(text))
        *ret = TAKE_PTR(text);
    return 0;
}

int compose_stated_name_of(const char *text, size_t len, char **ret)
{
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;
    int r = yaml_parse(text, len, "compose file", &root, NULL);

    *ret = NULL;
    return r < 0 ? (r == -ENOMEM ? r : 0) : compose_stated_name(root, ret);
}
