/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/agent/order-admission.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/cli/finding-clock.h"
#include "lib/data/digest.h"
#include "lib/data/order-envelope.h"
#include "lib/data/trust.h"
#include "mgmt-agent/state/journal.h"
#include "mgmt-agent/state/order-floors.h"
#include "mgmt-agent/state/way-back.h"

#define STATUS_UNSIGNED 401

struct SignedOrder {
    OrderKind kind;
    OrderFloor floor;
};

static OrderView view_of(const Agent *a, const OrderFloor *floor)
{
    OrderView view = { .device = a->device_id, .last_issued = floor ? floor->issued : 0 };

    view.clock_is_known = clock_known_time(&view.now);
    return view;
}

/* Refused for now, and nothing was changed: the cloud is meant to ask again. */
static bool was_put_off(const cJSON *result)
{
    uint64_t status = 0;

    return str_equal(json_string(result, "outcome"), "failed") && json_u64(result, "status", &status) == 0 &&
           (status == 409 || status == 423 || status == 503);
}

/* The newest order may come again as long as nothing has come of it: a connection may break at any moment. */
static int check_serial(const OrderFloor *floor, const OrderStatement *s, const char *sha256, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *ended = NULL;

    if (!floor || s->serial > floor->serial)
        return 0;
    if (s->serial < floor->serial)
        return error_set(
            err, EACCES, "order.older",
            "this box has taken an order since that was signed later, by %s: sign this one anew if it is still meant",
            floor->who ? floor->who : "somebody");
    int r = agent_look_up_result(floor->id, &ended, err);
    if (r < 0) /* whoever sends an order once more must gain nothing by a damaged disk */
        return error_prefix(err, error_from_errno(err, r, "cannot read the history"),
                            "whether this box has carried out this order is not known");
    if ((!ended || was_put_off(ended)) && str_equal(floor->statement, sha256))
        return 0;
    return error_set(err, EACCES, "order.replayed",
                     "this box has carried out this order already: sign it anew to have it done again");
}

static int admit(const Agent *a, const OrderFloors *floors, const Trust *trust, const cJSON *message, SignedOrder *ret,
                 Error *err)
{
    const cJSON *envelope = cJSON_GetObjectItemCaseSensitive(message, "order");
    const OrderFloor *floor = order_floors_of(floors, ret->kind);
    const OrderSigners *signers = &trust->signers;
    const OrderView view = view_of(a, floor);
    _cleanup_(order_statement_done) OrderStatement s = {};
    _cleanup_(freep) char *text = NULL;
    char hex[SHA256_HEX_SIZE];
    size_t len = 0;

    if (!envelope)
        return error_set(err, EACCES, "order.unsigned",
                         "this box takes only orders that are signed by %u of its %zu signers: push again with --key",
                         signers->threshold, signers->n);
    int r = order_envelope_open(envelope, order_domain(ret->kind), signers, &text, &len, &ret->floor.who, err);
    if (r == 0)
        r = trust_check_time(trust, &view, err);
    if (r == 0)
        r = order_statement_read(text, len, &s, err);
    if (r == 0)
        r = order_check(&s, ret->kind, message, &view, err);
    if (r == 0)
        r = sha256_hex(text, len, hex);
    if (r == 0)
        r = check_serial(floor, &s, hex, err);
    if (r < 0)
        return r;
    ret->floor.serial = s.serial;
    ret->floor.issued = s.issued;
    ret->floor.statement = strdup(hex);
    ret->floor.id = strdup(json_string(message, "id"));
    if (!ret->floor.statement || !ret->floor.id)
        return -ENOMEM;
    log_notice("Order %s (%s) is signed by %s%s%s", ret->floor.id, order_kind_to_string(ret->kind), ret->floor.who,
               s.reason ? ": " : "", s.reason ? s.reason : "");
    return 0;
}

static const char *result_kind(OrderKind kind)
{
    static const char *const kinds[_ORDER_KIND_MAX] = {
        [ORDER_KIND_DEPLOYMENT] = NULL,        [ORDER_KIND_IMAGE_UPDATE] = KIND_UPDATE,
        [ORDER_KIND_ROLLBACK] = KIND_ROLLBACK, [ORDER_KIND_AGENT_PACKAGE] = KIND_AGENT,
        [ORDER_KIND_RELEASE] = KIND_RELEASE,
    };

    return kinds[kind];
}

static void admitted_free(SignedOrder *o)
{
    free(o->floor.statement);
    free(o->floor.id);
    free(o->floor.who);
    free(o);
}

/* True: the answer is known. A result that the gateway has missed must not become a refusal. */
static bool answer_again(ControlClient *c, const OrderFloors *floors, OrderKind kind, const cJSON *message)
{
    const OrderFloor *floor = order_floors_of(floors, kind);
    const char *id = json_string(message, "id");
    _cleanup_(cJSON_Deletep) cJSON *before = floor && str_equal(floor->id, id) ? agent_find_result(id) : NULL;

    if (before)
        control_send(c, before);
    return before;
}

bool order_admit(Agent *a, ControlClient *c, const cJSON *message, const MessageType *type)
{
    OrderKind kind = control_client_is_link(c) ? order_kind_of_message(type->name) : _ORDER_KIND_MAX;
    _cleanup_(trust_done) Trust trust = {};
    _cleanup_(order_floors_done) OrderFloors floors = {};
    _cleanup_(error_done) Error err = {};

    if (kind == _ORDER_KIND_MAX)
        return true;
    int r = trust_load(&trust, &err);
    if (r == 0 && trust.signers.n == 0) {
        log_notice("Order %s of the cloud (%s) is taken without a signature: no signers are pinned on this box",
                   json_string(message, "id"), order_kind_to_string(kind));
        return true;
    }
    SignedOrder *order = calloc(1, sizeof(*order));
    if (r == 0)
        r = order ? order_floors_load(&floors, &err) : -ENOMEM;
    if (r == 0 && answer_again(c, &floors, kind, message)) {
        admitted_free(order);
        return false;
    }
    if (r == 0) {
        order->kind = kind;
        r = admit(a, &floors, &trust, message, order, &err);
    }
    if (r < 0) {
        if (order)
            admitted_free(order);
        agent_refuse(c, message, result_kind(kind), STATUS_UNSIGNED, &err, r);
        return false;
    }
    a->order = order;
    return true;
}

int order_take(Agent *a, Error *err)
{
    return a->order ? order_floors_take(a->order->kind, &a->order->floor, err) : 0;
}

const char *order_signed_by(const Agent *a)
{
    return a->order ? a->order->floor.who : NULL;
}

void order_forget(Agent *a)
{
    if (a->order)
        admitted_free(a->order);
    a->order = NULL;
}
