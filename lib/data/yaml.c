/* SPDX-License-Identifier: MIT */
/* Builds a tree from libyaml's events and stops at the first event that is not accepted, so that libyaml never gets to do
 * the work that a hostile file asks for. Anchors, aliases and merge keys are gone from the tree: copies stand for them. */
#include "lib/data/yaml.h"

#include <errno.h>
#include <string.h>
#include <yaml.h>

#include "lib/base/limits.h"
#include "lib/base/strv.h"

/* keys are names; libyaml and others refuse simple keys from 1024 characters on */
#define KEY_LENGTH_MAX 200
#define ANCHORS_MAX 256
/* of one mapping that merges others */
#define MERGED_MEMBERS_MAX 512

typedef struct Anchor {
    char *name;
    const YamlNode *node; /* in the tree */
} Anchor;

typedef struct Builder {
    const char *file;
    YamlNode *root;
    YamlNode *open[YAML_DEPTH_MAX]; /* borrowed: from the root down to the collection being filled */
    size_t depth;
    char *key; /* read, its value not yet */
    unsigned key_line;
    bool key_merges;
    bool takes_tags; /* those of merging */
    size_t n_events; /* and what aliases and merges put in */
    size_t n_bytes;  /* that aliases and merges put in */
    size_t n_documents;
    Anchor *anchors;
    size_t n_anchors;
    YamlNode merged; /* a list of what has been merged: anchors may point into it */
} Builder;

static void builder_done(Builder *b)
{
    for (size_t i = 0; i < b->n_anchors; i++)
        free(b->anchors[i].name);
    free(b->anchors);
    for (size_t i = 0; i < b->merged.n_items; i++)
        yaml_node_free(b->merged.items[i]);
    free(b->merged.items);
    yaml_node_free(b->root);
    free(b->key);
}

YamlNode *yaml_node_free(YamlNode *node)
{
    if (!node)
        return NULL;
    for (size_t i = 0; i < node->n_items; i++)
        yaml_node_free(node->items[i]);
    free(node->items);
    free(node->key);
    free(node->value);
    free(node);
    return NULL;
}

static unsigned event_line(const yaml_event_t *event)
{
    return (unsigned) event->start_mark.line + 1;
}

static int fail(const Builder *b, Error *err, const yaml_event_t *event, const char *id, const char *message)
{
    return error_set_at(err, EINVAL, id, b->file, event_line(event), NULL, "%s", message);
}

/* --- before libyaml --- */

/* What libyaml would take for a line break or not at all, and then count lines otherwise than an editor. */
static bool is_foreign_character(const char *s, size_t left)
{
    unsigned char c = (unsigned char) *s;

    if (c == '\r')
        return left < 2 || s[1] != '\n';
    if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7f)
        return true;
    if (c == 0xc2 && left > 1)
        return (unsigned char) s[1] < 0xa0;
    return left > 2 && (memcmp(s, "\xe2\x80\xa8", 3) == 0 || memcmp(s, "\xe2\x80\xa9", 3) == 0 ||
                        memcmp(s, "\xef\xbb\xbf", 3) == 0);
}

