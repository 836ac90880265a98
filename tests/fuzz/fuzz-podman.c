/* SPDX-License-Identifier: MIT */
/* Whatever podman answers: no read outside of it, every failure has an id, nothing is longer than what came. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "mgmt-agent/worker/podman/podman-answer.h"
#include "compose/prove/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void list_containers(const cJSON *answer)
{
    _cleanup_(error_done) Error err = {};
    ObservedContainer *all = NULL;
    size_t n = 0;

    if (podman_answer_containers(answer, "box", &all, &n, &err) < 0) {
        if (!err.id || all)
            abort();
        return;
    }
    for (size_t i = 0; i < n; i++)
        if (!all[i].id[0] || !all[i].name || !all[i].image_id || !all[i].config_hash || !all[i].state)
            abort();
    observed_free_all(all, n);
}

static void show_image(const cJSON *answer)
{
    _cleanup_(local_image_done) LocalImage image = {};
    _cleanup_(error_done) Error err = {};

    if ((podman_answer_image(answer, &image, &err) == 0) != (image.id && !err.id))
        abort();
}

/* The same JSON as an answer to inspect, for a service that wants nothing and for one that wants something. */
static void compare_settings(const cJSON *answer)
{
    static const char *const wishes[] = {
        "{}",
        "{\"command\":[\"a\"],\"user\":\"1\",\"ports\":[{\"container\":\"80\",\"protocol\":\"tcp\",\"host\":\"80\"}],"
        "\"volumes\":[{\"type\":\"bind\",\"source\":\"/a\",\"target\":\"/b\"},{\"type\":\"tmpfs\",\"target\":\"/c\"}]}",
    };

    for (size_t i = 0; i < ELEMENTSOF(wishes); i++) {
        _cleanup_(cJSON_Deletep) cJSON *config = cJSON_Parse(wishes[i]);
        _cleanup_(cJSON_Deletep) cJSON *environment = cJSON_Parse("{\"A\":\"1\"}");
        char name[] = "web", restart[] = "always", network[] = "default", *networks[] = { network, NULL };
        ComposeService s = { .name = name,
                             .restart = restart,
                             .networks = networks,
                             .config = config,
                             .environment = i ? environment : NULL };
        ComposeProject p = { .name = name, .services = &s, .n_services = 1 };
        _cleanup_(freep) char *sentence = NULL;
        int r = settings_compare(&s, &p, &(ProofFacts) {}, answer, &sentence);

        if ((r == 1) != (sentence != NULL))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *body = malloc(size + 1);
    _cleanup_(freep) char *id = NULL;
    _cleanup_(freep) char *log = NULL;
    _cleanup_(error_done) Error err = {};
    _cleanup_(cJSON_Deletep) cJSON *answer = NULL;

    if (!body)
        return 0;
    memcpy(body, data, size);
    body[size] = '\0';
    if ((podman_answer_pull(body, size, "a:1", &id, &err) == 0) != (id && !err.id))
        abort();
    log = podman_answer_log((const char *) data, size);
    if (!log || strlen(log) > size)
        abort();
    if (json_parse(body, size, &answer, NULL) == 0) {
        list_containers(answer);
        show_image(answer);
        compare_settings(answer);
    }
    return 0;
}
