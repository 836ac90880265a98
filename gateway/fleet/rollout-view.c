/* SPDX-License-Identifier: MIT */
/* Rollouts for people. */
#include "gateway/fleet/rollout-view.h"

#include <stdio.h>

#include "gateway/fleet/verb-grants.h"
#include "lib/base/strv.h"
#include "lib/cli/table.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"

#define NONE_TOOK_IT "no box has taken it, each was skipped: check the name of what was rolled out\n"

#define PROVES_NOTHING                                                                                                 \
    "nothing is proved: no box of the groups so far had anything to do with it, and the next group waits. Check the "  \
    "name, or abort and"                                                                                               \
    " start with a group that runs it\n"

#define DIGEST_SHOWN 19 /* "sha256:" and twelve digits */

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

static int sum(const cJSON *rollout, const char *key)
{
    const cJSON *group;
    int n = 0;
    cJSON_ArrayForEach(group, member(rollout, "groups")) {
        n += fleet_int(group, key);
    }
    return n;
}

/* A member as text for a terminal; NULL when there is none. */
static char *clean_member(const cJSON *object, const char *key)
{
    _cleanup_(freep) char *text = report_member(object, key);
    return text ? text_printable(text) : NULL;
}

static int failed_of(const cJSON *group)
{
    return fleet_int(group, "failed") + fleet_int(group, "rolledBack");
}

/* "registry.example/web:1 to sha256:9f86d081884c", "agents to 1.2.0" or "compose file 0f3c5a7b9d21 of project blog" */
static char *subject(const cJSON *rollout)
{
    _cleanup_(freep) char *image = report_member(rollout, "image"), *digest = report_member(rollout, "digest");
    _cleanup_(freep) char *sha256 = report_member(rollout, "sha256"), *target = report_member(rollout, "target");
    _cleanup_(freep) char *project = report_member(rollout, "project"), *text = NULL;

    if (target)
        text = str_format("agents to %s", target);
    else if (image)
        text = str_format("%s to %.*s", image, DIGEST_SHOWN, digest ? digest : "-");
    else
        text = str_format("compose file %.12s%s%s", sha256 ? sha256 : "-", project ? " of project " : "",
                          project ? project : "");
    return text ? text_printable(text) : NULL;
}

/* "soaking, 4m 10s left" */
static char *state_of(const cJSON *rollout, usec_t now)
{
    const char *ends_at = json_string(rollout, "soakEndsAt");
    _cleanup_(freep) char *state = report_member(rollout, "state");
    usec_t end;

    if (!state || !str_equal(state, "soaking") || !ends_at || timestamp_parse(ends_at, &end) < 0)
        return state ? text_printable(state) : str_format("-");
    if (end <= now)
        return str_format("soaked, waits for its boxes");
    usec_t left = (end - now + USEC_PER_SEC - 1) / USEC_PER_SEC;
    return left < 60 ? str_format("soaking, %us left", (unsigned) left)
                     : str_format("soaking, %um %us left", (unsigned) (left / 60), (unsigned) (left % 60));
}

/* What a group does: those before the newest are through, those behind it have not begun. */
static const char *group_state(const cJSON *rollout, int index)
{
    int newest = fleet_int(rollout, "group");
    const char *state = json_string(rollout, "state");

    if (index > newest)
        return "to come";
    return index < newest || !state ? "through" : state;
}

static int add_group(Table *table, const cJSON *rollout, const cJSON *group, int index)
{
    static const char *const keys[] = {
        "boxes", "done", "failed", "rolledBack", "skipped", "sent", "waiting", "offline"
    };
    char numbers[ELEMENTSOF(keys)][16];

    for (size_t i = 0; i < ELEMENTSOF(keys); i++)
        snprintf(numbers[i], sizeof(numbers[i]), "%d", fleet_int(group, keys[i]));
    return table_row(table, json_string(group, "name"), group_state(rollout, index), numbers[0], numbers[1], numbers[2],
                     numbers[3], numbers[4], numbers[5], numbers[6], numbers[7]);
}

