/* SPDX-License-Identifier: MIT */
/* Puts the services of a file together: what must be unique is unique, what is named exists, and the order is
 * one in which they can start. */
#include "compose/resolve.h"

#include <errno.h>
#include <string.h>

#include "compose/normalise/data-folders.h"
#include "compose/normalise/normalise.h"
#include "compose/parse/variables.h"
#include "compose/resolve-anonymous.h"
#include "compose/resolve-links.h"
#include "compose/resolve-ports.h"
#include "compose/resolve-replicas.h"
#include "lib/base/buf.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* The place of a service's member, for errors that are found after normalising. */
static int fail_service(const Place *services, const ComposeService *s, const char *member, const char *id,
                        const char *message)
{
    Place service = place_member(services, compose_declared_name(s)), at = place_member(&service, member);

    return place_fail(&at, EINVAL, id, "%s", message);
}

/* --- unique across services --- */

static int check_container_names(const ComposeProject *p, const Place *services)
{
    for (size_t i = 0; i < p->n_services; i++)
        for (size_t j = 0; j < i; j++) {
            _cleanup_(freep) char *message = NULL;

            if (!str_equal(p->services[i].container_name, p->services[j].container_name))
                continue;
            message = str_format("the services %s and %s would both be the container %s; podman-compose would drop one",
                                 p->services[j].name, p->services[i].name, p->services[i].container_name);
            return fail_service(services, &p->services[i], "container_name", "compose.duplicate-container-name",
                                message ? message : "");
        }
    return 0;
}

/* --- what services name --- */

/* At the entry that names it: in the normal form the entries have the order of the file. */
static int fail_volume(const Place *services, const ComposeService *s, const char *name, const char *message)
{
    Place service = place_member(services, compose_declared_name(s)), list = place_member(&service, "volumes");
    const cJSON *mount;
    size_t i = 0;

    cJSON_ArrayForEach(mount, cJSON_GetObjectItemCaseSensitive(s->config, "volumes")) {
        if (str_equal(json_string(mount, "type"), "volume") && str_equal(json_string(mount, "source"), name) &&
            i < list.node->n_items) {
            Place at = place_child(&list, i);
            return place_fail(&at, EINVAL, "compose.missing-volume", "%s", message);
        }
        i++;
    }
    return place_fail(&list, EINVAL, "compose.missing-volume", "%s", message);
}

static int check_volumes(const ComposeProject *p, const Place *services)
{
    for (size_t i = 0; i < p->n_services; i++) {
        const ComposeService *s = &p->services[i];

        for (size_t k = 0; s->volumes && s->volumes[k]; k++) {
            _cleanup_(freep) char *message = NULL;

            if (cJSON_GetObjectItemCaseSensitive(p->volumes, s->volumes[k]))
                continue;
            message =
                str_format("the volume %s is not under the top-level `volumes`; declare it there, or start a path "
                           "with ./",
                           s->volumes[k]);
            return fail_volume(services, s, s->volumes[k], message ? message : "");
        }
    }
    return 0;
}

static bool is_used(const ComposeProject *p, const char *name, bool network)
{
    for (size_t i = 0; i < p->n_services; i++)
        if (strv_contains(network ? p->services[i].networks : p->services[i].volumes, name))
            return true;
    return false;
}

static void drop_unused(const ComposeProject *p, cJSON *definitions, bool networks)
{
    for (cJSON *item = definitions->child, *next; item; item = next) {
        next = item->next;
        if (!is_used(p, item->string, networks) && !(networks && str_equal(item->string, "default")))
            cJSON_Delete(cJSON_DetachItemViaPointer(definitions, item));
    }
}

/* --- order --- */

enum {
    UNSEEN,
    OPEN,
    DONE,
};

typedef struct Order {
    const ComposeProject *p;
    const Place *services;
    unsigned char *state;
    size_t *path; /* indices of the open services, for naming a cycle */
    size_t path_length;
    size_t *order;
    size_t n;
} Order;

static void order_done(Order *o)
{
    free(o->state);
    free(o->path);
    free(o->order);
}

static int fail_cycle(const Order *o, size_t service)
{
    _cleanup_(buf_done) Buf b = BUF_INIT(8192);
    size_t start = 0;
    int r = buf_puts(&b, "services wait for each other: ");

    while (o->path[start] != service)
        start++;
    for (size_t i = start; r >= 0 && i < o->path_length; i++)
        r = buf_printf(&b, "%s → ", o->p->services[o->path[i]].name);
    if (r >= 0)
        r = buf_puts(&b, o->p->services[service].name);
    return r < 0
               ? r
               : fail_service(o->services, &o->p->services[service], "depends_on", "compose.dependency-cycle", b.data);
}

/* Depth is bounded by COMPOSE_SERVICES_MAX. */
static int place_service(Order *o, size_t i)
{
    char **depends_on = o->p->services[i].depends_on;

    if (o->state[i] == DONE)
        return 0;
    if (o->state[i] == OPEN)
        return fail_cycle(o, i);
    o->state[i] = OPEN;
    o->path[o->path_length++] = i;
    for (; depends_on && *depends_on; depends_on++) {
        const ComposeService *s = compose_service_find(o->p, *depends_on);
        int r = place_service(o, (size_t) (s - o->p->services));

        if (r < 0)
            return r;
    }
    o->path_length--;
    o->state[i] = DONE;
    o->order[o->n++] = i;
    return 0;
}

