/* SPDX-License-Identifier: MIT */
/* Builds resolved projects for the tests of policy, plan and render from a short JSON description. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "compose/compose.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static inline char **test_names(const cJSON *list)
{
    char **names = NULL;
    const cJSON *item;

    cJSON_ArrayForEach(item, list) {
        assert_int_equal(strv_add(&names, item->string ? item->string : item->valuestring), 0);
    }
    return names;
}

static inline cJSON *test_object(const cJSON *parent, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(parent, key);

    return item ? cJSON_Duplicate(item, true) : cJSON_CreateObject();
}

static inline void test_service(const cJSON *from, const char *project, ComposeService *s)
{
    const char *container = json_string(from, "container_name");
    const char *restart;
    const cJSON *mount;

    s->name = strdup(from->string);
    s->line = 7;
    s->container_name = container ? strdup(container) : str_format("%s_%s_1", project, s->name);
    s->image = strdup(json_string(from, "image") ? json_string(from, "image") : "localhost/web:1");
    s->environment = test_object(from, "environment");
    s->config = test_object(from, "config");
    if (!cJSON_HasObjectItem(s->config, "networks"))
        cJSON_AddObjectToObject(cJSON_AddObjectToObject(s->config, "networks"), "default");
    if (!cJSON_HasObjectItem(s->config, "restart"))
        cJSON_AddStringToObject(s->config, "restart", "no");
    restart = json_string(s->config, "restart");
    s->restart = strdup(restart);
    s->networks = test_names(cJSON_GetObjectItemCaseSensitive(s->config, "networks"));
    s->depends_on = test_names(cJSON_GetObjectItemCaseSensitive(from, "depends_on"));
    cJSON_ArrayForEach(mount, cJSON_GetObjectItemCaseSensitive(s->config, "volumes")) {
        if (str_equal(json_string(mount, "type"), "volume"))
            assert_int_equal(strv_add(&s->volumes, json_string(mount, "source")), 0);
    }
    s->stop_grace_seconds = 10;
}

/* {"services": {NAME: {"image", "container_name", "environment", "config"}}, "networks": {}, "volumes": {}}
 */
static inline ComposeProject *project_from_json(const char *text)
{
    _cleanup_(cJSON_Deletep) cJSON *root = NULL;
    _cleanup_(error_done) Error err = {};
    ComposeProject *p = calloc(1, sizeof(*p));
    const cJSON *services, *service;
    int r = json_parse_object(text, strlen(text), &root, &err);

    if (r < 0)
        fail_msg("%s: %s", text, error_message(&err, r));
    assert_non_null(p);
    services = cJSON_GetObjectItemCaseSensitive(root, "services");
    p->name = strdup("box");
    p->services = calloc((size_t) cJSON_GetArraySize(services) + 1, sizeof(ComposeService));
    assert_non_null(p->services);
    cJSON_ArrayForEach(service, services) {
        test_service(service, p->name, &p->services[p->n_services++]);
    }
    p->networks = test_object(root, "networks");
    if (!cJSON_HasObjectItem(p->networks, "default"))
        cJSON_AddItemToObject(p->networks, "default", cJSON_Parse("{\"name\":\"box_default\",\"external\":false}"));
    p->volumes = test_object(root, "volumes");
    return p;
}