static char *groups_text(const cJSON *rollout)
{
    static const char *const headers[] = { "GROUP",   "STATE",     "BOXES",   "DONE",    "FAILED", "ROLLED BACK",
                                           "SKIPPED", "UNDER WAY", "WAITING", "OFFLINE", NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);
    const cJSON *group;
    int index = 0;

    if (!table)
        return NULL;
    cJSON_ArrayForEach(group, member(rollout, "groups")) {
        if (add_group(table, rollout, group, index++) < 0)
            return NULL;
    }
    return table_print(table, 0);
}

static const char *group_name(const cJSON *rollout, const cJSON *box)
{
    return json_string(cJSON_GetArrayItem(member(rollout, "groups"), fleet_int(box, "group")), "name");
}

/* "caseta5 (5%), rolled-back: web ended with 1 [prove.died]" */
static char *box_line(const cJSON *rollout, const cJSON *box)
{
    const cJSON *error = member(box, "error");
    _cleanup_(freep) char *device = report_member(box, "device"), *state = report_member(box, "state");
    _cleanup_(freep) char *why = cJSON_IsObject(error) ? report_error(error) : NULL;
    const char *group = group_name(rollout, box);
    _cleanup_(freep) char *line =
        str_format("%s (%s), %s", device ? device : "-", group ? group : "-", state ? state : "-");
    _cleanup_(freep) char *clean = line ? text_printable(line) : NULL;

    return clean ? str_format("%s%s%s", clean, why ? ": " : "", why ? why : "") : NULL;
}

static void print_boxes(FILE *out, const char *heading, const cJSON *rollout, const cJSON *boxes)
{
    const cJSON *box;

    if (cJSON_GetArraySize(boxes) > 0)
        fprintf(out, "\n%s:\n", heading);
    cJSON_ArrayForEach(box, boxes) {
        _cleanup_(freep) char *line = box_line(rollout, box);
        fprintf(out, "  %s\n", line ? line : "-");
    }
}

bool rollout_view_is_empty(const cJSON *rollout)
{
    int boxes = sum(rollout, "boxes");
    return str_equal(json_string(rollout, "state"), "done") && boxes > 0 && sum(rollout, "skipped") == boxes;
}

bool rollout_view_proves_nothing(const cJSON *rollout)
{
    int newest = fleet_int(rollout, "group");
    const cJSON *group = cJSON_GetArrayItem(member(rollout, "groups"), newest);
    int boxes = fleet_int(group, "boxes");

    return str_equal(json_string(rollout, "state"), "running") && boxes > 0 && fleet_int(group, "skipped") == boxes &&
           sum(rollout, "done") + sum(rollout, "failed") + sum(rollout, "rolledBack") == 0 &&
           sum(rollout, "waiting") + sum(rollout, "offline") > 0;
}

char *rollout_view(const cJSON *rollout, usec_t now)
{
    _cleanup_(freep) char *what = subject(rollout), *state = state_of(rollout, now), *groups = groups_text(rollout);
    _cleanup_(freep) char *by = clean_member(rollout, "createdBy"), *at = clean_member(rollout, "createdAt");
    _cleanup_(freep) char *id = clean_member(rollout, "id"), *halt_at = clean_member(rollout, "haltAt");
    const cJSON *error = member(rollout, "error");
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fprintf(out, "rollout %s: %s\n", id ? id : "-", what ? what : "-");
    fprintf(out, "%s; %d of %d boxes done, %d failed or rolled back, halts before more than %s fail\n",
            state ? state : "-", sum(rollout, "done"), sum(rollout, "boxes"),
            sum(rollout, "failed") + sum(rollout, "rolledBack"), halt_at ? halt_at : "-");
    if (rollout_view_is_empty(rollout))
        fprintf(out, "%s", NONE_TOOK_IT);
    if (rollout_view_proves_nothing(rollout))
        fprintf(out, "%s", PROVES_NOTHING);
    fprintf(out, "started by %s at %s\n", by ? by : "-", at ? at : "-");
    if (cJSON_IsObject(error)) {
        _cleanup_(freep) char *why = report_error(error);
        fprintf(out, "%s\n", why ? why : "-");
    }
    fprintf(out, "\n%s", groups ? groups : "");
    print_boxes(out, "failures", rollout, member(rollout, "failures"));
    print_boxes(out, "under way", rollout, member(rollout, "underWay"));
    print_boxes(out, "offline or held back", rollout, member(rollout, "offline"));
    print_boxes(out, "skipped", rollout, member(rollout, "skipped"));
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}

