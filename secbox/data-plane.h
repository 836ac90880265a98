/* SPDX-License-Identifier: MIT */
/* What needs the box's database: the replica of the community's data, the queue of events, the guards' pages; and the
 * socket by which all are asked. Without a DATABASE_URL that can be read there is no replica and no queue. */
#pragma once

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <systemd/sd-event.h>

#include "lib/base/error.h"
#include "lib/base/uplink-budget.h"
#include "secbox/cameras/cameras.h"
#include "secbox/secbox-config.h"

typedef struct DataPlane DataPlane;

/* Sends a text through the device tunnel. */
typedef int (*data_plane_send_t)(const char *text, size_t len, void *userdata);

/* `config` is borrowed. */
int data_plane_new(sd_event *event, const Config *config, DataPlane **ret, Error *err) _must_check_;
DataPlane *data_plane_free(DataPlane *d);
DEFINE_CLEANUP(DataPlane, data_plane_free)

/* Before the loop runs. */
void data_plane_set_send(DataPlane *d, data_plane_send_t send, void *userdata);
void data_plane_tunnel_up(DataPlane *d);
void data_plane_tunnel_down(DataPlane *d);
/* Borrowed; NULL: this box has no Frigate. */
Cameras *data_plane_cameras(const DataPlane *d);
/* Borrowed: what recordings may take of the way out, by whatever way they go. */
UplinkBudget *data_plane_media_bound(DataPlane *d);
/* Leaves word of what is wrong with its part of the configuration, or that nothing is. */
void data_plane_tell_config(const DataPlane *d);
/* A message of the gateway, with its raw line; those about something else are passed over. */
void data_plane_take(DataPlane *d, const cJSON *message, const char *text);
