/* SPDX-License-Identifier: MIT */
#include "gateway/http/which-project.h"

#include <errno.h>
#include <string.h>

#include "compose/project-choice.h"
#include "gateway/http/compose-body.h"
#include "gateway/store/deployments-table.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "lib/data/project-name.h"

#define COMPOSE_NAME "compose.yaml"

typedef struct Settling {
    void (*next)(Request *c);
    char *name; /* in the file */
} Settling;

static void settling_free(void *scratch)
{
    Settling *s = scratch;
    free(s->name);
    free(s);
}

static bool has_name(const char *text, const char *name)
{
    _cleanup_(freep) char *found = NULL;
    _cleanup_(error_done) Error err = {};

    return text && project_file_name(text, strlen(text), COMPOSE_NAME, &found, &err) >= 0 && str_equal(found, name);
}

static int say(cJSON *body, const ProjectFacts *facts, const char *device, Error *err)
{
    ProjectVerdict choice = project_choose(facts);

    if (choice == PROJECT_CHOICE_UNCLEAR)
        return error_set(err, EBUSY, "project.unclear",
                         "device %s has a project %s, and the file of its own project has that name, too: say which is "
                         "meant, by --project %s or --project %s",
                         device, facts->file_name, facts->file_name, PROJECT_OWN_DEFAULT);
    return json_add_string(body, "project", choice == PROJECT_CHOICE_BY_FILE ? facts->file_name : PROJECT_OWN_DEFAULT);
}

static void on_facts(Request *c, const StoreRows *rows)
{
    Settling *s = c->scratch;
    void (*next)(Request * c) = s->next;
    _cleanup_(error_done) Error err = {};
    const ProjectFacts facts = {
        .file_name = s->name,
        .has_project = store_rows_true(rows, 0, 0),
        .own_has_name = has_name(store_rows_get(rows, 0, 1), s->name),
    };
    int r = store_rows_true(rows, 0, 2) ? say(c->body, &facts, c->args[0], &err)
                                        : error_set(&err, ENOENT, "device.not-found", "there is no such device here");

    c->scratch = NULL;
    c->scratch_free = NULL;
    settling_free(s);
    if (r < 0)
        request_fail(c, r, &err);
    else
        next(c);
}

static void ask(Request *c, char *name, void (*next)(Request *c))
{
    Settling *s = calloc(1, sizeof(*s));

    if (!s) {
        free(name);
        request_fail(c, -ENOMEM, NULL);
        return;
    }
    *s = (Settling) { .next = next, .name = name };
    c->scratch = s;
    c->scratch_free = settling_free;
    request_query(c, sql_project_facts(c->args[0], name), on_facts);
}

void which_project_settle(Request *c, void (*next)(Request *c))
{
    _cleanup_(error_done) Error err = {};
    const cJSON *body = request_parse_body(c);
    const char *text = json_string(body, "compose");
    char *name = NULL;

    if (!body)
        return;
    if (cJSON_HasObjectItem(body, "project") || cJSON_HasObjectItem(body, "order") || !text ||
        strlen(text) > YAML_SIZE_MAX) {
        next(c);
        return;
    }
    int r = project_file_name(text, strlen(text), COMPOSE_NAME, &name, &err);
    if (r < 0 && str_equal(error_id(&err), "project.bad-name"))
        request_fail(c, r, &err);
    else if (r < 0 || !name || str_equal(name, PROJECT_OWN_DEFAULT)) { /* what else is wrong is said next */
        free(name);
        next(c);
    } else {
        ask(c, name, next);
    }
}

static void answer(Request *c)
{
    const char *compose = NULL, *project = json_string(c->body, "project");
    _cleanup_(error_done) Error err = {};
    int r = compose_body_check(c->body, &compose, &err);
    cJSON *body = r < 0 ? NULL : cJSON_CreateObject();

    if (r < 0) {
        request_fail(c, r, &err);
    } else if (!body || json_add_string(body, "project", project ? project : PROJECT_OWN_DEFAULT) < 0) {
        cJSON_Delete(body);
        request_fail(c, -ENOMEM, NULL);
    } else {
        request_answer(c, 200, body);
    }
}

static void which(Request *c)
{
    which_project_settle(c, answer);
}

const Route which_project_routes[] = {
    { "POST", "/v1/devices/*/project", ACCESS_OPERATOR, which, "which project a file would be pushed to" },
    {},
};