static unsigned code_point(const char *s)
{
    const unsigned char *u = (const unsigned char *) s;

    if (u[0] < 0x80)
        return u[0];
    if (u[0] < 0xe0)
        return (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
    return (u[0] & 0x0fu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
}

static const char *name_character(unsigned code)
{
    return code == '\r'                       ? "a carriage return without a line feed"
           : code == 0x85                     ? "a next-line mark"
           : code == 0xfeff                   ? "a byte order mark"
           : code == 0x2028 || code == 0x2029 ? "an invisible line or paragraph separator"
                                              : "a control character";
}

/* One pass over the bytes. A directive is refused here because libyaml compares every %TAG with all before
 * it. */
static int check_text(const char *text, size_t len, const char *file, Error *err)
{
    unsigned line = 1;

    if (len > YAML_SIZE_MAX)
        return error_set_at(err, EMSGSIZE, "yaml.too-large", file, 0, NULL, "%zu bytes, and at most %d are accepted",
                            len, YAML_SIZE_MAX);
    if (!utf8_is_valid(text, len))
        return error_set_at(err, EINVAL, "yaml.not-utf8", file, 0, NULL,
                            "the text is not UTF-8; save the file as UTF-8");
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%' && (i == 0 || text[i - 1] == '\n'))
            return error_set_at(err, EINVAL, "yaml.syntax", file, line, NULL,
                                "a line starts with %%; directives are not accepted, remove the line");
        if (is_foreign_character(text + i, len - i))
            return error_set_at(err, EINVAL, "yaml.syntax", file, line, NULL,
                                "the character U+%04X (%s) cannot stand in a file; remove it", code_point(text + i),
                                name_character(code_point(text + i)));
        if (text[i] == '\n')
            line++;
    }
    return 0;
}

/* --- the tree --- */

static int node_add_item(YamlNode *parent, YamlNode *child)
{
    size_t n = parent->n_items;

    /* full exactly at 0 and the powers of two */
    if ((n & (n - 1)) == 0) {
        YamlNode **items = reallocarray(parent->items, n ? n * 2 : 1, sizeof(*items));
        if (!items)
            return -ENOMEM;
        parent->items = items;
    }
    child->position = parent->n_items;
    parent->items[parent->n_items++] = child;
    return 0;
}

static YamlNode *builder_top(const Builder *b)
{
    return b->depth ? b->open[b->depth - 1] : NULL;
}

/* Puts a new node where the builder stands. Takes ownership, also on failure. */
static int builder_attach(Builder *b, YamlNode *node)
{
    YamlNode *top = builder_top(b);

    if (!top) {
        b->root = node;
        return 0;
    }
    if (top->type == YAML_MAPPING) {
        node->key = TAKE_PTR(b->key);
        node->key_line = b->key_line;
        node->merges = b->key_merges;
    }
    if (node_add_item(top, node) < 0) {
        yaml_node_free(node);
        return -ENOMEM;
    }
    return 0;
}

static int builder_take_tag(const Builder *b, const yaml_event_t *event, const yaml_char_t *tag, YamlTag *ret,
                            Error *err)
{
    const char *name = (const char *) tag;

    *ret = str_equal(name, "!reset")      ? YAML_TAG_RESET
           : str_equal(name, "!override") ? YAML_TAG_OVERRIDE
                                          : YAML_TAG_NONE;
    if (!tag || (b->takes_tags && *ret != YAML_TAG_NONE && b->key))
        return 0;
    return fail(b, err, event, "yaml.tag",
                b->takes_tags && *ret != YAML_TAG_NONE
                    ? "!reset and !override stand behind a key and its colon; put the tag there"
                    : "tags (!name) are not accepted; remove the tag");
}

/* Remembers where the node stands that has just been attached; a later anchor of the same name takes its place. */
static int builder_note_anchor(Builder *b, const yaml_event_t *event, const yaml_char_t *name, const YamlNode *node,
                               Error *err)
{
    Anchor *anchor = NULL;

    if (!name)
        return 0;
    for (size_t i = 0; i < b->n_anchors && !anchor; i++)
        if (str_equal(b->anchors[i].name, (const char *) name))
            anchor = &b->anchors[i];
    if (!anchor && b->n_anchors == ANCHORS_MAX)
        return error_set_at(err, EMSGSIZE, "yaml.too-many-nodes", b->file, event_line(event), NULL,
                            "more than %d anchors (&name)", ANCHORS_MAX);
    if (!b->anchors)
        b->anchors = calloc(ANCHORS_MAX, sizeof(*b->anchors));
    if (!b->anchors)
        return -ENOMEM;
    if (!anchor) {
        anchor = &b->anchors[b->n_anchors];
        anchor->name = strdup((const char *) name);
        if (!anchor->name)
            return -ENOMEM;
        b->n_anchors++;
    }
    anchor->node = node;
    return 0;
}

static void measure(const YamlNode *node, size_t depth, size_t *ret_nodes, size_t *ret_bytes, size_t *ret_depth)
{
    ++*ret_nodes;
    *ret_bytes += (node->key ? strlen(node->key) : 0) + (node->value ? strlen(node->value) : 0);
    if (node->type != YAML_SCALAR && depth > *ret_depth)
        *ret_depth = depth;
    for (size_t i = 0; i < node->n_items; i++)
        measure(node->items[i], depth + 1, ret_nodes, ret_bytes, ret_depth);
}

/* A copy to be put in at this depth. All copies together are bounded, so that no small file becomes a large tree. */
static int builder_copy(Builder *b, const YamlNode *node, size_t depth, unsigned line, YamlNode **ret, Error *err)
{
    size_t nodes = 0, bytes = 0, deepest = 0;

    measure(node, depth + 1, &nodes, &bytes, &deepest);
    if (deepest > YAML_DEPTH_MAX)
        return error_set_at(err, EMSGSIZE, "yaml.too-deep", b->file, line, NULL,
                            "nested deeper than %d levels with its aliases put in", YAML_DEPTH_MAX);
    b->n_events += nodes;
    b->n_bytes += bytes;
    if (b->n_events > YAML_EVENTS_MAX || b->n_bytes > YAML_SIZE_MAX)
        return error_set_at(err, EMSGSIZE, "yaml.too-many-nodes", b->file, line, NULL,
                            "more than %d values, keys and brackets, or %d bytes, with its aliases put in",
                            YAML_EVENTS_MAX, YAML_SIZE_MAX);
    *ret = yaml_node_copy(node);
    return *ret ? 0 : -ENOMEM;
}

static int builder_alias(Builder *b, const yaml_event_t *event, Error *err)
{
    const char *name = (const char *) event->data.alias.anchor;
    const YamlNode *node = NULL;
    YamlNode *top = builder_top(b), *copy = NULL;
    int r;

    if (top && top->type == YAML_MAPPING && !b->key)
        return fail(b, err, event, "yaml.alias", "an alias (*name) cannot be a key; write the key out");
    for (size_t i = 0; i < b->n_anchors && !node; i++)
        if (str_equal(b->anchors[i].name, name))
            node = b->anchors[i].node;
    if (!node)
        return error_set_at(err, EINVAL, "yaml.alias", b->file, event_line(event), NULL,
                            "there is no anchor &%.64s before this alias; anchors stand before what uses them", name);
    for (size_t i = 0; i < b->depth; i++)
        if (b->open[i] == node)
            return error_set_at(err, EINVAL, "yaml.alias", b->file, event_line(event), NULL,
                                "the alias *%.64s stands in what it stands for", name);
    r = builder_copy(b, node, b->depth, event_line(event), &copy, err);
    if (r < 0)
        return r;
    free(copy->key);
    copy->key = NULL;
    copy->merges = false;
    return builder_attach(b, copy);
}

/* --- merging --- */

static int merge_mapping(Builder *b, YamlNode *mapping, const YamlNode *source, unsigned line, Error *err)
{
    if (source->type != YAML_MAPPING)
        return error_set_at(err, EINVAL, "yaml.merge-key", b->file, line, "<<",
                            "a merge key (<<) takes a mapping or a list of mappings, mostly by an alias: <<: *name");
    for (size_t i = 0; i < source->n_items; i++) {
        YamlNode *copy = NULL;
        int r;

        if (yaml_get(mapping, source->items[i]->key))
            continue;
        if (mapping->n_items == MERGED_MEMBERS_MAX)
            return error_set_at(err, EMSGSIZE, "yaml.too-many-nodes", b->file, line, "<<",
                                "more than %d members with the merged ones", MERGED_MEMBERS_MAX);
        r = builder_copy(b, source->items[i], b->depth + 1, line, &copy, err);
        if (r < 0)
            return r;
        if (node_add_item(mapping, copy) < 0) {
            yaml_node_free(copy);
            return -ENOMEM;
        }
    }
    return 0;
}

/* What the mapping says itself wins, then the first of a list. */
static int expand_merge(Builder *b, YamlNode *mapping, Error *err)
{
    YamlNode *merge = NULL;
    size_t n = 0;
    int r;

    for (size_t i = 0; i < mapping->n_items; i++) {
        if (mapping->items[i]->merges)
            merge = mapping->items[i];
        else
            mapping->items[n++] = mapping->items[i];
    }
    if (!merge)
        return 0;
    mapping->n_items = n;
    if (node_add_item(&b->merged, merge) < 0) {
        yaml_node_free(merge);
        return -ENOMEM;
    }
    if (mapping->n_items > MERGED_MEMBERS_MAX)
        return error_set_at(err, EMSGSIZE, "yaml.too-many-nodes", b->file, merge->key_line, "<<",
                            "more than %d members beside a merge key", MERGED_MEMBERS_MAX);
    if (merge->type != YAML_SEQUENCE)
        return merge_mapping(b, mapping, merge, merge->key_line, err);
    r = 0;
    for (size_t i = 0; r >= 0 && i < merge->n_items; i++)
        r = merge_mapping(b, mapping, merge->items[i], merge->key_line, err);
    return r;
}

/* --- events --- */

static int builder_take_key(Builder *b, const yaml_event_t *event, Error *err)
{
    const char *value = (const char *) event->data.scalar.value;
    size_t len = event->data.scalar.length;
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;

    if (event->data.scalar.anchor)
        return fail(b, err, event, "yaml.anchor", "an anchor (&name) cannot stand at a key; put it behind the colon");
    if (len == 0 || len > KEY_LENGTH_MAX)
        return error_set_at(err, EINVAL, "yaml.syntax", b->file, event_line(event), NULL,
                            "a key has %zu bytes; 1 to %d are accepted", len, KEY_LENGTH_MAX);
    for (size_t i = 0; i < len; i++)
        if ((unsigned char) value[i] < 0x20)
            return fail(b, err, event, "yaml.syntax", "a key holds a control character");
    b->key = strdup(value);
    b->key_line = event_line(event);
    b->key_merges = plain && str_equal(value, "<<");
    return b->key ? 0 : -ENOMEM;
}

static int builder_scalar(Builder *b, const yaml_event_t *event, Error *err)
{
    const char *value = (const char *) event->data.scalar.value;
    YamlNode *top = builder_top(b);
    YamlNode *node;
    YamlTag mark;

    /* event->data.scalar.tag is NULL for untagged values, quoted or not */
    int r = builder_take_tag(b, event, event->data.scalar.tag, &mark, err);
    if (r < 0)
        return r;
    if (strlen(value) != event->data.scalar.length)
        return fail(b, err, event, "yaml.syntax", "a value holds a NUL character");
    if (top && top->type == YAML_MAPPING && !b->key)
        return builder_take_key(b, event, err);
    node = calloc(1, sizeof(*node));
    if (!node)
        return -ENOMEM;
    node->type = YAML_SCALAR;
    node->tag = mark;
    node->line = event_line(event);
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    node->value = strdup(value);
    if (!node->value) {
        yaml_node_free(node);
        return -ENOMEM;
    }
    r = builder_attach(b, node);
    return r < 0 ? r : builder_note_anchor(b, event, event->data.scalar.anchor, node, err);
}

static int builder_open(Builder *b, const yaml_event_t *event, YamlType type, const yaml_char_t *tag,
                        const yaml_char_t *anchor, Error *err)
{
    YamlNode *top = builder_top(b);
    YamlNode *node;
    YamlTag mark;
    int r = builder_take_tag(b, event, tag, &mark, err);

    if (r < 0)
        return r;
    if (top && top->type == YAML_MAPPING && !b->key)
        return fail(b, err, event, "yaml.syntax", "a key must be text, not a list or a mapping");
    if (b->depth == YAML_DEPTH_MAX)
        return error_set_at(err, EMSGSIZE, "yaml.too-deep", b->file, event_line(event), NULL,
                            "nested deeper than %d levels", YAML_DEPTH_MAX);
    node = calloc(1, sizeof(*node));
    if (!node)
        return -ENOMEM;
    node->type = type;
    node->tag = mark;
    node->line = event_line(event);
    r = builder_attach(b, node);
    if (r < 0)
        return r;
    b->open[b->depth++] = node;
    return builder_note_anchor(b, event, anchor, node, err);
}

static int compare_members(const void *a, const void *b)
{
    const YamlNode *x = *(YamlNode *const *) a, *y = *(YamlNode *const *) b;
    int c = strcmp(x->key, y->key);

    return c ? c : (x->key_line > y->key_line) - (x->key_line < y->key_line);
}

static int check_duplicates(const Builder *b, const YamlNode *mapping, Error *err)
{
    _cleanup_(freep) YamlNode **sorted = NULL;

    if (mapping->n_items < 2)
        return 0;
    sorted = calloc(mapping->n_items, sizeof(YamlNode *));
    if (!sorted)
        return -ENOMEM;
    memcpy(sorted, mapping->items, mapping->n_items * sizeof(YamlNode *));
    qsort(sorted, mapping->n_items, sizeof(YamlNode *), compare_members);
    for (size_t i = 1; i < mapping->n_items; i++)
        if (str_equal(sorted[i - 1]->key, sorted[i]->key))
            return error_set_at(err, EINVAL, "yaml.duplicate-key", b->file, sorted[i]->key_line, sorted[i]->key,
                                "the key %s is there twice, first on line %u; remove one", sorted[i]->key,
                                sorted[i - 1]->key_line);
    return 0;
}

static int builder_close(Builder *b, Error *err)
{
    YamlNode *node = b->open[--b->depth];

    if (node->type != YAML_MAPPING)
        return 0;
    int r = check_duplicates(b, node, err);
    return r < 0 ? r : expand_merge(b, node, err);
}

static int builder_event(Builder *b, const yaml_event_t *event, Error *err)
{
    if (++b->n_events > YAML_EVENTS_MAX)
        return error_set_at(err, EMSGSIZE, "yaml.too-many-nodes", b->file, event_line(event), NULL,
                            "more than %d values, keys and brackets", YAML_EVENTS_MAX);
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (b->n_documents++ == 0)
            return 0;
        return fail(b, err, event, "yaml.multiple-documents", "a second document starts here; only one is accepted");
    case YAML_ALIAS_EVENT:
        return builder_alias(b, event, err);
    case YAML_SCALAR_EVENT:
        return builder_scalar(b, event, err);
    case YAML_SEQUENCE_START_EVENT:
        return builder_open(b, event, YAML_SEQUENCE, event->data.sequence_start.tag, event->data.sequence_start.anchor,
                            err);
    case YAML_MAPPING_START_EVENT:
        return builder_open(b, event, YAML_MAPPING, event->data.mapping_start.tag, event->data.mapping_start.anchor,
                            err);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        return builder_close(b, err);
    default:
        return 0;
    }
}

