/* SPDX-License-Identifier: MIT */
/* Puts the file for podman-compose together: services, the networks and volumes that they use, labels, pinned
 * images; and a service's environment for podman's --env-file. */
#include "compose/render/render.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "compose/render/emit.h"
#include "compose/plan/plan.h"
#include "compose/render/render-keys.h"
#include "lib/base/buf.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* podman reads env files line by line, 64 KiB at most */
#define ENV_LINE_MAX (60 * 1024)

static bool is_rendered(const RenderOptions *o, const char *service)
{
    return !o->services || strv_contains((char *const *) o->services, service);
}

static int add_escaped(cJSON *object, const char *key, const char *text)
{
    _cleanup_(freep) char *escaped = render_escape(text);

    return escaped ? json_add_string(object, key, escaped) : -ENOMEM;
}

static int add_labels(const RenderService *r, const RenderOptions *o)
{
    const ComposeService *s = r->service;
    const cJSON *own = cJSON_GetObjectItemCaseSensitive(s->config, "labels");
    _cleanup_(cJSON_Deletep) cJSON *ours = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(r->out, "labels");
    int e = ours && list ? render_pairs(r, "labels", own, list) : -ENOMEM;

    e = e < 0 ? e : json_add_string(ours, LABEL_SERVICE, s->name);
    e = e < 0 || !*s->config_hash ? e : json_add_string(ours, LABEL_HASH, s->config_hash);
    e = e < 0 ? e : json_add_string(ours, LABEL_VERSION, o->version);
    return e < 0 ? e : render_pairs(r, "labels", ours, list);
}

static int add_env_file(const RenderService *r, const RenderOptions *o)
{
    const char *path = o->env_file ? o->env_file(r->service->name, o->userdata) : NULL;
    _cleanup_(freep) char *escaped = path ? render_escape(path) : NULL;
    cJSON *list;

    if (!path)
        return 0;
    list = cJSON_AddArrayToObject(r->out, "env_file");
    return escaped && list ? json_append(list, cJSON_CreateString(escaped)) : -ENOMEM;
}

static int render_service(const ComposeService *s, const RenderOptions *o, cJSON *services, Error *err)
{
    const RenderService r = { s, cJSON_AddObjectToObject(services, s->name), err, o };
    const char *image = o->image(s->name, o->userdata);
    const cJSON *member;
    int e;

    if (!r.out)
        return -ENOMEM;
    if (!image)
        return error_set_at(err, ENOENT, "render.no-image", NULL, s->line, s->name,
                            "there is no pulled image to run service \"%s\" from; pull it first", s->name);
    e = add_escaped(r.out, "container_name", s->container_name);
    e = e < 0 ? e : add_escaped(r.out, "image", image);
    e = e < 0 ? e : add_env_file(&r, o);
    cJSON_ArrayForEach(member, s->config) {
        e = e < 0 ? e : render_key(&r, member->string, member);
    }
    /* the normal form has these two always; a project made elsewhere may not */
    if (e >= 0 && !cJSON_HasObjectItem(r.out, "restart"))
        e = json_add_string(r.out, "restart", s->restart);
    for (size_t i = 0; e >= 0 && s->networks && s->networks[i] && !cJSON_HasObjectItem(s->config, "networks"); i++) {
        cJSON *list = cJSON_GetObjectItemCaseSensitive(r.out, "networks");

        list = list ? list : cJSON_AddArrayToObject(r.out, "networks");
        e = list ? json_append(list, cJSON_CreateString(s->networks[i])) : -ENOMEM;
    }
    return e < 0 ? e : add_labels(&r, o);
}

static int definition_unsupported(const char *kind, const char *name, const char *key, Error *err)
{
    _cleanup_(freep) char *path = str_format("%s.%s.%s", kind, name, key);

    return error_set_at(
        err, ENOTSUP, "render.unsupported", NULL, 0, path ? path : kind,
        "podman-compose on the boxes cannot pass on \"%s\" of %s \"%s\" (version 1.0.3 ignores it without a "
        "word); take it out, or make it by hand and declare it external",
        key, kind, name);
}

/* `name` is written out: the way a prefix is put before it differs between versions. */
static int render_definition(const RenderOptions *o, const char *kind, const cJSON *d, cJSON *out, Error *err)
{
    static const char *const passed_on[] = { "name", "external", "internal", "labels" };
    cJSON *item = cJSON_AddObjectToObject(out, d->string);
    const ComposeService owner = { .name = (char *) kind };
    const RenderService r = { &owner, item, err, o };
    const cJSON *labels = cJSON_GetObjectItemCaseSensitive(d, "labels");
    const cJSON *member;
    const char *name = json_string(d, "name");
    int e = item ? 0 : -ENOMEM;

    cJSON_ArrayForEach(member, d) {
        bool known = false;

        for (size_t i = 0; i < ELEMENTSOF(passed_on); i++)
            known = known || str_equal(member->string, passed_on[i]);
        if (!known && !o->partly)
            return definition_unsupported(kind, d->string, member->string, err);
    }
    if (e >= 0 && name)
        e = add_escaped(item, "name", name);
    if (e >= 0 && json_bool(d, "external", false))
        e = json_add_bool(item, "external", true);
    if (e >= 0 && json_bool(d, "internal", false))
        e = json_add_bool(item, "internal", true);
    if (e >= 0 && labels && labels->child)
        e = render_pairs(&r, "labels", labels, cJSON_AddArrayToObject(item, "labels"));
    return e;
}

