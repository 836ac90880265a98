/* SPDX-License-Identifier: MIT */
/* What images and settings say about updates: labels, dates, windows. Whatever is accepted is within its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "lib/base/maintenance-window.h"
#include "mgmt-agent/state/image-age.h"
#include "mgmt-agent/state/watch-labels.h"

#define NOW (UINT64_C(1767268800) * USEC_PER_SEC)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_windows(const char *text)
{
    TimeWindow w[TIME_WINDOWS_MAX];
    usec_t next;
    size_t n = 0;

    if (windows_parse(text, w, &n) < 0)
        return;
    if (n == 0 || n > TIME_WINDOWS_MAX)
        abort();
    for (size_t i = 0; i < n; i++)
        if (w[i].days == 0 || w[i].days > 0x7f || w[i].from >= 24 * 60 || w[i].to > 24 * 60)
            abort();
    next = windows_next(w, n, NOW);
    if (next < NOW || (next != USEC_INFINITY && !windows_are_open(w, n, next)))
        abort();
}

static void read_labels(const cJSON *labels)
{
    _cleanup_(watch_labels_done) WatchLabels l = {}, again = {};
    _cleanup_(cJSON_Deletep) cJSON *kept = watch_labels_select(labels);
    _cleanup_(freep) char *text = kept ? json_print(kept) : NULL;

    if (watch_labels_read(labels, &l) < 0 || watch_labels_read(kept, &again) < 0 || !text || strlen(text) > 128 * 1024)
        abort();
    for (size_t h = 0; h < _HOOK_MAX; h++)
        if (l.hook_timeout[h] == 0 || l.hook_timeout[h] > HOOK_TIMEOUT_MAX_USEC)
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    _cleanup_(freep) char *text = malloc(size + 1);
    _cleanup_(cJSON_Deletep) cJSON *o = NULL;
    usec_t at;

    if (!text)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    read_windows(text);
    if (rfc3339_parse(text, &at) == 0 && at == USEC_INFINITY)
        abort();
    if (json_parse(text, size, &o, NULL) < 0)
        return 0;
    read_labels(o);
    return image_made_at(o, NOW) > NOW ? (abort(), 0) : 0;
}
