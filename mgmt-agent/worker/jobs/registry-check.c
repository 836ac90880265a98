/* SPDX-License-Identifier: MIT */
/* Asks registries, without rights: whatever a registry can make of this process, it can do no more than look at its own memory
 * and, for a rootless podman, what podman's user may. */

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/utsname.h>

#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/event/daemon.h"
#include "lib/registry/registry-client.h"
#include "mgmt-agent/worker/jobs/update-check.h"
#include "mgmt-agent/worker/phases/report.h"

#define REQUEST_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define CONNECT_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define STALL_USEC (15 * USEC_PER_SEC)
#define NOBODY 65534

typedef struct Round Round;

typedef struct Image {
    Round *round;
    const cJSON *request;
    ImageRef ref;
    LocalImage local;
    cJSON *answer;
} Image;

struct Round {
    sd_event *event;
    RegistryConf *conf;
    Registry *registry;
    Image *images;
    size_t n, open;
};

static void round_done(Round *r)
{
    registry_free(r->registry);
    registry_conf_free(r->conf);
    for (size_t i = 0; i < r->n; i++) {
        image_ref_done(&r->images[i].ref);
        local_image_done(&r->images[i].local);
        cJSON_Delete(r->images[i].answer);
    }
    free(r->images);
    sd_event_unref(r->event);
}

static int say_unknown(Image *image, int r, const Error *err, usec_t retry_after)
{
    bool later = registry_error_is_passing(error_id(err));
    cJSON *o = image->answer;

    if (json_add_string(o, "state", "unknown") < 0 || json_add_item(o, "error", json_from_error(err, r)) < 0 ||
        json_add_bool(o, "later", later) < 0)
        return -ENOMEM;
    return retry_after > 0 ? json_add_int(o, "retryAfterSeconds", (int) (retry_after / USEC_PER_SEC)) : 0;
}

static int say_found(Image *image, const RegistryAnswer *answer)
{
    const char *config = answer->remote->config_digest;
    const char *hex = config ? strchr(config, ':') : NULL;
    bool is_new = answer->verdict == IMAGE_NEW;
    cJSON *o = image->answer;

    if (json_add_string(o, "state", is_new ? "new" : "current") < 0 ||
        json_add_string(o, "digest", answer->remote->digest) < 0)
        return -ENOMEM;
    if (is_new && (json_add_string(o, "platformDigest", answer->remote->platform_digest) < 0 ||
                   json_add_string(o, "newImageId", hex ? hex + 1 : NULL) < 0))
        return -ENOMEM;
    return 0;
}

static void on_found(int r, const RegistryAnswer *answer, const Error *err, void *userdata)
{
    Image *image = userdata;
    int k = r < 0 ? say_unknown(image, r, err, answer->retry_after_usec) : say_found(image, answer);

    if (--image->round->open == 0 || k < 0)
        (void) sd_event_exit(image->round->event, k);
}

static int take_local(Image *image)
{
    const char *id = json_string(image->request, "id"), *digest = json_string(image->request, "digest");
    const cJSON *entry;

    image->local.id = id ? strdup(id) : NULL;
    image->local.digest = digest ? strdup(digest) : NULL;
    if ((id && !image->local.id) || (digest && !image->local.digest))
        return -ENOMEM;
    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(image->request, "repoDigests"))
        if (cJSON_IsString(entry) && strv_add(&image->local.repo_digests, entry->valuestring) < 0)
            return -ENOMEM;
    return 0;
}

/* 0 also when the answer is known without asking. */
static int ask(Image *image)
{
    const char *name = json_string(image->request, "image");
    _cleanup_(error_done) Error err = {};
    int r = image_ref_parse(name ? name : "", &image->ref, &err);

    if (r == 0 && (image->ref.local || image->ref.digest))
        return json_add_string(image->answer, "state", image->ref.local ? "local" : "pinned");
    if (r == 0)
        r = take_local(image);
    if (r == 0)
        r = registry_ask(image->round->registry, &image->ref, &image->local, on_found, image, &err);
    if (r < 0)
        return say_unknown(image, r, &err, 0);
    image->round->open++;
    return 0;
}

static char *in_home(const char *rest)
{
    const char *home = getenv("HOME");

    return str_empty(home) ? NULL : str_format("%s/%s", home, rest);
}