static char *const *names_of(const ComposeService *s, const char *kind)
{
    return str_equal(kind, "networks") ? s->networks : s->volumes;
}

/* Only what the rendered services use: version 1.0.3 stops at a declared network that nobody uses. */
static int render_definitions(const ComposeProject *p, const RenderOptions *o, const char *kind,
                              const cJSON *definitions, cJSON *root, Error *err)
{
    cJSON *out = NULL;
    const cJSON *d;

    cJSON_ArrayForEach(d, definitions) {
        bool used = false;
        int e;

        for (size_t i = 0; i < p->n_services; i++)
            used = used ||
                   (is_rendered(o, p->services[i].name) && strv_contains(names_of(&p->services[i], kind), d->string));
        if (!used)
            continue;
        out = out ? out : cJSON_AddObjectToObject(root, kind);
        e = out ? render_definition(o, kind, d, out, err) : -ENOMEM;
        if (e < 0)
            return e;
    }
    return 0;
}

static int check_selection(const ComposeProject *p, const RenderOptions *o, Error *err)
{
    for (size_t i = 0; o->services && o->services[i]; i++)
        if (!compose_service_find(p, o->services[i]))
            return error_set(err, ENOENT, "render.no-service", "the compose file has no service \"%.100s\"",
                             o->services[i]);
    return 0;
}

int compose_render(const ComposeProject *p, const RenderOptions *options, char **ret, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *root = cJSON_CreateObject();
    cJSON *podman, *services;
    int r;

    if (!root)
        return -ENOMEM;
    r = check_selection(p, options, err);
    if (r >= 0 && p->name)
        r = add_escaped(root, "name", p->name);
    if (r < 0)
        return r;
    /* from 1.1 on everything would be put into one pod, which 1.0.3 does not */
    podman = cJSON_AddObjectToObject(root, "x-podman");
    services = cJSON_AddObjectToObject(root, "services");
    r = podman && services ? json_add_bool(podman, "in_pod", false) : -ENOMEM;
    for (size_t i = 0; r >= 0 && i < p->n_services; i++)
        if (is_rendered(options, p->services[i].name))
            r = render_service(&p->services[i], options, services, err);
    r = r < 0 ? r : render_definitions(p, options, "networks", p->networks, root, err);
    r = r < 0 ? r : render_definitions(p, options, "volumes", p->volumes, root, err);
    if (r < 0)
        return r;
    r = compose_emit_yaml(root, ret);
    return r < 0 ? error_from_errno(err, r, "cannot write the compose file out") : 0;
}

/* podman 4.3 trims white space at the start of a line, skips lines with '#', and takes a line without '='
 * from the host's environment; quotes and everything behind the first '=' stay as they are. */
static bool env_key_is_fine(const char *key)
{
    if (!*key || *key == '#')
        return false;
    for (const char *p = key; *p; p++)
        if (*p == '=' || (unsigned char) *p <= ' ' || *p == 0x7f)
            return false;
    return true;
}

static int check_env(const ComposeService *s, const cJSON *item, Error *err)
{
    _cleanup_(freep) char *path = str_format("services.%s.environment.%.100s", s->name, item->string);

    if (!path)
        return -ENOMEM;
    if (!env_key_is_fine(item->string))
        return error_set_at(err, EINVAL, "render.bad-environment-key", NULL, s->line, path,
                            "a variable's name must be without white space and '=', and not begin with '#'");
    if (!cJSON_IsString(item))
        return error_set_at(err, EINVAL, "render.bad-environment-value", NULL, s->line, path,
                            "the variable has no text as its value");
    if (strpbrk(item->valuestring, "\n\r"))
        return error_set_at(
            err, EINVAL, "render.multi-line-value", NULL, s->line, path,
            "the value has a line break, which an env file cannot hold; encode it (for example base64)");
    if (strlen(item->string) + strlen(item->valuestring) > ENV_LINE_MAX)
        return error_set_at(err, EMSGSIZE, "render.value-too-long", NULL, s->line, path,
                            "name and value are longer than %d bytes, more than podman reads in one line",
                            ENV_LINE_MAX);
    return 0;
}

int compose_render_env(const ComposeService *s, char **ret, Error *err)
{
    size_t size = 1;
    const cJSON *item;
    char *text, *end;

    cJSON_ArrayForEach(item, s->environment) {
        int r = check_env(s, item, err);

        if (r < 0)
            return r;
        size += strlen(item->string) + strlen(item->valuestring) + 2;
    }
    if (size > COMPOSE_RENDERED_MAX)
        return error_set_at(err, EMSGSIZE, "render.too-large", NULL, s->line, s->name,
                            "the environment of service \"%s\" is larger than %d bytes", s->name, COMPOSE_RENDERED_MAX);
    /* one block, never moved: a growing buffer would leave copies of secrets behind */
    text = end = malloc(size);
    if (!text)
        return -ENOMEM;
    cJSON_ArrayForEach(item, s->environment) {
        end = stpcpy(stpcpy(stpcpy(stpcpy(end, item->string), "="), item->valuestring), "\n");
    }
    *end = '\0';
    *ret = text;
    return 0;
}
