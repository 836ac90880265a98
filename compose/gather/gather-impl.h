/* SPDX-License-Identifier: MIT */
/* What the parts of gathering share. Private to this folder. */
#pragma once

#include "compose/gather/gather.h"
#include "env/env-file.h"
#include "lib/data/yaml.h"

/* Values for a file's variables: those of the files around it go before. */
typedef struct ValueScope {
    const struct ValueScope *outer;
    EnvFile *env;
    char *file; /* it came from */
} ValueScope;

/* What is being read or written out: a circle comes back to one of them. */
typedef struct GatherFrame {
    const struct GatherFrame *outer;
    const char *file, *service; /* no service: the file itself */
} GatherFrame;

typedef struct Gathering {
    const GatherSource *source;
    Gathered *result;
    bool changed; /* the result is no more what the one file says */
    const ValueScope *scope;
    const char *base; /* the folder that relative paths of the file at hand mean */
    unsigned depth;   /* of files that name others */
    const GatherFrame *frames;
} Gathering;

#define GATHER_DEPTH_MAX 8

/* "FOLDER/PATH" without "." and needless ".."; `folder` "" is the present one. A new string or NULL. */
char *gather_join(const char *folder, const char *path);
/* "" when there is none. A new string or NULL. */
char *gather_folder(const char *path);
/* What leads from one folder to another, both as gather_join() gives them: "" when they are the same; an absolute path when only
 * `to` is one. -EXDEV when nothing is known that does. */
int gather_relative(const char *from, const char *to, char **ret) _must_check_;
/* The same, with an error that names the file at `path`. */
int gather_way(const char *from, const char *to, const char *path, char **ret, Error *err) _must_check_;

/* Notes why a part of it cannot be gathered, so that the others can still be looked at; *why is empty afterwards. 0 or -ENOMEM. */
int gather_fault(Gathering *g, Error *why, int r) _must_check_;
/* Where an error is whose place is not known yet. */
void gather_place(Error *e, const char *file, const YamlNode *at);
/* Enters a frame, unless it is entered already: then gather.cycle, with the whole circle. */
int gather_enter(Gathering *g, GatherFrame *frame, const char *what, Error *err) _must_check_;

/* A file with its values put in, and nothing else done. */
int gather_read(Gathering *g, const char *path, YamlNode **ret, Error *err) _must_check_;
/* Values of an env file, for as long as `ret` lasts; a file that is not there is none when it is not `wanted`. */
int gather_scope(Gathering *g, const char *path, bool wanted, ValueScope *ret, Error *err) _must_check_;
void gather_scope_done(ValueScope *s);

/* A file with all that it extends and includes, put over what *base has, which may be NULL. */
int gather_load_over(Gathering *g, const char *path, YamlNode **base, Error *err) _must_check_;

/* extends.c: writes every service of this file out. */
int gather_extends(Gathering *g, YamlNode *root, const char *path) _must_check_;
/* include.c: takes over what the file includes. */
int gather_include(Gathering *g, YamlNode *root, const char *path) _must_check_;

/* rebase.c: relative paths in a service, or in a whole file, are from `folder`, which is itself from the folder that they shall
 * be from. */
int gather_rebase_service(YamlNode *service, const char *folder) _must_check_;
int gather_rebase(YamlNode *root, const char *folder) _must_check_;

/* lines.c: where the lines of the text that was written out are from. */
int gather_note_lines(Gathered *out, const YamlNode *root) _must_check_;
/* named-files.c: what the whole file names beside itself, for the services that run. */
int gather_named_files(Gathering *g, const YamlNode *root) _must_check_;
