/* SPDX-License-Identifier: MIT */
#include "gateway/gateway-lease.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "gateway/store/serving-table.h"
#include "lib/base/strv.h"

struct GatewayLease {
    Store *store;
    StoreQuery *query;
    char *key, *place;
    int lock;
    gateway_lease_done_t on_done;
    void *userdata;
};

/* "HOST:/var/lib/secbox-gateway": copies of a state folder have the same keys. */
static char *where(const char *state_dir)
{
    char host[HOST_NAME_MAX + 1] = "";
    _cleanup_(freep) char *path = realpath(state_dir, NULL);
    if (gethostname(host, sizeof(host) - 1) < 0)
        host[0] = '\0';
    return str_format("%s:%s", host, path ? path : state_dir);
}

int gateway_lease_new(Store *store, const char *state_dir, const Key *key, GatewayLease **ret, Error *err)
{
    _cleanup_(gateway_lease_freep) GatewayLease *l = calloc(1, sizeof(*l));
    if (!l)
        return error_from_errno(err, -ENOMEM, "starting");
    *l = (GatewayLease) { .store = store, .key = key_thumbprint(key), .place = where(state_dir), .lock = -1 };
    if (!l->key || !l->place)
        return error_from_errno(err, -ENOMEM, "starting");
    l->lock = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (l->lock >= 0 && flock(l->lock, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return error_set(err, EBUSY, "gateway.state-in-use",
                         "%s is in use by another secbox-gateway: stop that one, or give this one a --state and a "
                         "--database of its own",
                         state_dir);
    *ret = TAKE_PTR(l);
    return 0;
}

GatewayLease *gateway_lease_free(GatewayLease *l)
{
    if (l) {
        store_query_free(l->query);
        free(l->key);
        free(l->place);
        closep(&l->lock);
        free(l);
    }
    return NULL;
}

static void on_answer(StoreQuery *q _unused_, int r, const StoreRows *rows, const Error *err, void *userdata)
{
    GatewayLease *l = userdata;
    _cleanup_(error_done) Error own = {};
    const char *other;
    l->query = NULL;
    if (r < 0 || store_rows_true(rows, 0, 0)) {
        l->on_done(r, err, l->userdata);
        return;
    }
    other = store_rows_get(rows, 0, 1);
    r = error_set(
        &own, EBUSY, "gateway.elsewhere",
        "another secbox-gateway, %s, serves with this database: this one takes over a minute after that one has "
        "ended",
        other ? other : "which has just begun");
    l->on_done(r, &own, l->userdata);
}

bool gateway_lease_asks(const GatewayLease *l)
{
    return l->query;
}

int gateway_lease_ask(GatewayLease *l, gateway_lease_done_t on_done, void *userdata)
{
    l->query = store_query_free(l->query);
    l->on_done = on_done;
    l->userdata = userdata;
    return store_query(l->store, sql_serving_take(l->key, l->place), on_answer, l, &l->query, NULL);
}
