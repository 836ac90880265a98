/* SPDX-License-Identifier: MIT */
#include "compose/project-choice.h"

#include <errno.h>
#include <string.h>

#include "compose/parse/interpolate.h"
#include "compose/parse/parse.h"
#include "lib/base/strv.h"
#include "lib/data/project-name.h"

#define NAME_KEY "name"

ProjectVerdict project_choose(const ProjectFacts *facts)
{
    if (facts->said)
        return PROJECT_CHOICE_SAID;
    if (!facts->file_name || str_equal(facts->file_name, PROJECT_OWN_DEFAULT))
        return PROJECT_CHOICE_OWN;
    if (facts->has_project && facts->own_has_name)
        return PROJECT_CHOICE_UNCLEAR;
    return facts->own_has_name ? PROJECT_CHOICE_STAYS : PROJECT_CHOICE_BY_FILE;
}

static const char *lookup_nothing(const char *key, void *userdata)
{
    (void) key;
    (void) userdata;
    return NULL;
}

int project_file_name(const char *text, size_t len, const char *file, char **ret, Error *err)
{
    _cleanup_(compose_file_freep) ComposeFile *parsed = NULL;
    _cleanup_(error_done) Error why = {};
    _cleanup_(freep) char *name = NULL;
    const YamlNode *node;
    int r = compose_parse(text, len, file, &parsed, err);

    *ret = NULL;
    if (r < 0)
        return r;
    node = yaml_get(compose_file_root(parsed), NAME_KEY);
    if (!node || str_empty(node->value))
        return 0;
    const InterpolateContext context = {
        .lookup = lookup_nothing, .file = file, .line = node->key_line, .key = NAME_KEY
    };
    r = interpolate(node->value, &context, &name, &why);
    if (r == -ENOMEM)
        return error_from_errno(err, r, "reading a compose file");
    if (r < 0)
        return error_set_at(err, EINVAL, "project.bad-name", file, node->key_line, NAME_KEY,
                            "the project's name has to be known before a box is asked: give its variables a default "
                            "(${NAME:-shop}), or say the project by --project");
    if (project_name_check(name, &why) < 0)
        return error_set_at(err, EINVAL, "project.bad-name", file, node->key_line, NAME_KEY,
                            "%s; write another one, or say the project by --project", error_message(&why, -EINVAL));
    *ret = TAKE_PTR(name);
    return 0;
}
