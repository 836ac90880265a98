/* SPDX-License-Identifier: MIT */
/* What a doctor finds: each check says whether something is well, since when it is not, and what mends it. The programs that have
 * a doctor share its document, its table and its exit codes. */
#pragma once

#include "lib/base/clock.h"
#include "lib/data/json.h"

typedef enum Verdict {
    VERDICT_PASS,
    VERDICT_FAIL,
    VERDICT_UNKNOWN,
} Verdict;

typedef struct Finding {
    Verdict verdict;
    char *detail;     /* what was seen */
    char *advice;     /* what to do about it; NULL when it passed, or when the remedy says it all */
    char *remedy;     /* the command that mends it, for root's shell where it was found; NULL when no single one does */
    bool by_operator; /* the remedy is for an operator's machine */
    usec_t since;     /* by the wall clock; 0 when it cannot be known */
} Finding;

/* Set the finding once; the strings are taken from printf-like text. */
void finding_pass(Finding *f, const char *fmt, ...) _printf_(2, 3);
/* `advice` is a literal sentence of what to do, or NULL when a remedy follows. */
void finding_set(Finding *f, Verdict verdict, const char *advice, const char *fmt, ...) _printf_(4, 5);
/* Adds the command that mends it: what is printed is what is typed. */
void finding_remedy(Finding *f, const char *fmt, ...) _printf_(2, 3);
/* Adds since when it is so: the time that a file was changed; nothing when there is no such file. */
void finding_since_file(Finding *f, const char *path);
/* The same of a process: since it was started. `pid` is its number as text. */
void finding_since_process(Finding *f, const char *pid);
void finding_done(Finding *f);

/* {"checks": []}, or NULL. */
cJSON *findings_new(void);
/* Adds what a check has found, made printable; a remedy that is not is left out. `place` is whose shell a remedy is for, where it
 * is not the operator's: "box", "gateway". */
int findings_add(cJSON *findings, const char *id, const Finding *f, const char *place) _must_check_;
/* Adds "passed", "failed" and "unknown", at the end. */
int findings_count(cJSON *findings) _must_check_;
/* The table, and a line that counts: a new string or NULL. `heading` is that of the first column. Whatever a document from
 * elsewhere holds is harmless here. */
char *findings_text(const cJSON *findings, const char *heading);
/* EXIT_FAILED when a check has failed, EXIT_UNREACHABLE when one could not be made, else EXIT_OK. */
int findings_exit_code(const cJSON *findings);
