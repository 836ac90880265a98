/* SPDX-License-Identifier: MIT */
/* The document is made first; what people see is made of the document, so that both say the same. */
#include "lib/cli/finding.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/base/proc.h"
#include "lib/base/strv.h"
#include "lib/base/text.h"
#include "lib/cli/cli.h"
#include "lib/cli/table.h"

static const char *const verdict_names[] = {
    [VERDICT_PASS] = "pass",
    [VERDICT_FAIL] = "fail",
    [VERDICT_UNKNOWN] = "unknown",
};

void finding_done(Finding *f)
{
    free(f->detail);
    free(f->advice);
    free(f->remedy);
}

static void finding_setv(Finding *f, Verdict verdict, const char *advice, const char *fmt, va_list ap)
    __attribute__((format(printf, 4, 0)));

static void finding_setv(Finding *f, Verdict verdict, const char *advice, const char *fmt, va_list ap)
{
    finding_done(f);
    *f = (Finding) { .verdict = verdict, .advice = advice ? str_format("%s", advice) : NULL };
    f->detail = str_vformat(fmt, ap);
}

void finding_pass(Finding *f, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    finding_setv(f, VERDICT_PASS, NULL, fmt, ap);
    va_end(ap);
}

void finding_set(Finding *f, Verdict verdict, const char *advice, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    finding_setv(f, verdict, advice, fmt, ap);
    va_end(ap);
}

void finding_remedy(Finding *f, const char *fmt, ...)
{
    va_list ap;

    free(f->remedy);
    va_start(ap, fmt);
    f->remedy = str_vformat(fmt, ap);
    va_end(ap);
}

void finding_since_file(Finding *f, const char *path)
{
    struct stat st;

    if (lstat(path, &st) == 0)
        f->since = (usec_t) st.st_ctim.tv_sec * USEC_PER_SEC;
}

void finding_since_process(Finding *f, const char *pid)
{
    uint64_t number;

    if (str_to_u64(pid, 1, INT32_MAX, &number) == 0)
        f->since = process_started((pid_t) number);
}

/* What to do, with the command that does it as it is typed: a new string, or NULL when there is nothing to do. */
static char *advice_text(const Finding *f, const char *remedy)
{
    if (!remedy)
        return f->advice ? strdup(f->advice) : NULL;
    return str_format("%s `%s`.%s%s", f->by_operator ? "On the operator's machine, run" : "Run", remedy,
                      f->advice ? " " : "", f->advice ? f->advice : "");
}

cJSON *findings_new(void)
{
    cJSON *findings = cJSON_CreateObject();

    if (findings && cJSON_AddArrayToObject(findings, "checks"))
        return findings;
    cJSON_Delete(findings);
    return NULL;
}

/* What was seen may hold anything, and JSON is UTF-8. NULL adds nothing. */
static int add_printable(cJSON *entry, const char *key, const char *text)
{
    _cleanup_(freep) char *printable = text ? text_printable(text) : NULL;

    return text && !printable ? -ENOMEM : json_add_string(entry, key, printable);
}

int findings_add(cJSON *findings, const char *id, const Finding *f, const char *place)
{
    cJSON *entry = cJSON_CreateObject();
    /* a command with a character replaced would be another command */
    const char *remedy = f->remedy && text_is_plain(f->remedy) ? f->remedy : NULL;
    _cleanup_(freep) char *advice = advice_text(f, remedy);
    char since[TIMESTAMP_SIZE];

    if (!entry || json_append(cJSON_GetObjectItemCaseSensitive(findings, "checks"), entry) < 0)
        return -ENOMEM;
    if (json_add_string(entry, "id", id) < 0 || json_add_string(entry, "result", verdict_names[f->verdict]) < 0 ||
        add_printable(entry, "detail", f->detail) < 0 || add_printable(entry, "advice", advice) < 0 ||
        json_add_string(entry, "remedy", remedy) < 0 ||
        (remedy && json_add_string(entry, "remedyFor", f->by_operator ? "operator" : place) < 0) ||
        json_add_string(entry, "since", f->since > 0 ? timestamp_format(f->since, since) : NULL) < 0)
        return -ENOMEM;
    return 0;
}

static unsigned count(const cJSON *findings, Verdict verdict)
{
    const cJSON *check;
    unsigned n = 0;

    cJSON_ArrayForEach(check, cJSON_GetObjectItemCaseSensitive(findings, "checks"))
        n += str_equal(json_string(check, "result"), verdict_names[verdict]);
    return n;
}

int findings_count(cJSON *findings)
{
    if (json_add_int(findings, "passed", (int) count(findings, VERDICT_PASS)) < 0 ||
        json_add_int(findings, "failed", (int) count(findings, VERDICT_FAIL)) < 0 ||
        json_add_int(findings, "unknown", (int) count(findings, VERDICT_UNKNOWN)) < 0)
        return -ENOMEM;
    return 0;
}

/* "DETAIL, since TIME. ADVICE" */
static int add_row(Table *table, const cJSON *check)
{
    const char *detail = json_string(check, "detail"), *since = json_string(check, "since"),
               *advice = json_string(check, "advice");
    _cleanup_(freep) char *text = str_format("%s%s%s%s%s", detail ? detail : "", since ? ", since " : "",
                                             since ? since : "", advice ? ". " : "", advice ? advice : "");

    return text ? table_row(table, json_string(check, "id"), json_string(check, "result"), text) : -ENOMEM;
}

char *findings_text(const cJSON *findings, const char *heading)
{
    const char *const headers[] = { heading, "RESULT", "WHAT, AND WHAT TO DO", NULL };
    _cleanup_(table_freep) Table *table = table_new(headers);
    const cJSON *check;

    if (!table)
        return NULL;
    cJSON_ArrayForEach(check, cJSON_GetObjectItemCaseSensitive(findings, "checks"))
        if (add_row(table, check) < 0)
            return NULL;
    _cleanup_(freep) char *rows = table_print(table, 0);
    return rows ? str_format("%s%u passed, %u failed, %u unknown\n", rows, count(findings, VERDICT_PASS),
                             count(findings, VERDICT_FAIL), count(findings, VERDICT_UNKNOWN))
                : NULL;
}

int findings_exit_code(const cJSON *findings)
{
    if (count(findings, VERDICT_FAIL) > 0)
        return EXIT_FAILED;
    return count(findings, VERDICT_UNKNOWN) > 0 ? EXIT_UNREACHABLE : EXIT_OK;
}