static int add_rollout(Table *table, const cJSON *rollout)
{
    _cleanup_(freep) char *what = subject(rollout);
    char done[32], failed[16];
    const cJSON *group = cJSON_GetArrayItem(member(rollout, "groups"), fleet_int(rollout, "group"));

    snprintf(done, sizeof(done), "%d of %d", sum(rollout, "done"), sum(rollout, "boxes"));
    snprintf(failed, sizeof(failed), "%d", sum(rollout, "failed") + sum(rollout, "rolledBack"));
    return table_row(table, json_string(rollout, "id"), json_string(rollout, "createdAt"),
                     json_string(rollout, "createdBy"), json_string(rollout, "state"), json_string(group, "name"), done,
                     failed, what);
}

char *rollout_view_list(const cJSON *rollouts)
{
    static const char *const headers[] = { "ID", "AT", "WHO", "STATE", "GROUP", "DONE", "FAILED", "WHAT", NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);
    const cJSON *rollout;

    if (!table)
        return NULL;
    cJSON_ArrayForEach(rollout, rollouts) {
        if (add_rollout(table, rollout) < 0)
            return NULL;
    }
    return table_rows(table) > 0 ? table_print(table, 0) : str_format("nothing was rolled out yet\n");
}

static bool is_known(const cJSON *boxes, const char *device)
{
    const cJSON *box;
    cJSON_ArrayForEach(box, boxes) {
        if (str_equal(json_string(box, "device"), device))
            return true;
    }
    return false;
}

static void print_new_failures(FILE *out, const cJSON *before, const cJSON *rollout)
{
    const cJSON *box;
    cJSON_ArrayForEach(box, member(rollout, "failures")) {
        _cleanup_(freep) char *line = box_line(rollout, box);
        if (!is_known(member(before, "failures"), json_string(box, "device")))
            fprintf(out, "  %s\n", line ? line : "-");
    }
}

static void print_changed_groups(FILE *out, const cJSON *before, const cJSON *rollout)
{
    const cJSON *group;
    int index = 0;
    cJSON_ArrayForEach(group, member(rollout, "groups")) {
        const cJSON *was = cJSON_GetArrayItem(member(before, "groups"), index++);
        if (was ? cJSON_Compare(was, group, true) : index - 1 > fleet_int(rollout, "group"))
            continue;
        _cleanup_(freep) char *name = clean_member(group, "name");
        fprintf(out, "%s: %d of %d done, %d failed, %d under way, %d offline or held back\n", name ? name : "-",
                fleet_int(group, "done"), fleet_int(group, "boxes"), failed_of(group), fleet_int(group, "sent"),
                fleet_int(group, "offline"));
    }
}

char *rollout_view_news(const cJSON *before, const cJSON *rollout)
{
    _cleanup_(freep) char *state = clean_member(rollout, "state");
    const cJSON *error = member(rollout, "error");
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    print_changed_groups(out, before, rollout);
    print_new_failures(out, before, rollout);
    if (!str_equal(json_string(before, "state"), json_string(rollout, "state"))) {
        _cleanup_(freep) char *why = cJSON_IsObject(error) ? report_error(error) : NULL;
        fprintf(out, "%s%s%s\n", state ? state : "-", why ? ": " : "", why ? why : "");
        if (rollout_view_is_empty(rollout))
            fprintf(out, "%s", NONE_TOOK_IT);
    }
    if (rollout_view_proves_nothing(rollout) && !rollout_view_proves_nothing(before))
        fprintf(out, "%s", PROVES_NOTHING);
    if (fclose(out) != 0) {
        free(text);
        return NULL;
    }
    return text;
}
