/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/order-floors.h"

#include <errno.h>

#include "lib/base/strv.h"
#include "mgmt-agent/state/state-file.h"

#define FILE_NAME "orders.json"

static const JsonField floor_fields[] = {
    { JSON_FIELD(OrderFloor, serial, "serial") },
    { JSON_TIME_FIELD(OrderFloor, issued, "issuedAt") },
    { JSON_FIELD(OrderFloor, statement, "statement") },
    { JSON_FIELD(OrderFloor, id, "id") },
    { JSON_FIELD(OrderFloor, who, "signedBy") },
    { JSON_REST_FIELD(OrderFloor, rest) },
    {},
};
static const JsonType floor_type = JSON_TYPE(OrderFloor, floor_fields);

static const JsonField fields[] = {
    { JSON_OBJECT_FIELD(OrderFloors, services, "services", &floor_type) },
    { JSON_OBJECT_FIELD(OrderFloors, packages, "packages", &floor_type) },
    { JSON_OBJECT_FIELD(OrderFloors, releases, "releases", &floor_type) },
    { JSON_REST_FIELD(OrderFloors, rest) },
    {},
};
static const JsonType type = JSON_TYPE(OrderFloors, fields);

int order_floors_load(OrderFloors *ret, Error *err)
{
    int r = state_load(FILE_NAME, &type, ret, err);

    return r == -ENOENT ? 0 : r;
}

void order_floors_done(OrderFloors *f)
{
    json_done(&type, f);
}

const OrderFloor *order_floors_of(const OrderFloors *f, OrderKind kind)
{
    return kind == ORDER_KIND_AGENT_PACKAGE ? f->packages : kind == ORDER_KIND_RELEASE ? f->releases : f->services;
}

int order_floors_take(OrderKind kind, const OrderFloor *floor, Error *err)
{
    _cleanup_(order_floors_done) OrderFloors f = {};
    OrderFloor *copy = calloc(1, sizeof(*copy)), **place;
    int r = copy ? order_floors_load(&f, err) : -ENOMEM;

    if (r == 0)
        r = json_copy(&floor_type, floor, copy);
    if (r < 0) {
        free(copy);
        return error_from_errno(err, r, "cannot note which order was taken");
    }
    place = kind == ORDER_KIND_AGENT_PACKAGE ? &f.packages : kind == ORDER_KIND_RELEASE ? &f.releases : &f.services;
    if (*place)
        json_done(&floor_type, *place);
    free(*place);
    *place = copy;
    return state_save(FILE_NAME, &type, &f, err);
}

int order_floors_describe(cJSON *result)
{
    _cleanup_(order_floors_done) OrderFloors f = {};
    const char *id = json_string(result, "id");
    const OrderFloor *floor = NULL;

    if (order_floors_load(&f, NULL) < 0)
        return 0;
    cJSON *o = cJSON_CreateObject();
    if (json_add_item(result, "authority", o) < 0)
        return -ENOMEM;
    if (id)
        floor = f.services && str_equal(f.services->id, id)   ? f.services
                : f.packages && str_equal(f.packages->id, id) ? f.packages
                : f.releases && str_equal(f.releases->id, id) ? f.releases
                                                              : NULL;
    return floor ? json_add_string(o, "signedBy", floor->who) < 0 || json_add_u64(o, "serial", floor->serial) < 0
                       ? -ENOMEM
                       : 0
                 : json_add_bool(o, "unsigned", true);
}
