/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/state/confirm-deadline.h"

#include <errno.h>
#include <string.h>

#include "lib/base/boot-id.h"
#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/change-guard.h"

#define DOWN_SINCE_SIZE_MAX 32

/* mgmt-link writes it, which has no power over the box: what it says can delay, and only where the tunnel is what is missed. */
usec_t tunnel_down_since(void)
{
    _cleanup_(freep) char *path = path_in_root(LINK_DOWN_PATH);
    _cleanup_(freep) char *text = NULL;
    usec_t since = 0;

    if (!path || file_read(path, DOWN_SINCE_SIZE_MAX, &text, NULL, NULL) < 0)
        return TUNNEL_UNKNOWN;
    if (str_equal(text, LINK_TUNNEL_UP))
        return USEC_INFINITY;
    return str_to_u64(text, 1, USEC_INFINITY - 1, &since) < 0 ? TUNNEL_UNKNOWN : since;
}

bool tunnel_is_cut_off(usec_t down_since, usec_t now)
{
    return down_since != TUNNEL_UNKNOWN && down_since != USEC_INFINITY && down_since <= now &&
           now - down_since >= CUT_OFF_SINCE_USEC;
}

usec_t confirm_deadline(const Journal *j, usec_t down_since)
{
    return j->cut_off && down_since != USEC_INFINITY ? j->deadline_usec + CUT_OFF_HOLD_USEC : j->deadline_usec;
}

bool confirm_deadline_is_stale(const Journal *j, const char *boot_id, usec_t down_since)
{
    return (boot_id && !str_equal(boot_id, j->boot_id)) || (j->cut_off && down_since == USEC_INFINITY);
}

int confirm_deadline_move(Journal *j, const char *boot_id, usec_t now)
{
    bool booted = !str_equal(boot_id, j->boot_id);
    char *copy = booted ? strdup(boot_id) : NULL;

    if (booted && !copy)
        return -ENOMEM;
    if (!booted) {
        j->cut_off = false; /* the line is there: from here on it is missed */
        j->deadline_usec = now + j->confirm_usec;
        return 0;
    }
    free(j->boot_id);
    j->boot_id = copy;
    j->deadline_usec = now + j->confirm_usec;
    if (j->tries < CONFIRM_BOOTS_MAX)
        return 0;
    j->cut_off = false;
    j->deadline_usec = 0;
    return 0;
}

int confirm_deadline_renew(Journal *j, Error *err)
{
    _cleanup_(freep) char *boot_id = boot_id_read();
    _cleanup_(journal_done) Journal now = {};
    _cleanup_(closep) int lock = -1;
    bool booted;
    int r;

    if (!boot_id)
        return -ENOMEM;
    if (!confirm_deadline_is_stale(j, boot_id, tunnel_down_since()))
        return 0;
    r = change_lock(false, &lock, err);
    if (r == 0)
        r = journal_load(&now, err);
    if (r < 0)
        return r;
    journal_done(j);
    *j = now;
    now = (Journal) {};
    if (j->state != DEPLOY_CONFIRMING || !confirm_deadline_is_stale(j, boot_id, tunnel_down_since()))
        return 0;
    booted = !str_equal(boot_id, j->boot_id);
    r = confirm_deadline_move(j, boot_id, boottime_usec());
    if (r < 0)
        return r;
    return booted ? journal_step(j, EVENT_RESTARTED, err) : journal_save(j, err);
}
