/* SPDX-License-Identifier: MIT */
#include "lib/data/agent-update.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/base/paths.h"
#include "lib/base/settings.h"
#include "lib/base/strv.h"

#define JOURNAL_SIZE_MAX 8192
#define PROOF_SIZE_MAX 256
#define VERSION_LENGTH_MAX 64
/* how long after its time it is waited for a line of ours: a box of which both tunnels stay down may be lost to the new version */
#define OUTAGE_MAX (24 * USEC_PER_HOUR)

static const char *const state_names[_AGENT_UPDATE_STATES] = {
    [AGENT_UPDATE_NONE] = "none",
    [AGENT_UPDATE_STAGED] = "staged",
    [AGENT_UPDATE_INSTALLING] = "installing",
    [AGENT_UPDATE_PROVING] = "proving",
    [AGENT_UPDATE_GOING_BACK] = "going-back",
    [AGENT_UPDATE_CONFIRMED] = "confirmed",
    [AGENT_UPDATE_ROLLED_BACK] = "rolled-back",
    [AGENT_UPDATE_FAILED] = "failed",
    [AGENT_UPDATE_STUCK] = "stuck",
};

static const Setting members[] = {
    SETTING_TEXT(AgentUpdate, "state", state_name, NULL),
    SETTING_TEXT(AgentUpdate, "id", id, NULL),
    SETTING_TEXT(AgentUpdate, "number", number, NULL),
    SETTING_TEXT(AgentUpdate, "package", package, NULL),
    SETTING_TEXT(AgentUpdate, "from", from, NULL),
    SETTING_TEXT(AgentUpdate, "to", to, NULL),
    SETTING_TEXT(AgentUpdate, "next", next, NULL),
    SETTING_TEXT(AgentUpdate, "boot", boot, NULL),
    SETTING_TEXT(AgentUpdate, "why", why, NULL),
    SETTING_TEXT(AgentUpdate, "refusal", refusal, NULL),
    SETTING_NUMBER(AgentUpdate, "tunnel", tunnel, "0", 0, 1),
    SETTING_NUMBER(AgentUpdate, "recovery", recovery, "0", 0, 1),
    SETTING_NUMBER(AgentUpdate, "plan", plan, "0", 0, 999),
    SETTING_NUMBER(AgentUpdate, "seconds", seconds, "300", 1, 86400),
    SETTING_NUMBER(AgentUpdate, "deadline", deadline, "0", 0, UINT64_MAX),
    SETTING_NUMBER(AgentUpdate, "began", began, "0", 0, UINT64_MAX),
    {},
};

void agent_update_done(AgentUpdate *u)
{
    settings_done(members, u);
    *u = (AgentUpdate) {};
}

static int damaged(Error *err, const char *why)
{
    return error_set(err, EBADMSG, "agent-update.damaged", "the journal of the last package update is damaged: %s",
                     why);
}

int agent_update_parse(const char *text, size_t len, AgentUpdate *ret, Error *err)
{
    _cleanup_(agent_update_done) AgentUpdate u = {};
    _cleanup_(error_done) Error why = {};
    int r = settings_init(members, &u);

    if (r >= 0)
        r = settings_parse(members, &u, text, len, "journal", &why);
    if (r < 0)
        return r == -ENOMEM ? r : damaged(err, error_message(&why, r));
    for (AgentUpdateState s = AGENT_UPDATE_STAGED; s < _AGENT_UPDATE_STATES; s++)
        if (str_equal(u.state_name, state_names[s]))
            u.state = s;
    if (u.state == AGENT_UPDATE_NONE || !u.id || !u.number || !u.package || !u.to)
        return damaged(err, "it does not say which update is in which state");
    *ret = u;
    u = (AgentUpdate) {};
    return 0;
}

int agent_update_load(AgentUpdate *ret, Error *err)
{
    _cleanup_(freep) char *path = path_in_root(AGENT_UPDATE_JOURNAL), *text = NULL;
    size_t len = 0;

    *ret = (AgentUpdate) {};
    if (!path)
        return -ENOMEM;
    int r = file_read(path, JOURNAL_SIZE_MAX, &text, &len, err);
    if (r == -ENOENT) {
        error_done(err);
        return 0;
    }
    return r < 0 ? r : agent_update_parse(text, len, ret, err);
}

bool agent_update_is_open(const AgentUpdate *u)
{
    return u->state >= AGENT_UPDATE_STAGED && u->state <= AGENT_UPDATE_GOING_BACK;
}

bool agent_update_is_proving(const AgentUpdate *u, const char *package)
{
    return u->state == AGENT_UPDATE_PROVING && str_equal(u->package, package);
}

/* In another boot than the one of which the journal speaks it has the whole time again. */
static usec_t deadline_of(const AgentUpdate *u, const char *boot)
{
    return str_equal(u->boot, boot) ? u->deadline : u->seconds * USEC_PER_SEC;
}

bool agent_update_is_late(const AgentUpdate *u, const char *boot, usec_t now)
{
    return now >= deadline_of(u, boot);
}

AgentUpdateVerdict agent_update_judge(const AgentUpdate *u, const char *package, const AgentUpdateProof *proof,
                                      const char *boot, usec_t own_up_since, usec_t now)
{
    bool late = agent_update_is_late(u, boot, now);

    if (!agent_update_is_open(u) || !str_equal(u->package, package))
        return AGENT_UPDATE_WAIT;
    if (u->state != AGENT_UPDATE_PROVING)
        return late ? AGENT_UPDATE_BACK : AGENT_UPDATE_WAIT;
    if (proof->here && (proof->far || !u->tunnel))
        return AGENT_UPDATE_KEEP;
    if (!late)
        return AGENT_UPDATE_WAIT;
    if (proof->here && proof->said && !proof->denied && own_up_since == 0)
        return AGENT_UPDATE_KEEP;
    if (!proof->here || agent_update_is_late(u, boot, now > OUTAGE_MAX ? now - OUTAGE_MAX : 0))
        return AGENT_UPDATE_BACK;
    return own_up_since > 0 && now - own_up_since >= AGENT_UPDATE_SETTLED ? AGENT_UPDATE_BACK : AGENT_UPDATE_WAIT;
}

static char *proof_text(const AgentUpdate *u, const char *boot)
{
    return str_format("%s %s %s\n", boot, u->id, u->package);
}

bool agent_update_is_proved_by(const AgentUpdate *u, const char *path, const char *boot)
{
    _cleanup_(freep) char *at = path_in_root(path), *text = NULL, *wanted = proof_text(u, boot);

    return at && wanted && file_read(at, PROOF_SIZE_MAX, &text, NULL, NULL) >= 0 && str_equal(text, wanted);
}

/* dpkg has put another file in our place. */
static bool is_replaced(void)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    self[n > 0 ? n : 0] = '\0';
    return str_ends(self, " (deleted)");
}

int agent_update_write_proof(const AgentUpdate *u, const char *path, const char *boot, Error *err)
{
    if (is_replaced())
        return error_set(err, ESTALE, "agent-update.old-program",
                         "what runs is still the program from before the update, which proves nothing: it has to be "
                         "restarted");
    _cleanup_(freep) char *at = path_in_root(path), *text = proof_text(u, boot);

    return at && text ? file_write_atomic(at, text, strlen(text), 0644, (uid_t) -1, (gid_t) -1, err) : -ENOMEM;
}

bool agent_update_is_version(const char *text)
{
    size_t len = text ? strlen(text) : 0;

    return len > 0 && len <= VERSION_LENGTH_MAX && text[0] >= '0' && text[0] <= '9' &&
           strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.+~:-") == len;
}
