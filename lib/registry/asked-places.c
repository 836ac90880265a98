/* SPDX-License-Identifier: MIT */
/* Where an image is asked for: at its registry's mirrors, then at the registry itself, as podman pulls. */
#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/registry/registry-client-impl.h"

static int find_host(Registry *r, const RegistryPlace *place, Host **ret, Error *err)
{
    _cleanup_(freep) char *key = str_format("%s%s", place->insecure ? "insecure " : "", place->host);
    Host *h = key ? map_get(r->hosts, key) : NULL;
    int k;

    if (!h) {
        h = key ? calloc(1, sizeof(*h)) : NULL;
        if (!h)
            return error_set(err, ENOMEM, "registry.config", "no memory");
        h->insecure = place->insecure;
        h->name = strdup(place->host);
        k = h->name ? registry_conf_authorities(r->options.conf, place->registry, &h->authorities, err) : -ENOMEM;
        if (k == 0)
            k = registry_conf_client_cert(r->options.conf, place->registry, &h->client_cert, &h->client_key, err);
        if (k == 0)
            k = map_put(r->hosts, key, h);
        if (k < 0) {
            registry_host_free(h);
            return k;
        }
    }
    *ret = h;
    return 0;
}

static Ask *ask_link(Registry *r)
{
    Ask *a = calloc(1, sizeof(*a));

    if (!a)
        return NULL;
    a->registry = r;
    a->next = r->asks;
    if (r->asks)
        r->asks->prev = a;
    r->asks = a;
    return a;
}

static Ask *ask_new(Registry *r, const ImageRef *ref, const LocalImage *local, registry_done_t on_done, void *userdata)
{
    Ask *a = ask_link(r);

    if (!a)
        return NULL;
    a->local = local;
    a->on_done = on_done;
    a->userdata = userdata;
    a->name = image_ref_print(ref, NULL);
    a->tag = strdup(ref->tag);
    if (!a->name || !a->tag) {
        ask_free(a);
        return NULL;
    }
    return a;
}

static void take_place(Ask *a)
{
    registry_place_done(&a->place);
    a->place = a->next_places.list[--a->next_places.n];
    a->next_places.list[a->next_places.n] = (RegistryPlace) {};
}

/* The first place that is left becomes the one to ask. One that podman's files make unusable is passed over, as one that does not
 * answer; the last one's error counts. */
static int find_place(Ask *a, Error *err)
{
    int k;

    do {
        error_done(err);
        take_place(a);
        k = find_host(a->registry, &a->place, &a->host, err);
    } while (k < 0 && k != -ENOMEM && a->next_places.n > 0);
    return k;
}

Ask *ask_elsewhere(Ask *a)
{
    Ask *next = ask_link(a->registry);

    if (!next)
        return NULL;
    next->local = a->local;
    next->on_done = a->on_done;
    next->userdata = a->userdata;
    next->name = TAKE_PTR(a->name);
    next->tag = TAKE_PTR(a->tag);
    next->next_places = a->next_places;
    a->next_places = (RegistryPlaceList) {};
    return next;
}

void ask_begin_again(Ask *a)
{
    _cleanup_(error_done) Error err = {};
    int k = find_place(a, &err);

    if (k < 0) {
        a->on_done(k, &(RegistryAnswer) { .remote = &a->remote }, &err, a->userdata);
        ask_free(a);
    } else if (!a->host->settled && a->host->has_leader) {
        a->waiting = true;
    } else if (a->host->settled && a->host->limited) {
        ask_fail(a, EBUSY, "registry.rate-limited", a->host->limited_usec,
                 "%s: not asked, since %s has been asked too often (429)", a->name, a->host->name);
    } else {
        a->host->has_leader = true;
        ask_go_ahead(a);
    }
}

int registry_ask(Registry *r, const ImageRef *ref, const LocalImage *local, registry_done_t on_done, void *userdata,
                 Error *err)
{
    Ask *a = ask_new(r, ref, local, on_done, userdata);
    RegistryPlaceList found = {};
    int k;

    if (!a)
        return error_set(err, ENOMEM, "registry.config", "no memory");
    k = registry_conf_find_all(r->options.conf, ref, &found, err);
    for (size_t i = 0; k == 0 && i < found.n; i++) /* the last one is taken first */
        a->next_places.list[i] = found.list[found.n - 1 - i];
    a->next_places.n = k == 0 ? found.n : 0;
    if (k == 0)
        k = find_place(a, err);
    if (k == 0 && a->host->has_leader && !a->host->settled) {
        a->waiting = true;
    } else if (k == 0) {
        k = ask_send_step(a, err);
        a->host->has_leader = k == 0;
    }
    if (k < 0)
        ask_free(a);
    return k;
}
