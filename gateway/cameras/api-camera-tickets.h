/* SPDX-License-Identifier: MIT */
/* Asking for a ticket with which a browser shows a camera: see camera-tickets.h. */
#pragma once

#include "gateway/auth/device-registry.h"
#include "gateway/cameras/camera-tickets.h"
#include "gateway/http/request.h"

typedef struct CameraTicketsApi {
    CameraTickets *tickets;
    const DeviceRegistry *registry;
} CameraTicketsApi;

/* For requests_set_tickets(), of a CameraTicketsApi: the ticket of a stream is used up when one begins. */
int camera_ticket_take(const Request *c, const char *ticket, void *api, char ret[static SECRET_HASH_SIZE], Error *err);

extern const Route camera_ticket_routes[]; /* of a CameraTicketsApi */