static int parser_failure(const yaml_parser_t *parser, const char *file, Error *err)
{
    unsigned line = (unsigned) parser->problem_mark.line + 1;
    const char *problem = parser->problem ? parser->problem : "not readable";

    if (parser->error == YAML_MEMORY_ERROR)
        return -ENOMEM;
    return error_set_at(err, EINVAL, "yaml.syntax", file, line, NULL,
                        "not valid YAML: %s%s%s (check indentation, quotes and tabs here and on the line before)",
                        parser->context ? parser->context : "", parser->context ? ", " : "", problem);
}

static int parse_events(yaml_parser_t *parser, Builder *b, Error *err)
{
    for (;;) {
        yaml_event_t event;
        bool end;
        int r;

        if (!yaml_parser_parse(parser, &event))
            return parser_failure(parser, b->file, err);
        end = event.type == YAML_STREAM_END_EVENT;
        r = builder_event(b, &event, err);
        yaml_event_delete(&event);
        if (r < 0 || end)
            return r;
    }
}

static int parse(const char *text, size_t len, const char *file, bool takes_tags, YamlNode **ret, Error *err)
{
    _cleanup_(builder_done) Builder b = { .file = file, .takes_tags = takes_tags };
    yaml_parser_t parser;
    int r;

    r = check_text(text, len, file, err);
    if (r < 0)
        return r;
    if (!yaml_parser_initialize(&parser))
        return -ENOMEM;
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *) text, len);
    r = parse_events(&parser, &b, err);
    yaml_parser_delete(&parser);
    if (r < 0)
        return error_from_errno(err, r, "cannot read %s", file ? file : "YAML");
    if (!b.root || yaml_is_null(b.root))
        return error_set_at(err, EINVAL, "yaml.empty", file, 1, NULL, "there is nothing in it");
    *ret = TAKE_PTR(b.root);
    return 0;
}

