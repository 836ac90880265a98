/* SPDX-License-Identifier: MIT */
/* The journal as JSON on disk. */

#include "mgmt-agent/state/journal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/reserve.h"

static char *journal_path(void)
{
    return path_in_root(AGENT_STATE_DIR "/journal.json");
}

void journal_done(Journal *j)
{
    free(j->kind);
    free(j->id);
    free(j->version);
    free(j->sha256);
    free(j->nonce);
    free(j->boot_id);
    cJSON_Delete(j->failure);
    cJSON_Delete(j->project);
    cJSON_Delete(j->updates);
    for (size_t i = 0; i < j->n_steps; i++) {
        free(j->steps[i].action);
        free(j->steps[i].service);
        free(j->steps[i].container);
        free(j->steps[i].old_id);
        free(j->steps[i].old_name);
        free(j->steps[i].backup);
    }
    free(j->steps);
    *j = (Journal) {};
}

static char *copy_or_null(const char *s)
{
    return s ? strdup(s) : NULL;
}

int journal_add_step(Journal *j, const JournalStep *step)
{
    JournalStep *grown = reallocarray(j->steps, j->n_steps + 1, sizeof(JournalStep)), *s;

    if (!grown)
        return -ENOMEM;
    j->steps = grown;
    s = &j->steps[j->n_steps++];
    *s = (JournalStep) { .action = copy_or_null(step->action),
                         .service = copy_or_null(step->service),
                         .container = copy_or_null(step->container),
                         .old_id = copy_or_null(step->old_id),
                         .old_name = copy_or_null(step->old_name),
                         .backup = copy_or_null(step->backup),
                         .was_running = step->was_running };
    return s->action && s->service && s->container && !s->old_id == !step->old_id && !s->old_name == !step->old_name &&
                   !s->backup == !step->backup
               ? 0
               : -ENOMEM;
}

static cJSON *step_to_json(const JournalStep *s)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_string(o, "action", s->action) < 0 || json_add_string(o, "service", s->service) < 0 ||
        json_add_string(o, "container", s->container) < 0 || json_add_string(o, "oldId", s->old_id) < 0 ||
        json_add_string(o, "oldName", s->old_name) < 0 || json_add_string(o, "backup", s->backup) < 0 ||
        json_add_bool(o, "wasRunning", s->was_running) < 0)
        return NULL;
    return TAKE_PTR(o);
}

static int steps_to_json(const Journal *j, cJSON *object)
{
    cJSON *array = cJSON_CreateArray();
    int r = json_add_item(object, "steps", array);

    for (size_t i = 0; r == 0 && i < j->n_steps; i++)
        r = json_append(array, step_to_json(&j->steps[i]));
    return r;
}

static cJSON *journal_to_json(const Journal *j)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    if (!o || json_add_string(o, "state", deploy_state_to_string(j->state)) < 0 ||
        json_add_string(o, "kind", j->kind) < 0 || (j->by_connection && json_add_bool(o, "byConnection", true) < 0) ||
        json_add_string(o, "id", j->id) < 0 || json_add_string(o, "version", j->version) < 0 ||
        json_add_string(o, "sha256", j->sha256) < 0 || json_add_string(o, "nonce", j->nonce) < 0 ||
        json_add_u64(o, "tries", j->tries) < 0 || json_add_u64(o, "seq", j->seq) < 0 ||
        json_add_string(o, "bootId", j->boot_id) < 0 || json_add_u64(o, "deadlineUsec", j->deadline_usec) < 0 ||
        json_add_u64(o, "confirmUsec", j->confirm_usec) < 0 ||
        json_add_u64(o, "startedRealtime", j->started_realtime) < 0 || steps_to_json(j, o) < 0)
        return NULL;
    if (j->failure && json_add_item(o, "failure", cJSON_Duplicate(j->failure, 1)) < 0)
        return NULL;
    if (j->project && json_add_item(o, "project", cJSON_Duplicate(j->project, 1)) < 0)
        return NULL;
    if (j->updates && json_add_item(o, "updates", cJSON_Duplicate(j->updates, 1)) < 0)
        return NULL;
    return TAKE_PTR(o);
}

int journal_save(const Journal *j, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = journal_to_json(j);
    _cleanup_(freep) char *text = o ? json_print(o) : NULL;
    _cleanup_(freep) char *path = journal_path();

    int r;

    if (!text || !path)
        return error_set(err, ENOMEM, "journal.write", "no memory for the journal");
    r = file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
    if ((r != -ENOSPC && r != -EDQUOT) || reserve_release() < 0)
        return r;
    error_done(err);
    return file_write_atomic(path, text, strlen(text), 0600, (uid_t) -1, (gid_t) -1, err);
}

