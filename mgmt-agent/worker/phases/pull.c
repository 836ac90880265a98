/* SPDX-License-Identifier: MIT */
/* Every image is here, by id, before any container stops; and it survives a power cut. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "mgmt-agent/worker/phases/deploy.h"
#include "mgmt-agent/worker/jobs/update.h"

#define PULL_TRIES 3
#define PULL_PAUSE_USEC USEC_PER_SEC

/* localhost/ is podman's name for what was built on this box: no registry has it. */
static bool is_local(const char *image)
{
    return str_starts(image, "localhost/");
}

/* What another try of the same cannot mend. Podman tells only by words. */
static bool is_final(const char *message)
{
    static const char *const words[] = {
        "manifest unknown",  "unauthorized", "denied", "authentication required", "no space left on device", "x509:",
        "invalid reference", "not found"
    };

    for (size_t i = 0; i < ELEMENTSOF(words); i++)
        if (message && strstr(message, words[i]))
            return true;
    return false;
}

static int judge_pull(const char *service, const Error *reason, int r, Error *err)
{
    bool full = reason->message && strstr(reason->message, "no space left on device");

    if (full)
        r = error_set(err, ENOSPC, "pull.no-space", "%s; remove unused images: podman image prune",
                      error_message(reason, r));
    else
        r = error_set(err, r, error_id(reason), "%s", error_message(reason, r));
    return error_prefix(err, r, "service %s", service);
}

int deploy_pull_image(Deploy *d, const char *service, const char *reference, const char *policy, char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *before = NULL;

    if (podman_images(d->podman, &before, NULL) < 0) /* then it stays for ever, which is the safe side */
        log_debug("which images are here already is not known");
    for (unsigned tries = 1;; tries++) {
        _cleanup_(error_done) Error reason = {};
        int r;

        deploy_progress(d, "info", service, "pulling %s", reference);
        r = podman_pull(d->podman, reference, policy, d->options->pull_timeout_usec, ret, &reason);
        if (r == 0) {
            deploy_note_pulled(d, before, *ret, reference);
            return 0;
        }
        if (tries == PULL_TRIES || !str_equal(error_id(&reason), "pull.failed") || is_final(reason.message))
            return judge_pull(service, &reason, r, err);
        deploy_progress(d, "info", service, "trying again, and keeping the layers that came: %s",
                        error_message(&reason, r));
        usleep((useconds_t) (PULL_PAUSE_USEC * tries));
    }
}

static int pull_one(Deploy *d, const ComposeService *s, Error *err)
{
    const char *policy = s->pull_policy ? s->pull_policy : "missing";
    bool here = map_get(d->image_ids, s->name) != NULL;
    char *id = NULL;
    int r;

    if (is_local(s->image) || str_equal(policy, "never")) {
        if (here)
            return 0;
        return error_set_at(err, ENOENT, "image.missing", NULL, s->line, s->name,
                            "service %s needs image %s, which is not on this box and may not be pulled", s->name,
                            s->image);
    }
    if (here && !str_equal(policy, "always"))
        return 0;
    r = deploy_pull_image(d, s->name, s->image, str_equal(policy, "always") ? "always" : "missing", &id, err);
    if (r < 0)
        return r;
    if (map_put(d->image_ids, s->name, id) < 0) {
        free(id);
        return -ENOMEM;
    }
    return 1;
}

/* Podman returns before its layers are on disk; after a power cut the image would be there by name and hollow
 * (measured: every time without this, never with it). */
static int sync_store(Deploy *d, Error *err)
{
    _cleanup_(closep) int fd = -1;
    const char *store;
    int r = podman_graphroot(d->podman, &store, err);

    if (r < 0)
        return r;
    fd = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) < 0)
        return error_set(err, errno, "pull.sync", "cannot sync podman's store %s: %s", store, strerror(errno));
    return 0;
}

int deploy_pull(Deploy *d, Error *err)
{
    bool pulled = false;
    int r = 0;

    if (d->only)
        r = update_pull(d, &pulled, err);
    for (size_t i = 0; !d->only && i < d->project->n_services; i++) {
        r = pull_one(d, &d->project->services[i], err);
        if (r < 0)
            return r;
        pulled = pulled || r > 0;
    }
    if (r >= 0 && pulled)
        r = sync_store(d, err);
    /* ids are known now: a service whose image turned out to be the one that runs does not change */
    return r < 0 ? r : deploy_make_plan(d, err);
}