static int sort_services(ComposeProject *p, const Place *services)
{
    _cleanup_(order_done) Order o = { .p = p, .services = services };
    ComposeService *sorted;

    o.state = calloc(p->n_services, sizeof(*o.state));
    o.path = calloc(p->n_services, sizeof(*o.path));
    o.order = calloc(p->n_services, sizeof(*o.order));
    if (!o.state || !o.path || !o.order)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_services; i++) {
        int r = place_service(&o, i);
        if (r < 0)
            return r;
    }
    sorted = calloc(p->n_services, sizeof(*sorted));
    if (!sorted)
        return -ENOMEM;
    for (size_t i = 0; i < p->n_services; i++)
        sorted[i] = p->services[o.order[i]];
    free(p->services);
    p->services = sorted;
    return 0;
}

/* --- the whole --- */

static void normaliser_done(Normaliser *n)
{
    data_folders_done(n->data_folders);
    strv_free(n->off);
}

static int check_project_name(const Place *top, const char *project)
{
    Place name = place_member(top, "name");
    const char *text = NULL;
    int r;

    if (!compose_name_is_valid(project))
        return place_fail(top, EINVAL, "compose.name", "\"%s\" cannot be the name of a project", project);
    if (!name.node || yaml_is_null(name.node))
        return 0;
    /* what a box runs has the box's name for it, whatever the file is called elsewhere */
    r = take_text(&name, &text);
    if (r < 0 || compose_name_is_valid(text))
        return r;
    return place_fail(&name, EINVAL, "compose.name", "\"%s\" cannot be the name of a project", text);
}

static int counts_none(const Place *at, bool *ret)
{
    const char *text = NULL;
    int r = at->node && !yaml_is_null(at->node) ? take_text(at, &text) : 0;

    *ret = *ret || str_equal(text, "0");
    return r;
}

/* A service that is to run no times is not there, for nobody: what depends on it does not wait for it. */
static int drop_switched_off(const Place *services, YamlNode *list, Normaliser *n)
{
    size_t kept = 0;
    int r = 0;

    for (size_t i = 0; i < list->n_items; i++) {
        YamlNode *service = list->items[i];
        Place at = place_child(services, i), deploy = place_member(&at, "deploy");
        Place scale = place_member(&at, "scale"), replicas = place_member(&deploy, "replicas");
        bool off = false;

        if (r >= 0)
            r = counts_none(&scale, &off);
        if (r >= 0)
            r = counts_none(&replicas, &off);
        if (r >= 0 && off)
            r = strv_add(&n->off, service->key);
        if (r >= 0 && off)
            yaml_node_free(service);
        else
            list->items[kept++] = service;
    }
    list->n_items = kept;
    return r;
}

static int normalise_services(const Place *services, const Normaliser *n, ComposeProject *p)
{
    p->services = calloc(services->node->n_items, sizeof(*p->services));
    if (!p->services)
        return -ENOMEM;
    for (size_t i = 0; i < services->node->n_items; i++) {
        Place at = place_child(services, i);
        ComposeService *s = &p->services[p->n_services++];
        int r;

        s->name = strdup(at.key);
        r = s->name ? normalise_service(&at, n, s) : -ENOMEM;
        if (r < 0)
            return r;
    }
    return 0;
}

static int build_project(const Place *top, Normaliser *n, ComposeProject *p)
{
    Place services = place_member(top, "services");
    int r = check_project_name(top, n->options->project);

    if (r >= 0)
        r = drop_switched_off(&services, (YamlNode *) services.node, n);
    if (r >= 0 && services.node->n_items == 0)
        return place_fail(&services, EINVAL, "compose.no-services", "every service is to run 0 times, so none would");
    if (r >= 0)
        r = normalise_services(&services, n, p);
    if (r >= 0)
        r = normalise_definitions(top, n, p);
    if (r >= 0)
        r = resolve_links(p, n, &services);
    if (r >= 0)
        r = resolve_replicas(p, &services);
    if (r >= 0)
        r = resolve_anonymous_volumes(p, &services);
    if (r >= 0)
        r = check_container_names(p, &services);
    if (r >= 0)
        r = resolve_ports(p, &services);
    if (r >= 0)
        r = check_volumes(p, &services);
    if (r >= 0)
        r = sort_services(p, &services);
    if (r < 0)
        return r;
    drop_unused(p, p->networks, true);
    drop_unused(p, p->volumes, false);
    return 0;
}

int compose_resolve(const ComposeFile *f, const ComposeResolveOptions *options, ComposeProject **ret, Error *err)
{
    _cleanup_(compose_project_freep) ComposeProject *p = calloc(1, sizeof(*p));
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;
    DataFolders folders = {};
    _cleanup_(normaliser_done) Normaliser n = { .options = options, .file = f, .data_folders = &folders };
    Place top;
    int r = p ? compose_interpolate(f, options->lookup, options->userdata, NULL, &root, err) : -ENOMEM;

    if (r < 0)
        return error_from_errno(err, r, "cannot resolve %s", f->name);
    n.root = root;
    top = place_top(f->name, root, err);
    p->name = strdup(options->project);
    p->networks = cJSON_CreateObject();
    p->volumes = cJSON_CreateObject();
    r = p->name && p->networks && p->volumes ? build_project(&top, &n, p) : -ENOMEM;
    if (r < 0)
        return error_from_errno(err, r, "cannot resolve %s", f->name);
    *ret = TAKE_PTR(p);
    return 0;
}
