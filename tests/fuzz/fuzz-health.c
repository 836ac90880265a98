/* SPDX-License-Identifier: MIT */
/* What is said of a machine: by the kernel, by smartctl, by podman; and differences between such values. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/cli/report-health.h"
#include "lib/data/json-merge.h"
#include "mgmt-agent/health/host-faults.h"
#include "mgmt-agent/health/proc-values.h"
#include "mgmt-agent/health/smart.h"
#include "mgmt-agent/worker/podman/podman-answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void fuzz_proc(const char *text)
{
    PressureValues p;
    MemoryValues m;
    LoadValues l;
    CpuTicks c;
    Filesystems f;

    check(meminfo_parse(text, &m) < 0 || (m.total_kib > 0 && m.available_kib <= m.total_kib));
    check(pressure_parse(text, &p) < 0 || (p.some10 <= 100 && p.full10 <= 100));
    check(loadavg_parse(text, &l) < 0 || l.one >= 0);
    check(cpu_ticks_parse(text, &c) < 0 || c.busy <= c.total);
    check(mountinfo_parse(text, &f) == 0);
    for (size_t i = 0; i < f.n; i++)
        check(f.items[i].mount[0] == '/' && *f.items[i].type);
    filesystems_done(&f);
}

static void fuzz_answers(const cJSON *o)
{
    _cleanup_(cJSON_Deletep) cJSON *smart = smart_read(o), *store = NULL;
    _cleanup_(cJSON_Deletep) cJSON *faults = host_faults(o, NULL), *again = host_faults(o, faults);
    _cleanup_(freep) char *text = report_health(o);

    check(smart && faults && again && text);
    check(podman_answer_store(o, &store, NULL) < 0 || store);
    /* what is a fault at first is one while nothing changes */
    check(cJSON_Compare(faults, again, true));
}

/* Merging leaves no null behind, so what a merge has made differs from anything by something that makes it the other. */
static void fuzz_merge(const cJSON *a, const cJSON *b)
{
    _cleanup_(cJSON_Deletep) cJSON *from = cJSON_CreateObject(), *to = cJSON_CreateObject(), *patch = NULL;

    check(json_merge_apply(from, a) == 0 && json_merge_apply(to, b) == 0);
    patch = json_merge_diff(from, to);
    check(patch && json_merge_apply(from, patch) == 0);
    _cleanup_(cJSON_Deletep) cJSON *rest = json_merge_diff(from, to);
    check(rest && !rest->child);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = strndup((const char *) data, size);
    _cleanup_(cJSON_Deletep) cJSON *a = NULL, *b = NULL;
    const char *second = text ? strchr(text, '\n') : NULL;

    if (!text)
        return 0;
    fuzz_proc(text);
    if (json_parse_object(text, second ? (size_t) (second - text) : strlen(text), &a, NULL) == 0)
        fuzz_answers(a);
    if (a && second && json_parse_object(second + 1, strlen(second + 1), &b, NULL) == 0)
        fuzz_merge(a, b);
    return 0;
}
