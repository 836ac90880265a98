/* SPDX-License-Identifier: MIT */
#include "compose/engine-check.h"

#include "compose/render/render.h"
#include "compose/spec/spec.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

static const char *image_as_named(const char *service _unused_, void *userdata)
{
    const ComposeService *s = userdata;

    return s->image;
}

int engine_check_podman_compose(const ComposeProject *p, const ComposeService *s, Error *err)
{
    const char *only[] = { s->name, NULL };
    const RenderOptions options = {
        .services = only, .version = "0", .image = image_as_named, .run_args = true, .userdata = (void *) s
    };
    _cleanup_(secret_freep) char *env = NULL;
    _cleanup_(freep) char *text = NULL;
    int r = compose_render(p, &options, &text, err);

    return r < 0 ? r : compose_render_env(s, &env, err);
}

int engine_check_definitions(const ComposeProject *p, const ComposeService *s, Error *err)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && s->networks && s->networks[i]; i++) {
        const cJSON *definition = cJSON_GetObjectItemCaseSensitive(p->networks, s->networks[i]);
        _cleanup_(cJSON_Deletep) cJSON *spec = NULL;

        r = definition ? compose_spec_network(p, definition, &spec, err) : 0;
    }
    return r;
}

int engine_check_libpod(const ComposeProject *p, const ComposeService *s, Error *err)
{
    const SpecOptions options = { .image = "any", .version = "0", .folder = "/" };
    _cleanup_(cJSON_Deletep) cJSON *spec = NULL;
    int r = compose_spec(p, s, &options, &spec, err);

    return r < 0 ? r : engine_check_definitions(p, s, err);
}

static int check(const char *setting, const ComposeProject *p, const ComposeService *s, Error *err)
{
    const char *name = setting ? setting : ENGINE_DEFAULT;
    _cleanup_(error_done) Error reason = {};
    int r;

    if (str_equal(name, ENGINE_AUTO) && engine_check_podman_compose(p, s, NULL) >= 0)
        return 0;
    if (!str_equal(name, ENGINE_PODMAN_COMPOSE))
        return engine_check_libpod(p, s, err);
    r = engine_check_podman_compose(p, s, &reason);
    if (r >= 0 || engine_check_libpod(p, s, NULL) < 0) {
        (void) error_copy(err, &reason);
        return r;
    }
    return error_set_at(err, -r, error_id(&reason), reason.file, reason.line, reason.key,
                        "%s; libpod can: take COMPOSE_ENGINE=podman-compose out of mgmt-agent.env",
                        error_message(&reason, r));
}

int engine_check_all(const char *setting, const ComposeProject *p, Error *err)
{
    int r = 0;

    for (size_t i = 0; r >= 0 && i < p->n_services; i++)
        r = check(setting, p, &p->services[i], err);
    return r;
}