static int u64_member(const cJSON *o, const char *key, uint64_t *ret)
{
    int r = json_u64(o, key, ret);

    return r == -ENOENT ? 0 : r;
}

static int steps_from_json(const cJSON *o, Journal *j)
{
    const cJSON *step;

    cJSON_ArrayForEach(step, cJSON_GetObjectItemCaseSensitive(o, "steps")) {
        const JournalStep borrowed = { .action = (char *) json_string(step, "action"),
                                       .service = (char *) json_string(step, "service"),
                                       .container = (char *) json_string(step, "container"),
                                       .old_id = (char *) json_string(step, "oldId"),
                                       .old_name = (char *) json_string(step, "oldName"),
                                       .backup = (char *) json_string(step, "backup"),
                                       .was_running = json_bool(step, "wasRunning", false) };

        if (!borrowed.action || !borrowed.service || !borrowed.container || !borrowed.old_id != !borrowed.old_name)
            return -EINVAL;
        if (journal_add_step(j, &borrowed) < 0)
            return -ENOMEM;
    }
    return 0;
}

static int journal_from_json(const cJSON *o, Journal *j)
{
    uint64_t tries = 0, seq = 0;
    int r;

    j->state = deploy_state_from_string(json_string(o, "state"));
    if (j->state < 0)
        return -EINVAL;
    j->kind = copy_or_null(json_string(o, "kind"));
    j->by_connection = json_bool(o, "byConnection", false);
    j->id = copy_or_null(json_string(o, "id"));
    j->version = copy_or_null(json_string(o, "version"));
    j->sha256 = copy_or_null(json_string(o, "sha256"));
    j->nonce = copy_or_null(json_string(o, "nonce"));
    j->boot_id = copy_or_null(json_string(o, "bootId"));
    r = u64_member(o, "tries", &tries);
    if (r == 0)
        r = u64_member(o, "seq", &seq);
    if (r == 0)
        r = u64_member(o, "deadlineUsec", &j->deadline_usec);
    if (r == 0)
        r = u64_member(o, "confirmUsec", &j->confirm_usec);
    if (r == 0)
        r = u64_member(o, "startedRealtime", &j->started_realtime);
    if (r < 0)
        return r;
    j->tries = (unsigned) tries;
    j->seq = (unsigned) seq;
    if (cJSON_GetObjectItemCaseSensitive(o, "failure"))
        j->failure = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(o, "failure"), 1);
    if (cJSON_GetObjectItemCaseSensitive(o, "project"))
        j->project = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(o, "project"), 1);
    if (cJSON_GetObjectItemCaseSensitive(o, "updates"))
        j->updates = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(o, "updates"), 1);
    return steps_from_json(o, j);
}

int journal_load(Journal *ret, Error *err)
{
    _cleanup_(freep) char *path = journal_path();
    _cleanup_(freep) char *text = NULL;
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    _cleanup_(error_done) Error reason = {};
    _cleanup_(journal_done) Journal j = {};
    size_t len;
    int r;

    if (!path)
        return -ENOMEM;
    r = file_read(path, JSON_SIZE_MAX, &text, &len, &reason);
    if (r == -ENOENT) {
        *ret = (Journal) {};
        return 0;
    }
    if (r == 0)
        r = json_parse_object(text, len, &o, &reason);
    if (r == 0)
        r = journal_from_json(o, &j);
    if (r < 0)
        return error_set(err, r, "journal.corrupt",
                         "the journal %s cannot be read (%s); look at what runs, then remove it", path,
                         error_message(&reason, r));
    *ret = j;
    j = (Journal) {};
    return 0;
}

int journal_set_aside(Error *err)
{
    const Journal fresh = { .state = DEPLOY_RECOVERY };
    _cleanup_(freep) char *path = journal_path();
    _cleanup_(freep) char *aside = path ? str_format("%s.unreadable", path) : NULL;

    if (!aside)
        return error_set(err, ENOMEM, "journal.write", "no memory for the journal");
    if (rename(path, aside) < 0)
        return error_set(err, errno, "journal.write", "cannot rename %s: %s", path, strerror(errno));
    return journal_save(&fresh, err);
}

int journal_step(Journal *j, DeployEvent ev, Error *err)
{
    DeployState before = j->state;
    int next = deploy_next(before, ev), r;

    if (next < 0)
        return error_set(err, -next, "journal.transition", "event '%s' is not legal in state '%s'",
                         deploy_event_to_string(ev), deploy_state_to_string(before));
    j->state = (DeployState) next;
    j->tries = ev == EVENT_RESTARTED ? j->tries + 1 : 0;
    r = journal_save(j, err);
    if (r < 0)
        j->state = before;
    return r;
}
