/* SPDX-License-Identifier: MIT */
/* check: all that any box would say against compose files, without asking one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "compose/faults.h"
#include "compose/gather/travel.h"
#include "gateway/fleet/fleet.h"
#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"

static int add_errors(cJSON *object, const char *key, const ErrorList *list)
{
    cJSON *array = cJSON_AddArrayToObject(object, key);
    int r = array ? 0 : -ENOMEM;

    for (size_t i = 0; r >= 0 && i < list->n; i++)
        r = json_append(array, json_from_error(&list->items[i], -EINVAL));
    return r;
}

/* {"file", "ok", "errors", "more" when they are too many, "podmanCompose" when it cannot, "policy": {"findings", "allowing"}} */
static int add_file(cJSON *files, const char *path, ComposeFaults *faults)
{
    cJSON *entry = cJSON_CreateObject(), *policy = entry ? cJSON_CreateObject() : NULL;
    int r = json_append(files, entry);

    if (r >= 0)
        r = json_add_string(entry, "file", path);
    if (r >= 0)
        r = json_add_bool(entry, "ok", faults->refused.n == 0);
    if (r >= 0)
        r = add_errors(entry, "errors", &faults->refused);
    if (r >= 0 && faults->more)
        r = json_add_bool(entry, "more", true);
    if (r >= 0 && faults->engine.id)
        r = json_add_item(entry, "podmanCompose", json_from_error(&faults->engine, -ENOTSUP));
    r = r < 0 ? (cJSON_Delete(policy), r) : json_add_item(entry, "policy", policy);
    if (r >= 0)
        r = add_errors(policy, "findings", &faults->policy);
    if (r >= 0 && faults->allowing)
        r = json_add_item(policy, "allowing", TAKE_PTR(faults->allowing));
    return r;
}

static void print_errors(const ErrorList *list)
{
    for (size_t i = 0; i < list->n; i++) {
        _cleanup_(freep) char *text = text_error(&list->items[i], -EINVAL);

        printf("%s\n", text ? text : "(no memory)");
    }
}

static void print_file(const char *path, const ComposeFaults *faults)
{
    _cleanup_(freep) char *allowing = faults->allowing ? json_print(faults->allowing) : NULL;

    print_errors(&faults->refused);
    if (faults->more)
        printf("%s: and more, which show when these are mended\n", path);
    print_errors(&faults->policy);
    if (faults->policy.n > 0)
        printf("%s: a box refuses the last %zu unless its owner allows them%s%s\n", path, faults->policy.n,
               allowing ? " in policy.json: " : "", allowing ? allowing : "");
    if (faults->refused.n == 0)
        printf("%s: ok%s%s%s\n", path, faults->policy.n > 0 ? " where the policy allows it" : "",
               faults->engine.id ? ", unless a box has COMPOSE_ENGINE=podman-compose: " : "",
               faults->engine.id ? error_message(&faults->engine, -ENOTSUP) : "");
}

static int find(const Fleet *fleet, const char *path, char **ret_name, ComposeFaults *faults)
{
    _cleanup_(gathered_done) Gathered gathered = {};
    _cleanup_(error_done) Error err = {};
    int r = fleet_gather(fleet, path, &gathered, ret_name, &err);

    if (r >= 0) {
        const ComposeFiles files = project_files(&gathered);

        r = compose_find_faults(gathered.text, gathered.len, *ret_name, &files, faults);
        gathered_locate_all(&gathered, &faults->refused);
        gathered_locate_all(&gathered, &faults->policy);
        gathered_locate(&gathered, &faults->engine);
        return r;
    }
    *ret_name = strdup(path ? path : ".");
    if (!*ret_name)
        return -ENOMEM;
    if (gathered.faults.n == 0)
        return error_list_take(&faults->refused, &err);
    faults->refused = gathered.faults;
    gathered.faults = (ErrorList) {};
    return 0;
}

int verb_config(int argc, char **argv, void *userdata)
{
    const Fleet *fleet = userdata;
    _cleanup_(gathered_done) Gathered gathered = {};
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *name = NULL, *values = NULL;
    int r = fleet_gather(fleet, argc > 0 ? argv[0] : NULL, &gathered, &name, &err);

    if (r < 0) {
        report_other_errors(&gathered.faults);
        return fleet_fail(fleet, NULL, &err, r);
    }
    values = project_describe_values(&gathered);
    if (!str_empty(values))
        fprintf(stderr, "%s", values);
    return report_bytes(TAKE_PTR(gathered.text), gathered.len, EXIT_OK);
}

int verb_check(int argc, char **argv, void *userdata)
{
    const Fleet *fleet = userdata;
    _cleanup_(cJSON_Deletep) cJSON *document = cJSON_CreateObject();
    cJSON *files = document ? cJSON_AddArrayToObject(document, "files") : NULL;
    int exit_code = EXIT_OK, r = files ? 0 : -ENOMEM;

    for (int i = 0; r >= 0 && i < (argc > 0 ? argc : 1); i++) {
        _cleanup_(compose_faults_done) ComposeFaults faults = {};
        _cleanup_(freep) char *name = NULL;

        r = find(fleet, argc > 0 ? argv[i] : NULL, &name, &faults);
        if (faults.refused.n > 0)
            exit_code = EXIT_FAILED;
        if (r >= 0 && !fleet->json)
            print_file(name, &faults);
        if (r >= 0 && fleet->json)
            r = add_file(files, name, &faults);
    }
    if (r < 0)
        return fleet_fail(fleet, NULL, NULL, r);
    return fleet->json ? report_json(document, exit_code) : exit_code;
}
