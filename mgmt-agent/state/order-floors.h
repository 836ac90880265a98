/* SPDX-License-Identifier: MIT */
/* The last signed orders that this box took: orders.json. What runs on the box, the packages that look after it and releases are
 * counted apart, so that an order about one of them that comes late is not stopped by one about the other. */
#pragma once

#include "lib/data/order.h"

typedef struct OrderFloor {
    uint64_t serial; /* 0: none was ever taken */
    usec_t issued;
    char *statement; /* SHA-256 of its bytes */
    char *id;        /* of the message that brought it */
    char *who;       /* has signed it */
    cJSON *rest;
} OrderFloor;

typedef struct OrderFloors {
    OrderFloor *services, *packages, *releases; /* NULL: none yet; owned */
    cJSON *rest;
} OrderFloors;

/* store.read */
int order_floors_load(OrderFloors *ret, Error *err) _must_check_;
void order_floors_done(OrderFloors *f);
/* NULL: nothing of its kind was taken yet. */
const OrderFloor *order_floors_of(const OrderFloors *f, OrderKind kind);

/* Durable when it returns. */
int order_floors_take(OrderKind kind, const OrderFloor *floor, Error *err) _must_check_;

/* Adds "authority" to a result of an order of the cloud: who signed it, or that nobody did. Nothing, where the file cannot be read:
 * then nobody knows. */
int order_floors_describe(cJSON *result) _must_check_;
