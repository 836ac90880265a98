/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/podman/podman-create.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/worker/podman/podman-call.h"

#define CREATE_TIMEOUT_USEC (5 * USEC_PER_MINUTE)

int podman_create(Podman *p, const char *kind, const char *name, const cJSON *spec, Error *err)
{
    _cleanup_(freep) char *path = str_format("/%ss/create", kind);
    _cleanup_(freep) char *what = str_format("make the %s %s", kind, name);
    _cleanup_(freep) char *body = json_print(spec);
    int r = path && what && body ? podman_exists(p, kind, name, err) : -ENOMEM;

    if (r != 0)
        return r < 0 ? r : 0;
    return podman_call(p, "POST", path, body, CREATE_TIMEOUT_USEC, what, NULL, err);
}

static int read_id(const HttpResponse *response, char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *answer = NULL;
    int r = json_parse_object(response->body, response->body_len, &answer, err);

    if (r < 0)
        return r;
    *ret = json_string(answer, "Id") ? strdup(json_string(answer, "Id")) : NULL;
    return *ret ? 0 : error_set(err, EIO, "podman.refused", "podman gave no id for a new container");
}

int podman_create_container(Podman *p, const cJSON *spec, char **ret, Error *err)
{
    /* it holds the environment */
    _cleanup_(secret_freep) char *body = json_print(spec);
    _cleanup_(http_response_done) HttpResponse response = {};
    int r = body ? podman_call(p, "POST", "/containers/create", body, CREATE_TIMEOUT_USEC, "make a container",
                               &response, err)
                 : -ENOMEM;

    return r < 0 ? r : read_id(&response, ret, err);
}

/* n calls at the same time whose answers are of no more use than that they are there. */
static int call_each(Podman *p, const PodmanCall *calls, size_t n, char **ret_ids, Error *errs, int *results)
{
    _cleanup_(freep) HttpResponse *answers = calloc(n + 1, sizeof(*answers));
    int r = answers ? podman_call_all(p, calls, n, (unsigned) n, answers, errs, results) : -ENOMEM;

    for (size_t i = 0; answers && i < n; i++) {
        if (r == 0 && results[i] == 0 && ret_ids)
            results[i] = read_id(&answers[i], &ret_ids[i], &errs[i]);
        http_response_done(&answers[i]);
    }
    return r;
}

int podman_create_containers(Podman *p, cJSON *const *specs, size_t n, char **ret_ids, Error *errs, int *results)
{
    _cleanup_(freep) PodmanCall *calls = calloc(n + 1, sizeof(*calls));
    _cleanup_(freep) char **bodies = calloc(n + 1, sizeof(*bodies));
    int r = calls && bodies ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++) {
        bodies[i] = json_print(specs[i]);
        calls[i] = (PodmanCall) { "POST", "/containers/create", bodies[i], CREATE_TIMEOUT_USEC, "make a container" };
        r = bodies[i] ? 0 : -ENOMEM;
    }
    if (r == 0)
        r = call_each(p, calls, n, ret_ids, errs, results);
    for (size_t i = 0; bodies && i < n; i++)
        secret_free(bodies[i]);
    return r;
}

/* Podman takes the start of an id for a name where no such name is: that would be a stranger's container. */
static bool may_begin_an_id(const char *name)
{
    return name[strspn(name, "0123456789abcdefABCDEF")] == '\0';
}

/* The id of what podman's store alone has under this name: a new string, or NULL. */
static char *find_in_store(Podman *p, const char *name)
{
    _cleanup_(http_response_done) HttpResponse response = {};
    _cleanup_(cJSON_Deletep) cJSON *list = NULL;
    const cJSON *c;

    if (podman_call(p, "GET", "/containers/json?all=true&external=true", NULL, CREATE_TIMEOUT_USEC,
                    "list what is in its store", &response, NULL) < 0 ||
        json_parse(response.body, response.body_len, &list, NULL) < 0)
        return NULL;
    cJSON_ArrayForEach(c, list) {
        const cJSON *names = cJSON_GetObjectItemCaseSensitive(c, "Names");

        if (str_equal(json_string(c, "State"), "storage") && json_string(c, "Id") &&
            str_equal(cJSON_GetStringValue(cJSON_GetArrayItem(names, 0)), name))
            return strdup(json_string(c, "Id"));
    }
    return NULL;
}

/* The killed creation had mounted it. By its id: a container that somebody makes meanwhile under this name has another one. */
static int free_mounted_name(Podman *p, const char *name, Error *err)
{
    _cleanup_(freep) char *id = find_in_store(p, name);
    _cleanup_(freep) char *path = id ? str_format("/containers/%s?force=true", id) : NULL;

    if (!path)
        return error_set(err, EBUSY, "podman.refused", "the name %s is in use, and podman does not show by what", name);
    return podman_call(p, "DELETE", path, NULL, CREATE_TIMEOUT_USEC, "free the name of a mounted container", NULL, err);
}

int podman_free_name(Podman *p, const char *name, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    _cleanup_(error_done) Error reason = {};
    _cleanup_(freep) char *path = NULL;
    int r = podman_inspect(p, name, &info, &reason);

    if (r == 0 || may_begin_an_id(name))
        return 0;
    if (r != -ENOENT)
        return error_set(err, r, error_id(&reason), "%s", error_message(&reason, r));
    error_done(&reason);
    path = str_format("/containers/%s", name);
    /* without force: a container that somebody has made meanwhile stays */
    r = path ? podman_call(p, "DELETE", path, NULL, CREATE_TIMEOUT_USEC, "free the name of a container", NULL, &reason)
             : -ENOMEM;
    if (r < 0 && strstr(error_message(&reason, r), "is mounted"))
        return free_mounted_name(p, name, err);
    return r < 0 && r != -ENOENT ? error_set(err, r, error_id(&reason), "%s", error_message(&reason, r)) : 0;
}

int podman_start_new(Podman *p, const char *id, Error *err)
{
    _cleanup_(freep) char *path = str_format("/containers/%s/start", id);

    return path ? podman_call(p, "POST", path, NULL, CREATE_TIMEOUT_USEC, "start a container", NULL, err) : -ENOMEM;
}

int podman_start_all_new(Podman *p, char *const *ids, size_t n, int *results)
{
    _cleanup_(freep) PodmanCall *calls = calloc(n + 1, sizeof(*calls));
    _cleanup_(strv_freep) char **paths = calloc(n + 1, sizeof(*paths));
    _cleanup_(freep) Error *errs = calloc(n + 1, sizeof(*errs));
    int r = calls && paths && errs ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++) {
        paths[i] = str_format("/containers/%s/start", ids[i]);
        calls[i] = (PodmanCall) { "POST", paths[i], NULL, CREATE_TIMEOUT_USEC, "start a container" };
        r = paths[i] ? 0 : -ENOMEM;
    }
    if (r == 0)
        r = call_each(p, calls, n, NULL, errs, results);
    for (size_t i = 0; errs && i < n; i++)
        error_done(&errs[i]);
    return r;
}
