/* SPDX-License-Identifier: MIT */
/* From where things are. The text is read again, and its tree has the shape of the one that it was written from: node by node
 * they tell from where its lines are. */
#include <errno.h>
#include <string.h>

#include "compose/gather/gather-impl.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

/* what boxes and gateways call the text that they were sent */
#define BOX_NAME "compose.yml"
#define GATEWAY_NAME "compose.yaml"

static void note(Gathered *out, unsigned line, const char *file, unsigned from)
{
    if (line == 0 || line > out->n_lines || from == 0 || out->lines[line - 1].file)
        return;
    out->lines[line - 1] = (GatheredLine) { .file = file, .line = from };
}

/* A collection with a key has the line of the first that is in it, which tells its own. */
static void note_node(Gathered *out, const YamlNode *written, const YamlNode *from)
{
    if (from->file) {
        note(out, written->key_line, from->file, from->key_line);
        note(out, written->key ? 0 : written->line, from->file, from->line);
    }
    for (size_t i = 0; i < written->n_items && i < from->n_items; i++)
        note_node(out, written->items[i], from->items[i]);
}

int gather_note_lines(Gathered *out, const YamlNode *root)
{
    _cleanup_(yaml_node_freep) YamlNode *written = NULL;
    _cleanup_(error_done) Error why = {};
    size_t n = 1;

    /* a text that cannot be read is refused by whoever gets it */
    if (yaml_parse(out->text, out->len, NULL, &written, &why) < 0)
        return 0;
    for (size_t i = 0; i < out->len; i++)
        n += out->text[i] == '\n';
    out->lines = calloc(n, sizeof(*out->lines));
    if (!out->lines)
        return -ENOMEM;
    out->n_lines = n;
    note_node(out, written, root);
    return 0;
}

void gathered_locate(const Gathered *g, Error *e)
{
    const GatheredLine *from = e->line > 0 && e->line <= g->n_lines ? &g->lines[e->line - 1] : NULL;
    char *file = from && from->file ? strdup(from->file) : NULL;

    if (!file)
        return;
    free(e->file);
    e->file = file;
    e->line = from->line;
}

void gathered_locate_all(const Gathered *g, ErrorList *list)
{
    for (size_t i = 0; i < list->n; i++)
        gathered_locate(g, &list->items[i]);
}

void gathered_locate_answer(const Gathered *g, Error *e)
{
    char *name;

    if (!str_equal(e->file, BOX_NAME) && !str_equal(e->file, GATEWAY_NAME))
        return;
    gathered_locate(g, e);
    name = g->is_same && g->sources ? strdup(g->sources[0]) : NULL;
    if (!name)
        return;
    free(e->file);
    e->file = name;
}

void gathered_locate_json(const Gathered *g, cJSON *error)
{
    uint64_t line = 0;
    const char *file = json_string(error, "file");
    _cleanup_(error_done) Error e = { .file = file ? strdup(file) : NULL };
    cJSON *new_file, *new_line;

    if (!e.file || json_u64(error, "line", &line) < 0 || line > UINT32_MAX)
        return;
    e.line = (unsigned) line;
    gathered_locate_answer(g, &e);
    new_file = cJSON_CreateString(e.file);
    new_line = new_file ? cJSON_CreateNumber(e.line) : NULL;
    if (!new_line) {
        cJSON_Delete(new_file);
        return;
    }
    (void) cJSON_ReplaceItemInObjectCaseSensitive(error, "file", new_file);
    (void) cJSON_ReplaceItemInObjectCaseSensitive(error, "line", new_line);
}

static const char *file_of_value(const Gathered *g, const char *name)
{
    for (size_t i = 0; i < g->n_values; i++)
        if (!g->values[i].is_secret && str_equal(g->values[i].name, name))
            return g->values[i].file;
    return NULL;
}

void gathered_name_values(const Gathered *g, cJSON *plan)
{
    cJSON *entry;

    cJSON_ArrayForEach(entry, cJSON_GetObjectItemCaseSensitive(plan, "variables")) {
        const char *file = file_of_value(g, json_string(entry, "name"));
        cJSON *from = file && str_equal(json_string(entry, "from"), "default") ? cJSON_CreateString(file) : NULL;

        if (from)
            (void) cJSON_ReplaceItemInObjectCaseSensitive(entry, "from", from);
    }
}
