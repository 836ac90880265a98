/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>

#include "lib/base/strv.h"
#include "lib/cli/report.h"
#include "lib/cli/table.h"
#include "lib/data/project-name.h"

static int add_own(const cJSON *status, cJSON *list)
{
    const cJSON *current = cJSON_GetObjectItemCaseSensitive(status, "current"),
                *services = cJSON_GetObjectItemCaseSensitive(status, "services");
    cJSON *o = cJSON_CreateObject();

    if (json_append(list, o) < 0 || json_add_string(o, "name", PROJECT_OWN_DEFAULT) < 0 ||
        json_add_string(o, "version", json_string(current, "version")) < 0 ||
        json_add_string(o, "at", json_string(current, "at")) < 0)
        return -ENOMEM;
    const cJSON *watched = cJSON_GetObjectItemCaseSensitive(status, "watched");
    if (watched && json_add_item(o, "watched", cJSON_Duplicate(watched, true)) < 0)
        return -ENOMEM;
    return services ? json_add_item(o, "services", cJSON_Duplicate(services, true)) : 0;
}

cJSON *report_projects_of(const cJSON *status)
{
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    cJSON *list = cJSON_CreateArray();
    const cJSON *other;

    if (json_add_item(document, "projects", list) < 0 || add_own(status, list) < 0)
        return NULL;
    cJSON_ArrayForEach(other, cJSON_GetObjectItemCaseSensitive(status, "projects"))
        if (json_append(list, cJSON_Duplicate(other, true)) < 0)
            return NULL;
    return TAKE_PTR(document);
}

static const cJSON *named(const cJSON *services, const char *name)
{
    const cJSON *service;

    cJSON_ArrayForEach(service, services)
        if (str_equal(json_string(service, "name"), name))
            return service;
    return NULL;
}

/* "web: running, db: exited (down)": podman's word, and what the watch on the service makes of it; those too of which podman knows
 * nothing any more. */
static char *services_text(const cJSON *project)
{
    const cJSON *services = cJSON_GetObjectItemCaseSensitive(project, "services"),
                *watched = cJSON_GetObjectItemCaseSensitive(project, "watched"), *service;
    _cleanup_(strv_freep) char **parts = NULL;

    cJSON_ArrayForEach(service, services) {
        const char *name = json_string(service, "name"), *state = json_string(service, "state"),
                   *word = json_string(named(watched, name), "state");
        bool more = word && !str_equal(word, state) && !str_equal(word, "unknown");

        if (strv_addf(&parts, "%s: %s%s%s%s", name ? name : "-", state ? state : "-", more ? " (" : "",
                      more ? word : "", more ? ")" : "") < 0)
            return NULL;
    }
    cJSON_ArrayForEach(service, watched) {
        const char *name = json_string(service, "name"), *word = json_string(service, "state");

        if (!named(services, name) && strv_addf(&parts, "%s: %s", name ? name : "-", word ? word : "-") < 0)
            return NULL;
    }
    return parts ? strv_join(parts, ", ") : str_format("-");
}

char *report_projects(const cJSON *document)
{
    static const char *const headers[] = { "PROJECT", "VERSION", "SINCE", "STATE", "SERVICES", NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);
    const cJSON *project;

    if (!table)
        return NULL;
    cJSON_ArrayForEach(project, cJSON_GetObjectItemCaseSensitive(document, "projects")) {
        _cleanup_(freep) char *services = services_text(project), *at = report_when(json_string(project, "at"));
        const char *version = json_string(project, "version"), *state = !version ? "not deployed"
                                                                        : json_bool(project, "stopped", false)
                                                                            ? "stopped"
                                                                            : "deployed";

        if (!services ||
            table_row(table, json_string(project, "name"), version ? version : "-", at ? at : "-", state, services) < 0)
            return NULL;
    }
    return table_print(table, 0);
}

void report_project_of_file(const char *name, const char *project)
{
    if (project)
        fprintf(stderr,
                "the file's name makes it the project %s of this box (--project " PROJECT_OWN_DEFAULT
                " is the box's own, --project %s says the same)\n",
                name, name);
    else
        fprintf(stderr,
                "the file is called %s, and stays the box's own project; --project %s makes it one of its own beside "
                "that\n",
                name, name);
}
