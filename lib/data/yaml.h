/* SPDX-License-Identifier: MIT */
/* Strict YAML for files that others wrote: libyaml's event parser, one document, no tags and no duplicate keys, with the
 * caps of limits.h. They hold with all aliases and merge keys put in. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/error.h"

typedef enum YamlType {
    YAML_SCALAR,
    YAML_SEQUENCE,
    YAML_MAPPING,
} YamlType;

/* What a file that is put over another one says of a member, as compose files do. */
typedef enum YamlTag {
    YAML_TAG_NONE,
    YAML_TAG_RESET,    /* !reset: it goes, whatever its value */
    YAML_TAG_OVERRIDE, /* !override: it replaces what is there */
} YamlTag;

typedef struct YamlNode YamlNode;

/* A tree whose fields its owner may read directly. */
struct YamlNode {
    YamlType type;
    unsigned line;    /* 1-based */
    const char *file; /* for the tree's owner to say where it is from; NULL as it is parsed */
    YamlTag tag;      /* in a mapping: by yaml_parse_tagged() */
    char *key;        /* in a mapping: this member's key; else NULL */
    unsigned key_line;
    char *value;      /* scalar: NUL-terminated UTF-8 text */
    bool merges;      /* a merge key's value, while the tree is built */
    bool plain;       /* scalar: written without quotes, so null/true/8080 have a type */
    YamlNode **items; /* sequence and mapping: children in order */
    size_t n_items;
    size_t position; /* in a sequence or mapping: which child it is in the file, also when others have been taken out */
};

/* Parses `text` in a few milliseconds whatever it holds: size, encoding and directives are checked in a linear scan, and
 * libyaml (quadratic on deep nesting) is stopped at the first event that is not accepted. `file` is the name used in
 * errors.
 * Errors: yaml.too-large, yaml.too-deep, yaml.too-many-nodes, yaml.syntax, yaml.alias (an unknown name, or one for what it
 * stands in), yaml.anchor (at a key), yaml.tag, yaml.merge-key (no mapping), yaml.duplicate-key, yaml.multiple-documents,
 * yaml.empty, yaml.not-utf8; all with file and line. */
int yaml_parse(const char *text, size_t len, const char *file, YamlNode **ret, Error *err) _must_check_;
/* The same, and takes the tags !reset and !override at the members of mappings. */
int yaml_parse_tagged(const char *text, size_t len, const char *file, YamlNode **ret, Error *err) _must_check_;

/* Not yaml_free, which libyaml exports. */
YamlNode *yaml_node_free(YamlNode *node);
DEFINE_CLEANUP(YamlNode, yaml_node_free)

YamlNode *yaml_node_copy(const YamlNode *node);

/* Member of a mapping, NULL when missing (or node is not a mapping). */
const YamlNode *yaml_get(const YamlNode *node, const char *key);

/* Plain-scalar types of the YAML 1.2 core schema: null, ~ and "" written plainly are null. */
bool yaml_is_null(const YamlNode *node);
bool yaml_is_bool(const YamlNode *node, bool *ret);
