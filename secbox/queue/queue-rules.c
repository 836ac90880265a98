/* SPDX-License-Identifier: MIT */
#include "secbox/queue/queue-rules.h"

#include <errno.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/base/uuid.h"
#include "lib/data/json.h"

#define KIND_MAX 64

static const struct {
    const char *kind;
    QueuePriority priority;
    const char *uuid; /* a member of its data that must be one */
} kinds[] = {
    { "visit.entry", QUEUE_ENTRIES, NULL },   { "visit.exit", QUEUE_ENTRIES, "visit" },
    { "guest.used", QUEUE_ENTRIES, "guest" }, { "shift.note", QUEUE_ENTRIES, NULL },
    { "shift.start", QUEUE_ENTRIES, NULL },   { "shift.end", QUEUE_ENTRIES, NULL },
    { "face.match", QUEUE_MATCHES, NULL },    { "plate.match", QUEUE_MATCHES, NULL },
    { "motion.clip", QUEUE_MOTION, NULL },
};

QueuePriority queue_priority(const char *kind)
{
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (str_equal(kinds[i].kind, kind))
            return kinds[i].priority;
    return QUEUE_MATCHES;
}

int queue_check_event(const char *kind, const cJSON *data, Error *err)
{
    size_t len = kind ? strspn(kind, "abcdefghijklmnopqrstuvwxyz0123456789.-") : 0;

    if (len == 0 || len > KIND_MAX || kind[len] != '\0')
        return error_set(err, EINVAL, "queue.bad-event",
                         "an event's kind has 1 to %d lower-case letters, digits, '.' and '-'", KIND_MAX);
    if (!cJSON_IsObject(data))
        return error_set(err, EINVAL, "queue.bad-event", "the data of an event %s must be an object", kind);
    for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
        if (kinds[i].uuid && str_equal(kinds[i].kind, kind) && !uuid_is_valid(json_string(data, kinds[i].uuid)))
            return error_set_at(err, EINVAL, "queue.bad-event", NULL, 0, kinds[i].uuid,
                                "the data of an event %s must name a %s by its UUID", kind, kinds[i].uuid);
    return 0;
}
