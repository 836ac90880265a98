/* SPDX-License-Identifier: MIT */
/* doctor: services that have no container and none can be made for, since their image is not on the box either. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/strv.h"
#include "lib/data/image-ref.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define HTTPS_PORT 443
#define DOCKER_HUB "docker.io"
#define DOCKER_HOST "registry-1.docker.io"

static bool has_container(const Doctor *d, const char *service)
{
    const cJSON *s;

    cJSON_ArrayForEach(s, cJSON_GetObjectItemCaseSensitive(d->status, "services"))
        if (str_equal(json_string(s, "name"), service))
            return true;
    return false;
}

static bool is_here(Doctor *d, const char *image)
{
    const char *const ask[] = { "image", "exists", image, NULL };
    _cleanup_(freep) char *said = podman_says(d, ask);

    return said != NULL;
}

/* Whether somebody listens where the registry is; negative with the reason when not. */
static int ask_registry(const char *registry)
{
    const char *colon = strrchr(registry, ':');
    uint64_t port = HTTPS_PORT;
    _cleanup_(freep) char *host = NULL;

    if (colon && !strchr(colon, ']') && str_to_u64(colon + 1, 1, UINT16_MAX, &port) == 0)
        host = strndup(registry, (size_t) (colon - registry));
    else
        host = strdup(str_equal(registry, DOCKER_HUB) ? DOCKER_HOST : registry);
    int fd = host ? connect_to(host, (uint16_t) port) : -1;
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

/* "its registry … does not answer: Connection refused" */
static void finding_of_missing(Doctor *d, const cJSON *service, const char *image, Finding *f)
{
    const char *name = json_string(service, "name"), *since = json_string(service, "since");
    ImageRef ref = {};
    bool from_registry = image_ref_parse(image, &ref, NULL) == 0 && !ref.local;
    int r = from_registry ? ask_registry(ref.registry) : 0;

    if (r < 0)
        finding_set(f, VERDICT_FAIL, "Or have the registry brought back, and push the compose file again.",
                    "%s has no container, its image %s is not on this box, and the registry %s does not answer: %s",
                    name, image, ref.registry, r == -EDESTADDRREQ ? "its name does not resolve" : strerror(-r));
    else
        finding_set(f, VERDICT_FAIL,
                    from_registry ? "Push the compose file again, which pulls it."
                                  : "Make or load it again, and push the compose file again.",
                    "%s has no container, and its image %s is not on this box", name, image);
    if (since && timestamp_parse(since, &f->since) < 0)
        f->since = 0;
    /* the images of what can be gone back to are kept */
    if (r < 0 && json_string(d->status, "wayBack"))
        finding_remedy(f, "secboxctl rollback");
    image_ref_done(&ref);
}

void check_images(Doctor *d, Finding *f)
{
    const cJSON *watched = cJSON_IsObject(d->status) ? cJSON_GetObjectItemCaseSensitive(d->status, "watched") : NULL,
                *service;

    if (!cJSON_IsArray(watched) || !d->podman_info) {
        finding_set(f, VERDICT_UNKNOWN, "See the checks `agent` and `podman`.", "it is not told what runs");
        return;
    }
    cJSON_ArrayForEach(service, watched) {
        const char *name = json_string(service, "name"), *image = json_string(service, "image");

        if (!name || !image || has_container(d, name) || is_here(d, image))
            continue;
        finding_of_missing(d, service, image, f);
        return;
    }
    finding_pass(f, "each service has its container or its image");
}