int yaml_parse(const char *text, size_t len, const char *file, YamlNode **ret, Error *err)
{
    return parse(text, len, file, false, ret, err);
}

int yaml_parse_tagged(const char *text, size_t len, const char *file, YamlNode **ret, Error *err)
{
    return parse(text, len, file, true, ret, err);
}

YamlNode *yaml_node_copy(const YamlNode *node)
{
    _cleanup_(yaml_node_freep) YamlNode *copy = calloc(1, sizeof(*copy));

    if (!copy)
        return NULL;
    copy->type = node->type;
    copy->line = node->line;
    copy->key_line = node->key_line;
    copy->plain = node->plain;
    copy->file = node->file;
    copy->tag = node->tag;
    if (node->key && !(copy->key = strdup(node->key)))
        return NULL;
    if (node->value && !(copy->value = strdup(node->value)))
        return NULL;
    for (size_t i = 0; i < node->n_items; i++) {
        YamlNode *item = yaml_node_copy(node->items[i]);
        if (!item)
            return NULL;
        if (node_add_item(copy, item) < 0) {
            yaml_node_free(item);
            return NULL;
        }
        item->position = node->items[i]->position;
    }
    return TAKE_PTR(copy);
}

const YamlNode *yaml_get(const YamlNode *node, const char *key)
{
    if (!node || node->type != YAML_MAPPING)
        return NULL;
    for (size_t i = 0; i < node->n_items; i++)
        if (str_equal(node->items[i]->key, key))
            return node->items[i];
    return NULL;
}

static bool is_one_of(const char *s, const char *const words[static 5])
{
    for (size_t i = 0; words[i]; i++)
        if (strcmp(s, words[i]) == 0)
            return true;
    return false;
}

bool yaml_is_null(const YamlNode *node)
{
    static const char *const nulls[] = { "", "~", "null", "Null", "NULL", NULL };

    return node && node->type == YAML_SCALAR && node->plain && is_one_of(node->value, nulls);
}

bool yaml_is_bool(const YamlNode *node, bool *ret)
{
    static const char *const yes[] = { "true", "True", "TRUE", NULL, NULL };
    static const char *const no[] = { "false", "False", "FALSE", NULL, NULL };
    bool value;

    if (!node || node->type != YAML_SCALAR || !node->plain)
        return false;
    value = is_one_of(node->value, yes);
    if (!value && !is_one_of(node->value, no))
        return false;
    *ret = value;
    return true;
}
