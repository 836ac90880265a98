/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/worker/podman/podman-stale.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "mgmt-agent/host/rootless-netns.h"
#include "mgmt-agent/worker/podman/podman-call.h"
#include "mgmt-agent/worker/podman/user-process.h"

#define LIST_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define COMMAND_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define ID_DIGITS 64

static bool is_id(const char *text)
{
    return text && strlen(text) == ID_DIGITS && text[strspn(text, "0123456789abcdef")] == '\0';
}

StaleState podman_stale_state(const char *sentence, const char *id)
{
    _cleanup_(freep) char *crun = is_id(id) ? str_format("container `%s` already exists", id) : NULL;

    /* podman 4; 4 and 5 where the file is there, and was not mounted yet */
    if (strstr(sentence, "failed to mount runtime directory for rootless netns") ||
        (strstr(sentence, "file exists") &&
         (strstr(sentence, "rootless netns: create netns") || strstr(sentence, "creating rootless network namespace"))))
        return STALE_NETNS;
    if (is_id(id) && ((crun && strstr(sentence, crun)) || strstr(sentence, "container with given ID already exists")))
        return STALE_RUNTIME;
    return STALE_NONE;
}

/* As the user: below a folder of somebody else's, root would follow where that one leads. */
static int run_as_user(const PodmanUser *user, const char *const *argv, Error *err)
{
    const ProcessSpec spec = podman_user_spec(user, argv, COMMAND_TIMEOUT_USEC);
    _cleanup_(process_result_done) ProcessResult result = {};
    int r = process_run(&spec, NULL, NULL, &result, err);

    if (r < 0)
        return r;
    if (!result.timed_out && result.status == 0)
        return 0;
    _cleanup_(freep) char *safe = redact_text(result.err ? result.err : "");
    return error_set(err, EIO, "podman.stale", "%s failed: %.*s", argv[0], safe ? (int) strcspn(safe, "\n") : 0,
                     safe ? safe : "");
}

/* Whoever runs on a bridge is in that namespace: new ones would be in another. */
static int check_bridges_are_empty(Podman *p, Error *err)
{
    _cleanup_(http_response_done) HttpResponse response = {};
    _cleanup_(cJSON_Deletep) cJSON *list = NULL;
    const cJSON *c;
    int r =
        podman_call(p, "GET", "/containers/json?all=true", NULL, LIST_TIMEOUT_USEC, "list containers", &response, err);

    if (r == 0)
        r = json_parse(response.body, response.body_len, &list, err);
    cJSON_ArrayForEach(c, list) {
        const char *state = json_string(c, "State"),
                   *name = cJSON_GetStringValue(cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(c, "Names"), 0));
        bool stands = str_equal(state, "created") || str_equal(state, "configured") || str_equal(state, "exited") ||
                      str_equal(state, "stopped");

        if (r == 0 && !stands && cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(c, "Networks")) > 0)
            r = error_set(err, EBUSY, "podman.stale",
                          "the network of this user's containers was lost while %s runs in it: stop all that run on a "
                          "bridge, and start them again",
                          name ? name : "a container");
    }
    return r;
}

static int remove_netns(Podman *p, const PodmanUser *user, char **ret_removed, Error *err)
{
    const char *graphroot = NULL;
    _cleanup_(strv_freep) char **files = NULL;
    int r = user->uid != 0 && user->runtime_dir
                ? podman_graphroot(p, &graphroot, err)
                : error_set(err, ENOTSUP, "podman.stale", "podman complains of a network that only other users have");

    if (r == 0)
        r = check_bridges_are_empty(p, err);
    if (r < 0)
        return r;
    files = rootless_netns_files(user, graphroot);
    if (!files)
        return -ENOMEM;
    const char *argv[] = { "/bin/rm", "-f", "--", files[0], files[1], NULL };
    r = run_as_user(user, argv, err);
    if (r == 0)
        *ret_removed =
            strdup("podman had been killed while it made the network of its containers: the name of that was "
                   "removed, so that podman makes it anew");
    return r;
}

/* The program that podman has used for it, which alone knows where its records are. */
static char *runtime_of(const cJSON *info)
{
    static const char *const known[] = { "crun", "runc" }, *const folders[] = { "/usr/bin", "/usr/sbin",
                                                                                "/usr/local/bin" };
    const char *said = json_string(info, "OCIRuntime"), *slash = said ? strrchr(said, '/') : NULL;
    const char *name = slash ? slash + 1 : said;

    for (size_t i = 0; i < ELEMENTSOF(known); i++)
        for (size_t k = 0; k < ELEMENTSOF(folders) && str_equal(name, known[i]); k++) {
            _cleanup_(freep) char *path = slash ? strdup(said) : str_format("%s/%s", folders[k], name);

            if (path && path[0] == '/' && access(path, X_OK) == 0)
                return TAKE_PTR(path);
        }
    return NULL;
}

static int remove_record(const PodmanUser *user, const cJSON *info, const char *id, char **ret_removed, Error *err)
{
    _cleanup_(freep) char *runtime = runtime_of(info);
    const char *argv[] = { runtime, "delete", "--force", id, NULL };
    int r = runtime
                ? run_as_user(user, argv, err)
                : error_set(err, ENOENT, "podman.stale",
                            "the OCI runtime has a record of a container that podman takes for stopped, and is none "
                            "of those that are known here");

    if (r == 0)
        *ret_removed = strdup("podman or its monitor had been killed, and the OCI runtime still had the container's "
                              "record: that was removed");
    return r;
}

int podman_start_over_stale(Podman *p, const PodmanUser *user, const char *container,
                            int (*start)(Podman *p, const char *container, Error *err), char **ret_removed, Error *err)
{
    _cleanup_(error_done) Error first = {}, why = {};
    _cleanup_(cJSON_Deletep) cJSON *info = NULL;
    int r, cleared = -EINVAL;

    *ret_removed = NULL;
    if (podman_is_outlived(p))
        return error_set(err, EAGAIN, "podman.refused",
                         "the service manager of podman's user was started anew meanwhile, and nothing that this has "
                         "started could be looked at: do it once more");
    r = start(p, container, &first);
    if (r == 0)
        return 0;
    /* only where the id is wanted: podman keeps others waiting while it starts a container again and again */
    bool named = strstr(error_message(&first, r), "already exists");
    const char *id = named && podman_inspect(p, container, &info, NULL) == 0 ? json_string(info, "Id") : NULL;
    StaleState stale = podman_stale_state(error_message(&first, r), id);
    if (stale == STALE_NETNS)
        cleared = remove_netns(p, user, ret_removed, &why);
    else if (stale == STALE_RUNTIME)
        cleared = remove_record(user, info, id, ret_removed, &why);
    if (cleared == 0)
        return start(p, container, err);
    if (stale != STALE_NONE)
        return error_set(err, r, "podman.stale", "%s; %s", error_message(&first, r), error_message(&why, cleared));
    return error_set(err, r, error_id(&first), "%s", error_message(&first, r));
}
