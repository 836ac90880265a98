/* SPDX-License-Identifier: MIT */
/* See show.h. */
#include "gateway/fleet/show.h"

#include <string.h>

#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/report.h"

static char *cell(const cJSON *entry, const char *name)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(entry, name);
    if (cJSON_IsBool(item))
        return strdup(cJSON_IsTrue(item) ? "yes" : "no");
    return cJSON_IsObject(item) ? json_print(item) : report_member(entry, name);
}

static int add_cells(Table *table, const char *const *names, const cJSON *entry)
{
    char *cells[TABLE_COLUMNS_MAX] = {};
    for (size_t i = 0; names[i]; i++)
        cells[i] = cell(entry, names[i]);
    int r = table_add(table, (const char *const *) cells);
    for (size_t i = 0; i < ELEMENTSOF(cells); i++)
        free(cells[i]);
    return r;
}

static char *list_text(const FleetList *list, const cJSON *entries)
{
    _cleanup_(table_freep) Table *table = table_new(list->headers);
    const cJSON *entry;

    if (!table)
        return NULL;
    cJSON_ArrayForEach(entry, entries) {
        if (!cJSON_IsObject(entry))
            continue;
        if ((list->row ? list->row(table, entry) : add_cells(table, list->names, entry)) < 0)
            return NULL;
    }
    return table_rows(table) > 0 ? table_print(table, 0) : str_format("%s\n", list->none);
}

void fleet_line(FILE *out, const char *label, char *value)
{
    _cleanup_(freep) char *printable = text_printable(value);
    fprintf(out, "%-16s%s\n", label, str_empty(printable) ? "-" : printable);
    free(value);
}

static char *lines_text(void (*lines)(FILE *out, const cJSON *part), const cJSON *part)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    lines(out, part);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

int fleet_show_body(const Fleet *fleet, const cJSON *body, const FleetView *view)
{
    const cJSON *part = view->member ? cJSON_GetObjectItemCaseSensitive(body, view->member) : body;

    if (fleet->json)
        return report_json(body, EXIT_OK);
    return report_text(view->list    ? list_text(view->list, part)
                       : view->lines ? lines_text(view->lines, part)
                                     : view->text(part),
                       EXIT_OK);
}

int fleet_show(Fleet *fleet, const char *method, char *path, const cJSON *request, const FleetView *view)
{
    _cleanup_(freep) _unused_ char *owned = path;
    _cleanup_(api_reply_done) ApiReply reply = {};
    _cleanup_(error_done) Error err = {};
    usec_t timeout = view->timeout > 0 ? view->timeout : CALL_TIMEOUT;

    int r = fleet_ask(fleet, method, path, request, timeout, &reply, &err);
    return r < 0 ? fleet_fail(fleet, &reply, &err, r) : fleet_show_body(fleet, reply.body, view);
}
