/* SPDX-License-Identifier: MIT */
#include "secbox/data-plane.h"

#include <errno.h>
#include <string.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/control/control.h"
#include "secbox/control/verbs.h"
#include "secbox/queue/queue.h"
#include "secbox/replica/replica.h"
#include "secbox/replica/schema.h"

struct DataPlane {
    ControlParts parts;
    Control *control;
    data_plane_send_t send;
    void *userdata;
};

static int send_text(const char *text, size_t len, void *userdata)
{
    const DataPlane *d = userdata;

    return d->send ? d->send(text, len, d->userdata) : -ENOTCONN;
}

static int send_message(cJSON *message, void *userdata)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message;
    _cleanup_(freep) char *text = json_print(m);

    return text ? send_text(text, strlen(text), userdata) : -ENOMEM;
}

/* Events belong to the community whose data the box has. */
static void on_change(Replica *r, void *userdata)
{
    const DataPlane *d = userdata;
    const SyncCursor *at = replica_cursor(r);

    if (d->parts.queue && at->known)
        queue_set_community(d->parts.queue, at->community);
}

static const ReplicaEvents replica_events = { .send = send_message, .on_change = on_change };

/* Not being asked is no reason not to run. */
static void start_control(DataPlane *d, sd_event *event, const Config *config)
{
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *path = path_join(config->run_dir, "control.sock");
    int r = path ? control_new(event, path, control_answer_verb, &d->parts, &d->control, &err) : -ENOMEM;

    if (r < 0)
        log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "secboxctl cannot ask this secbox");
}

int data_plane_new(sd_event *event, const Config *config, DataPlane **ret, Error *err)
{
    _cleanup_(data_plane_freep) DataPlane *d = calloc(1, sizeof(*d));
    int r = 0;

    if (!d)
        return error_from_errno(err, -ENOMEM, "cannot start the replica");
    if (config->database_url)
        r = replica_new(event, config->database_url, &replica_events, d, &d->parts.replica, err);
    if (config->database_url && r >= 0)
        r = queue_new(event, config->database_url, &replica_schema, send_text, d, &d->parts.queue, err);
    if (r < 0)
        return r;
    start_control(d, event, config);
    *ret = TAKE_PTR(d);
    return 0;
}

DataPlane *data_plane_free(DataPlane *d)
{
    if (!d)
        return NULL;
    control_free(d->control);
    queue_free(d->parts.queue);
    replica_free(d->parts.replica);
    free(d);
    return NULL;
}

void data_plane_set_send(DataPlane *d, data_plane_send_t send, void *userdata)
{
    d->send = send;
    d->userdata = userdata;
}

void data_plane_tunnel_up(DataPlane *d)
{
    if (!d->parts.replica)
        return;
    replica_tunnel_up(d->parts.replica);
    queue_tunnel_up(d->parts.queue);
}

void data_plane_tunnel_down(DataPlane *d)
{
    if (!d->parts.replica)
        return;
    replica_tunnel_down(d->parts.replica);
    queue_tunnel_down(d->parts.queue);
}

void data_plane_take(DataPlane *d, const cJSON *message, const char *text)
{
    if (d->parts.replica && !replica_take(d->parts.replica, message, text))
        (void) queue_take(d->parts.queue, message, text);
}
