/* SPDX-License-Identifier: MIT */
/* What operators sign: a statement about one change of boxes. It is signed and carried as the bytes that it is, and nothing of it
 * is read before that. Pure. */
#pragma once

#include "lib/base/clock.h"
#include "lib/data/json.h"

#define ORDER_STATEMENT_MAX (64 * 1024)
#define ORDER_LIFETIME_MAX (366 * USEC_PER_DAY)
/* in place of names: every box */
#define ORDER_ANY_BOX "*"
/* among `accepts` of recovery.status: account grants */
#define ACCEPTS_ACCOUNT_GRANTS "grant.account"

typedef enum OrderKind {
    ORDER_KIND_DEPLOYMENT,    /* a compose file, by its digest */
    ORDER_KIND_IMAGE_UPDATE,  /* a new image for what runs, by its digest */
    ORDER_KIND_ROLLBACK,      /* to a snapshot that the box keeps */
    ORDER_KIND_AGENT_PACKAGE, /* the packages that look after the box, by their version */
    ORDER_KIND_GRANT,         /* a break-glass grant: recovery-agent is opened for as long as the order is good */
    ORDER_KIND_ACCOUNT_GRANT, /* the same for one account alone, which boxes of before do not take */
    ORDER_KIND_RELEASE,       /* an archive of the data plane for boxes without containers, by its digest */
    _ORDER_KIND_MAX,
} OrderKind;

const char *order_kind_to_string(OrderKind kind);
/* By the type of a message; _ORDER_KIND_MAX: such a message is not signed. */
OrderKind order_kind_of_message(const char *type);
/* What a signature is for, so that it is good for nothing else: the namespace of an OpenSSH signature. */
const char *order_domain(OrderKind kind);

typedef struct OrderStatement {
    char *kind;
    char **devices;  /* ids of boxes, or ORDER_ANY_BOX */
    uint64_t serial; /* microseconds since 1970 at the signing: each order's is above that of those before it */
    usec_t issued, expires;
    char *reason; /* or NULL */
    char *sha256; /* of the compose file, and of what comes with it: bundle_snapshot_digest(); of an archive */
    char *image, *digest, *service, *to; /* as in the messages */
    char *project;                       /* likewise; NULL: the box's own */
    char *account;                       /* likewise; of an account grant alone */
    unsigned confirm_seconds;            /* 0: whatever the gateway says */
    cJSON *rest;
} OrderStatement;

/* order.malformed: also what holds a member that is not known here, since it may be a condition. */
int order_statement_read(const char *text, size_t len, OrderStatement *ret, Error *err) _must_check_;
/* A new string; NULL when out of memory. */
char *order_statement_print(const OrderStatement *s);
void order_statement_done(OrderStatement *s);

/* What a box knows when it judges one. */
typedef struct OrderView {
    const char *device;
    usec_t now;
    bool clock_is_known; /* else no time is held against an order but that of the last one */
    usec_t last_issued;  /* of the last order that it took; 0: none */
} OrderView;

/* Whether the statement is about this message, this box, and now. order.other-kind, order.other-box, order.other-content,
 * order.expired, order.not-yet. That it is not one from before is the caller's to see. */
int order_check(const OrderStatement *s, OrderKind kind, const cJSON *message, const OrderView *view,
                Error *err) _must_check_;
