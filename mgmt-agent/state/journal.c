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
#include "mgmt-agent/state/project.h"
#include "mgmt-agent/state/reserve.h"
#include "mgmt-agent/state/state-file.h"

static char *journal_path(void)
{
    return path_in_root(AGENT_STATE_DIR "/journal.json");
}

static const JsonField step_fields[] = {
    { JSON_FIELD(JournalStep, action, "action") },
    { JSON_FIELD(JournalStep, service, "service") },
    { JSON_FIELD(JournalStep, container, "container") },
    { JSON_FIELD(JournalStep, old_id, "oldId") },
    { JSON_FIELD(JournalStep, old_name, "oldName") },
    { JSON_FIELD(JournalStep, backup, "backup") },
    { JSON_FIELD(JournalStep, with, "with") },
    { JSON_FIELD(JournalStep, was_running, "wasRunning") },
    { JSON_REST_FIELD(JournalStep, rest) },
    {},
};
static const JsonType step_type = JSON_TYPE(JournalStep, step_fields);

static const JsonField update_fields[] = {
    { JSON_FIELD(ImageUpdate, service, "service") },
    { JSON_FIELD(ImageUpdate, image, "image") },
    { JSON_FIELD(ImageUpdate, digest, "digest") },
    { JSON_FIELD(ImageUpdate, reference, "reference") },
    { JSON_TIME_FIELD(ImageUpdate, seen_at, "seenAt") },
    { JSON_FIELD(ImageUpdate, image_id, "imageId") },
    { JSON_FIELD(ImageUpdate, old_image_id, "oldImageId") },
    { JSON_FIELD(ImageUpdate, undo, "undo") },
    { JSON_REST_FIELD(ImageUpdate, rest) },
    {},
};
static const JsonType update_type = JSON_TYPE(ImageUpdate, update_fields);

static const JsonField failure_fields[] = {
    { JSON_FIELD(JournalFailure, id, "id") },
    { JSON_FIELD(JournalFailure, message, "message") },
    { JSON_FIELD(JournalFailure, file, "file") },
    { JSON_FIELD(JournalFailure, key, "key") },
    { JSON_FIELD(JournalFailure, line, "line") },
    { JSON_FIELD(JournalFailure, phase, "phase") },
    { JSON_FIELD(JournalFailure, log, "log") },
    { JSON_REST_FIELD(JournalFailure, rest) },
    {},
};
static const JsonType failure_type = JSON_TYPE(JournalFailure, failure_fields);

static const JsonField journal_fields[] = {
    { JSON_NAME_FIELD(Journal, state, "state", deploy_state_names) },
    { JSON_FIELD(Journal, kind, "kind") },
    { JSON_FIELD(Journal, by_connection, "byConnection") },
    { JSON_FIELD(Journal, cut_off, "cutOff") },
    { JSON_FIELD(Journal, taken_back_by, "takenBackBy") },
    { JSON_FIELD(Journal, project_name, "projectName") },
    { JSON_FIELD(Journal, id, "id") },
    { JSON_FIELD(Journal, version, "version") },
    { JSON_FIELD(Journal, sha256, "sha256") },
    { JSON_FIELD(Journal, nonce, "nonce") },
    { JSON_FIELD(Journal, tries, "tries") },
    { JSON_FIELD(Journal, seq, "seq") },
    { JSON_FIELD(Journal, boot_id, "bootId") },
    { JSON_FIELD(Journal, deadline_usec, "deadlineUsec") },
    { JSON_FIELD(Journal, confirm_usec, "confirmUsec") },
    { JSON_FIELD(Journal, started_realtime, "startedRealtime") },
    { JSON_LIST_FIELD(Journal, steps, "steps", &step_type) },
    { JSON_OBJECT_FIELD(Journal, failure, "failure", &failure_type) },
    { JSON_OBJECT_FIELD(Journal, project, "project", &current_type) },
    { JSON_LIST_FIELD(Journal, updates, "updates", &update_type) },
    { JSON_REST_FIELD(Journal, rest) },
    {},
};
static const JsonType journal_type = JSON_TYPE(Journal, journal_fields);

void journal_done(Journal *j)
{
    json_done(&journal_type, j);
}

bool journal_is_of_selected(const Journal *j)
{
    return str_equal(j->project_name ? j->project_name : project_own(), project_selected());
}

int journal_add_step(Journal *j, const JournalStep *step)
{
    JournalStep *s = json_list_add(&step_type, &j->steps, &j->n_steps);
    int r = s ? json_copy(&step_type, step, s) : -ENOMEM;

    /* half a step would make all of the journal one that cannot be read */
    if (s && r < 0)
        json_list_remove(&step_type, j->steps, &j->n_steps, j->n_steps - 1);
    return r;
}

static void forget_failure(Journal *j)
{
    if (j->failure)
        json_done(&failure_type, j->failure);
    j->failure = (free(j->failure), NULL);
}

int journal_note_failure(Journal *j, const Error *err, int r, const char *phase, const char *log)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_from_error(err, r);
    int noted;

    forget_failure(j);
    j->failure = o ? calloc(1, sizeof(*j->failure)) : NULL;
    if (!j->failure)
        return -ENOMEM;
    noted = json_read(o, &failure_type, j->failure);
    if (noted == 0)
        noted = json_set(&j->failure->phase, phase);
    if (noted == 0)
        noted = json_set(&j->failure->log, log);
    return noted;
}

int journal_failure_to_error(const Journal *j, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_write(&failure_type, j->failure);

    return json_to_error(o, EIO, err);
}

ImageUpdate *journal_add_update(Journal *j)
{
    return json_list_add(&update_type, &j->updates, &j->n_updates);
}

ImageUpdate *journal_find_update(const Journal *j, const char *service)
{
    for (size_t i = 0; i < j->n_updates; i++)
        if (str_equal(j->updates[i].service, service))
            return &j->updates[i];
    return NULL;
}

cJSON *journal_updates_to_json(const Journal *j)
{
    return json_write_list(&update_type, j->updates, j->n_updates);
}

int journal_save(const Journal *j, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_write(&journal_type, j);
    _cleanup_(freep) char *text = o ? json_print(o) : NULL;
    _cleanup_(freep) char *path = journal_path();

    int r;

    if (!text || !path)
        return error_set(err, ENOMEM, "journal.write", "no memory for the journal");
    r = state_write(path, text, strlen(text), err);
    if ((r != -ENOSPC && r != -EDQUOT) || reserve_release() < 0)
        return r;
    error_done(err);
    return state_write(path, text, strlen(text), err);
}

/* What cannot be undone by what is there is no journal. */
static int check(const cJSON *o, const Journal *j)
{
    for (size_t i = 0; i < j->n_steps; i++) {
        const JournalStep *s = &j->steps[i];

        if (!s->action || !s->service || !s->container || !s->old_id != !s->old_name)
            return -EINVAL;
    }
    if (j->project_name && project_name_check(j->project_name, NULL) < 0)
        return -EINVAL;
    return cJSON_HasObjectItem(o, "state") ? 0 : -EINVAL;
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
        r = json_read(o, &journal_type, &j);
    if (r == 0)
        r = check(o, &j);
    if (r == -ENOMEM) /* there is nothing wrong with it */
        return error_from_errno(err, r, "the journal %s cannot be read", path);
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
    int r = path ? state_set_aside(path, err) : error_set(err, ENOMEM, "journal.write", "no memory for the journal");

    return r < 0 ? r : journal_save(&fresh, err);
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