static int load_conf(Round *round, Error *err)
{
    _cleanup_(freep) char *config = in_home(".config"), *docker = in_home(".docker");
    const char *runtime = getenv("XDG_RUNTIME_DIR");
    _cleanup_(freep) char *auth = runtime ? str_format("%s/containers/auth.json", runtime)
                                          : str_format("/run/containers/%u/auth.json", (unsigned) geteuid());
    RegistryPlaces places = { .etc = "/etc/containers",
                              .config_home = config,
                              .docker_config = docker,
                              .runtime_auth = auth,
                              .auth_file = getenv("REGISTRY_AUTH_FILE"),
                              .registries_conf = getenv("CONTAINERS_REGISTRIES_CONF") };

    return registry_conf_load(&places, &round->conf, err);
}

/* What is left of root is given up before the first byte comes from outside. */
static int drop_rights(Error *err)
{
    pid_t parent = getppid();

    if (geteuid() == 0 &&
        (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
        return error_set(err, errno, "registry.config", "cannot give up root's rights: %s", strerror(errno));
    /* the change of user forgets it */
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
        return error_set(err, EPERM, "registry.config", "cannot give up the right to gain rights");
    return 0;
}

static int open_round(Round *round, const cJSON *request, Error *err)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(request, "images"), *entry;
    RegistryOptions options = { .request_timeout_usec = REQUEST_TIMEOUT_USEC,
                                .connect_timeout_usec = CONNECT_TIMEOUT_USEC,
                                .stall_usec = STALL_USEC };
    uint64_t seconds = CHECK_SECONDS_DEFAULT;
    struct utsname machine;
    int r = load_conf(round, err);

    (void) json_u64(request, "timeoutSeconds", &seconds);
    if (r == 0 && (uname(&machine) < 0 || sd_event_new(&round->event) < 0))
        r = error_set(err, ENOMEM, "registry.config", "no event loop");
    if (r < 0)
        return r;
    options.conf = round->conf;
    options.platform = platform_of_machine(machine.machine);
    options.deadline_usec = seconds * USEC_PER_SEC;
    r = registry_new(round->event, &options, &round->registry, err);
    round->images = r == 0 ? calloc((size_t) cJSON_GetArraySize(list) + 1, sizeof(Image)) : NULL;
    if (r == 0 && !round->images)
        r = error_set(err, ENOMEM, "registry.config", "no memory");
    cJSON_ArrayForEach(entry, list)
        if (r == 0)
            round->images[round->n++] = (Image) { .round = round, .request = entry };
    return r;
}

static int run_round(Round *round, Error *err)
{
    int r = 0;

    for (size_t i = 0; i < round->n && r == 0; i++) {
        round->images[i].answer = cJSON_CreateObject();
        r = round->images[i].answer ? ask(&round->images[i]) : -ENOMEM;
    }
    if (r == 0)
        r = drop_rights(err);
    if (r == 0 && round->open > 0)
        r = sd_event_loop(round->event);
    return r < 0 ? error_from_errno(err, r, "asking registries") : 0;
}

static int add_answers(cJSON *o, Round *round)
{
    RegistryFigures figures = registry_figures(round->registry);
    cJSON *list = cJSON_CreateArray();

    if (json_add_item(o, "images", list) < 0 || json_add_int(o, "requests", (int) figures.requests) < 0 ||
        json_add_int(o, "bytes", (int) figures.bytes) < 0)
        return -ENOMEM;
    for (size_t i = 0; i < round->n; i++)
        if (json_append(list, TAKE_PTR(round->images[i].answer)) < 0)
            return -ENOMEM;
    return 0;
}

int job_registry_check(Deploy *d, const cJSON *request)
{
    _cleanup_(round_done) Round round = {};
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    _cleanup_(error_done) Error err = {};
    int r = open_round(&round, request, &err);

    (void) d;
    if (r == 0)
        r = run_round(&round, &err);
    if (!o || json_add_string(o, "type", "worker.registry-check") < 0 ||
        (r < 0 ? json_add_item(o, "error", json_from_error(&err, r)) : add_answers(o, &round)) < 0)
        return 1;
    report_emit(o);
    return r < 0;
}
