/* SPDX-License-Identifier: MIT */
#include "compose/gather/gather.h"

#include <errno.h>
#include <string.h>

#include "compose/gather/defaults.h"
#include "compose/gather/gather-impl.h"
#include "compose/gather/merge.h"
#include "compose/gather/tree.h"
#include "compose/render/emit.h"
#include "env/dotenv.h"
#include "lib/base/redact.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"

void gathered_done(Gathered *g)
{
    free(g->text);
    for (size_t i = 0; i < g->n_values; i++) {
        free(g->values[i].name);
        free(g->values[i].file);
    }
    free(g->values);
    for (size_t i = 0; i < g->n_files; i++) {
        free(g->files[i].path);
        free(g->files[i].source);
    }
    free(g->files);
    strv_free(g->sources);
    free(g->lines);
    error_list_done(&g->faults);
    *g = (Gathered) {};
}

void gather_scope_done(ValueScope *s)
{
    env_free(s->env);
    free(s->file);
}

int gather_scope(Gathering *g, const char *path, bool wanted, ValueScope *ret, Error *err)
{
    _cleanup_(freep) char *text = NULL;
    _cleanup_(error_done) Error why = {};
    size_t len = 0;
    int r = g->source->read(path, &text, &len, g->source->userdata, &why);

    if (r == -ENOENT && !wanted)
        return 0;
    if (r < 0)
        return error_set(err, r, "gather.env", "%s", error_message(&why, r));
    r = dotenv_parse(text, len, path, &ret->env, err);
    ret->file = r == 0 ? strdup(path) : NULL;
    return r < 0 ? r : ret->file ? 0 : -ENOMEM;
}

/* Once for each name. */
static void note(Gathering *g, const char *name, const char *file, bool is_secret)
{
    Gathered *out = g->result;
    GatheredValue *values;

    for (size_t i = 0; i < out->n_values; i++)
        if (str_equal(out->values[i].name, name))
            return;
    values = reallocarray(out->values, out->n_values + 1, sizeof(*values));
    if (!values)
        return;
    out->values = values;
    values[out->n_values] = (GatheredValue) { .name = strdup(name), .file = strdup(file), .is_secret = is_secret };
    if (values[out->n_values].name && values[out->n_values].file) {
        out->n_values++;
        return;
    }
    free(values[out->n_values].name);
    free(values[out->n_values].file);
}

/* The outer file's value goes before. */
static const ValueScope *find_scope(const ValueScope *s, const char *name)
{
    const ValueScope *found = s ? find_scope(s->outer, name) : NULL;

    return found ? found : s && s->env && env_get(s->env, name) ? s : NULL;
}

static bool looks_secret(const char *name, const char *value)
{
    _cleanup_(freep) char *shown = redact_text(value);

    /* out of memory, nothing goes out */
    return !shown || !str_equal(shown, value) || (*value && redact_key_is_secret(name));
}

static const char *lookup(const char *name, bool *ret_secret, void *userdata)
{
    Gathering *g = userdata;
    const ValueScope *s = find_scope(g->scope, name);
    const char *value = s ? env_get(s->env, name) : NULL;

    if (!value)
        return NULL;
    *ret_secret = looks_secret(name, value);
    note(g, name, s->file, *ret_secret);
    return value;
}

static int put_in(Gathering *g, YamlNode *node, const char *path)
{
    const ValueSource context = { .lookup = lookup, .userdata = g };
    int r = 0;

    for (size_t i = 0; r == 0 && i < node->n_items; i++)
        r = put_in(g, node->items[i], path);
    if (r < 0 || node->type != YAML_SCALAR || !node->value || !strchr(node->value, '$'))
        return r;
    _cleanup_(freep) char *text = NULL;
    _cleanup_(error_done) Error why = {}, placed = {};
    r = defaults_put_in(node->value, &context, &text, &why);
    if (r < 0) {
        (void) error_set_at(&placed, r, error_id(&why), path, node->line, node->key, "%s", error_message(&why, r));
        return gather_fault(g, &placed, r);
    }
    if (str_equal(text, node->value))
        return 0;
    g->changed = true;
    return tree_set_value(node, text);
}

/* The path as it lives on with the result. */
static const char *source_name(Gathered *out, const char *path)
{
    size_t n = strv_length(out->sources);

    for (size_t i = 0; i < n; i++)
        if (str_equal(out->sources[i], path))
            return out->sources[i];
    return strv_add(&out->sources, path) < 0 ? NULL : out->sources[n];
}

int gather_read(Gathering *g, const char *path, YamlNode **ret, Error *err)
{
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;
    _cleanup_(freep) char *text = NULL;
    size_t len = 0;
    const char *name = source_name(g->result, path);
    int r = name ? g->source->read(path, &text, &len, g->source->userdata, err) : -ENOMEM;

    if (r == 0)
        r = yaml_parse_tagged(text, len, path, &root, err);
    if (r == 0 && root->type != YAML_MAPPING)
        r = error_set_at(err, EINVAL, "compose.bad-type", path, root->line, NULL, "a compose file is a mapping");
    if (r == 0)
        r = put_in(g, root, path);
    if (r == 0) {
        tree_set_file(root, name);
        *ret = TAKE_PTR(root);
    }
    return r;
}

static int load(Gathering *g, const char *path, YamlNode **ret, Error *err)
{
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;
    GatherFrame frame = { .file = path };
    const GatherFrame *outer = g->frames;
    int r = gather_enter(g, &frame, "files include", err);

    if (r < 0)
        return r;
    if (g->depth++ >= GATHER_DEPTH_MAX)
        r = error_set(err, ELOOP, "gather.cycle", "files include each other more than %d deep", GATHER_DEPTH_MAX);
    if (r == 0)
        r = gather_read(g, path, &root, err);
    if (r == 0)
        r = gather_extends(g, root, path);
    if (r == 0)
        r = gather_include(g, root, path);
    g->depth--;
    g->frames = outer;
    if (r == 0)
        *ret = TAKE_PTR(root);
    return r;
}

