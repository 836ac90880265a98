/* SPDX-License-Identifier: MIT */
/* pair.report: what the page and secboxctl show. No secret is in it but the PIN, for the console. */
#include <errno.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/agent/pairing-impl.h"
#include "mgmt-agent/state/current.h"

/* So long a claim that no compose file follows keeps the page. */
#define OPEN_AFTER_CLAIM (30 * USEC_PER_MINUTE)
#define FINGERPRINT_MAX 128

bool pairing_is_ready(const Pairing *p)
{
    _cleanup_(current_freep) Current *current = NULL;

    if (p->file.state != PAIRING_CLAIMED || agent_is_busy(p->agent) || current_load(&current, NULL) < 0 || !current ||
        !current->version)
        return false;
    /* what ran before the claim is not what the claim was for */
    return current->at == 0 || current->at >= p->file.since;
}

bool pairing_is_open(const Pairing *p)
{
    usec_t now = realtime_usec();

    if (p->file.state != PAIRING_CLAIMED)
        return true;
    return p->file.since > 0 && now >= p->file.since && now - p->file.since < OPEN_AFTER_CLAIM && !pairing_is_ready(p);
}

/* The container writes it: it is shown only if it looks like one. */
static int add_authority(cJSON *o)
{
    _cleanup_(freep) char *path = path_in_root(LAN_AUTHORITY_PATH), *text = NULL;

    if (!path)
        return -ENOMEM;
    if (file_read(path, FINGERPRINT_MAX, &text, NULL, NULL) < 0)
        return 0;
    text[strcspn(text, "\n")] = '\0';
    if (str_empty(text) || text[strspn(text, "0123456789ABCDEFabcdef:")] != '\0')
        return 0;
    return json_add_string(o, "authority", text);
}

static int add_copy(cJSON *o, const char *key, const cJSON *item)
{
    return item ? json_add_item(o, key, cJSON_Duplicate(item, true)) : 0;
}

static int add_pin(Pairing *p, cJSON *o, bool with_pin)
{
    usec_t now = boottime_usec();

    if (with_pin && json_add_string(o, "pin", p->file.pin) < 0)
        return -ENOMEM;
    if (p->locked_until <= now)
        return 0;
    return json_add_int(o, "lockedSeconds", (int) ((p->locked_until - now + USEC_PER_SEC - 1) / USEC_PER_SEC));
}

static int add_state(const Pairing *p, cJSON *o)
{
    const PairingFile *f = &p->file;
    char at[TIMESTAMP_SIZE];

    if (json_add_string(o, "state", pairing_state_name(f->state)) < 0 ||
        json_add_string(o, "deviceId", f->device_id) < 0 || json_add_string(o, "cloud", f->cloud) < 0 ||
        json_add_string(o, "community", f->community) < 0 ||
        (f->since > 0 && json_add_string(o, "since", timestamp_format(f->since, at)) < 0))
        return -ENOMEM;
    return add_copy(o, "error", f->error);
}

cJSON *pairing_make_report(Pairing *p, const char *id, bool with_pin)
{
    _cleanup_(cJSON_Deletep) cJSON *m = message_new("pair.report");
    cJSON *o = cJSON_CreateObject();

    if (!m || json_add_string(m, "id", id) < 0 || json_add_item(m, "pairing", o) < 0 || add_state(p, o) < 0 ||
        json_add_bool(o, "open", pairing_is_open(p)) < 0 || json_add_bool(o, "connected", p->connected) < 0 ||
        json_add_bool(o, "ready", pairing_is_ready(p)) < 0 || add_copy(o, "trouble", p->trouble) < 0 ||
        add_copy(o, "progress", p->progress) < 0 || add_copy(o, "result", p->result) < 0 || add_authority(o) < 0 ||
        add_pin(p, o, with_pin) < 0)
        return NULL;
    return TAKE_PTR(m);
}