int gather_load_over(Gathering *g, const char *path, YamlNode **base, Error *err)
{
    _cleanup_(yaml_node_freep) YamlNode *next = NULL;
    int r = load(g, path, &next, err);

    if (r == 0 && *base)
        r = compose_merge(*base, next, "");
    if (r == 0 && !*base)
        *base = TAKE_PTR(next);
    return r;
}

/* A service that belongs to a chosen profile is like any other. */
static void choose(Gathering *g, YamlNode *root, char *const *profiles)
{
    YamlNode *services = tree_get(root, "services");

    for (size_t i = 0; services && i < services->n_items; i++) {
        const YamlNode *own = yaml_get(services->items[i], "profiles");
        bool chosen = own && strv_contains(profiles, "*");

        for (size_t k = 0; own && k < own->n_items; k++)
            chosen = chosen || (own->items[k]->value && strv_contains(profiles, own->items[k]->value));
        if (!chosen)
            continue;
        yaml_node_free(tree_take(services->items[i], "profiles"));
        g->changed = true;
    }
}

/* Values of these are the text that stands in the file: True is not true. */
static bool holds_texts(const char *key)
{
    static const char *const keys[] = { "environment", "labels",      "annotations", "sysctls",
                                        "options",     "driver_opts", "extra_hosts", NULL };

    return key && strv_contains((char *const *) keys, key);
}

static cJSON *to_json(const YamlNode *node, bool texts)
{
    bool value;

    if (node->type == YAML_SCALAR) {
        if (yaml_is_null(node))
            return cJSON_CreateNull();
        return !texts && yaml_is_bool(node, &value) ? cJSON_CreateBool(value) : cJSON_CreateString(node->value);
    }
    cJSON *o = node->type == YAML_MAPPING ? cJSON_CreateObject() : cJSON_CreateArray();
    for (size_t i = 0; o && i < node->n_items; i++) {
        cJSON *child = to_json(node->items[i], texts || holds_texts(node->items[i]->key));
        int r = node->type == YAML_MAPPING ? json_add_item(o, node->items[i]->key, child) : json_append(o, child);

        if (r < 0) {
            cJSON_Delete(o);
            return NULL;
        }
    }
    return o;
}

static int write_out(Gathering *g, YamlNode *root, char *const *files, Error *err)
{
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;

    if (!g->changed && !files[1]) {
        g->result->is_same = true;
        return g->source->read(files[0], &g->result->text, &g->result->len, g->source->userdata, err);
    }
    o = to_json(root, false);
    int r = o ? compose_emit_yaml(o, &g->result->text) : -ENOMEM;
    if (r < 0)
        return error_set(err, r, "gather.write", "the files come to one that cannot be written: %s", strerror(-r));
    g->result->len = strlen(g->result->text);
    return gather_note_lines(g->result, root);
}

static int load_all(Gathering *g, const GatherOptions *o, YamlNode **ret)
{
    int r = 0;

    for (char *const *file = o->files; r == 0 && *file; file++) {
        _cleanup_(error_done) Error why = {};

        r = gather_load_over(g, *file, ret, &why);
        r = r < 0 ? gather_fault(g, &why, r) : 0;
    }
    return r;
}

/* Of the result, when all files could be read. */
static int finish(Gathering *g, const GatherOptions *o, YamlNode *root, Error *err)
{
    if (tree_apply_tags(root))
        g->changed = true;
    choose(g, root, o->profiles);
    int r = gather_named_files(g, root);
    return r < 0 ? r : write_out(g, root, o->files, err);
}

static int gather_scope_or_fault(Gathering *g, const char *path, bool wanted, ValueScope *ret)
{
    _cleanup_(error_done) Error why = {};
    int r = path ? gather_scope(g, path, wanted, ret, &why) : -ENOMEM;

    return r < 0 ? gather_fault(g, &why, r) : 0;
}

/* Of several env files the later goes before. */
static int gather_in(Gathering *g, const GatherOptions *o, size_t n_env, Error *err)
{
    _cleanup_(gather_scope_done) ValueScope scope = { .outer = g->scope };
    _cleanup_(yaml_node_freep) YamlNode *root = NULL;
    int r;

    if (n_env > 0) {
        r = gather_scope_or_fault(g, o->env_files[n_env - 1], true, &scope);
        g->scope = &scope;
        return r < 0 ? r : gather_in(g, o, n_env - 1, err);
    }
    if (!o->env_files) {
        _cleanup_(freep) char *folder = gather_folder(o->files[0]);
        _cleanup_(freep) char *path = folder ? gather_join(folder, ".env") : NULL;

        r = gather_scope_or_fault(g, path, false, &scope);
        if (r < 0)
            return r;
        g->scope = &scope;
    }
    r = load_all(g, o, &root);
    if (r < 0 || g->result->faults.n > 0)
        return r;
    return finish(g, o, root, err);
}

int compose_gather(const GatherOptions *options, const GatherSource *source, Gathered *ret, Error *err)
{
    _cleanup_(freep) char *first = gather_folder(options->files[0]), *project = first ? gather_join(first, "") : NULL;
    Gathering g = { .source = source, .result = ret, .base = project };
    size_t n_env = strv_length(options->env_files);
    int r = project ? gather_in(&g, options, n_env, err) : -ENOMEM;

    if (r == 0 && ret->faults.n > 0) {
        (void) error_copy(err, &ret->faults.items[0]);
        return -EINVAL;
    }
    return r < 0 ? error_from_errno(err, r, "cannot gather the compose file") : 0;
}
