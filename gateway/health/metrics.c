/* SPDX-License-Identifier: MIT */
#include "gateway/health/metrics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/health/health-summary.h"

/* What one family of metrics says of a box; `i` is the place of a summary's field. Not a number: nothing. */
typedef double (*measure_t)(const MetricsBox *box, const MetricsPart *part, size_t i);

typedef struct Family {
    const char *name, *help;
    measure_t measure;
    bool by_part; /* each part of a box has a series */
} Family;

static double connected(const MetricsBox *box, const MetricsPart *part _unused_, size_t i _unused_)
{
    return box->connected ? 1 : 0;
}

static double told_at(const MetricsBox *box _unused_, const MetricsPart *part, size_t i _unused_)
{
    return part->told ? part->told_at : (double) NAN;
}

static double faults(const MetricsBox *box _unused_, const MetricsPart *part, size_t i _unused_)
{
    return part->told ? (double) part->faults : (double) NAN;
}

static double clock_offset(const MetricsBox *box, const MetricsPart *part _unused_, size_t i _unused_)
{
    return box->box.told ? box->box.clock_offset : (double) NAN;
}

/* The two parts have no field in common. */
static double field(const MetricsBox *box, const MetricsPart *part _unused_, size_t i)
{
    double n = box->box.told ? box->box.numbers[i] : (double) NAN;

    if (isnan(n) && box->secbox.told)
        n = box->secbox.numbers[i];
    return n * summary_fields[i].factor;
}

static const Family families[] = {
    { "secbox_box_connected", "Whether the management tunnel of a box is up.", connected, false },
    { "secbox_box_told_timestamp_seconds", "When a part of a box told last how it is.", told_at, true },
    { "secbox_box_faults", "Faults that a part of a box tells of.", faults, true },
    { "secbox_box_clock_offset_seconds", "By how much the clock of a box was ahead.", clock_offset, false },
};

static int print_head(Buf *b, const char *prefix, const char *name, const char *help)
{
    int r = buf_printf(b, "# HELP %s%s %s\n", prefix, name, help);

    return r < 0 ? r : buf_printf(b, "# TYPE %s%s gauge\n", prefix, name);
}

/* Ids of devices have no character that would have to be escaped. */
static int print_value(Buf *b, const char *prefix, const char *name, const char *device, const char *part, double n)
{
    if (!isfinite(n))
        return 0;
    if (part)
        return buf_printf(b, "%s%s{device=\"%s\",part=\"%s\"} %.15g\n", prefix, name, device, part, n);
    return buf_printf(b, "%s%s{device=\"%s\"} %.15g\n", prefix, name, device, n);
}

static int print_family(Buf *b, const Family *f, const MetricsBox *boxes, size_t n)
{
    int r = print_head(b, "", f->name, f->help);

    for (size_t i = 0; r >= 0 && i < n; i++) {
        const MetricsBox *box = &boxes[i];

        r = print_value(b, "", f->name, box->device, f->by_part ? "box" : NULL, f->measure(box, &box->box, 0));
        if (r >= 0 && f->by_part)
            r = print_value(b, "", f->name, box->device, "secbox", f->measure(box, &box->secbox, 0));
    }
    return r;
}

static int print_field(Buf *b, size_t place, const MetricsBox *boxes, size_t n)
{
    const SummaryField *f = &summary_fields[place];
    int r = print_head(b, "secbox_box_", f->metric, f->help);

    for (size_t i = 0; r >= 0 && i < n; i++)
        r = print_value(b, "secbox_box_", f->metric, boxes[i].device, NULL, field(&boxes[i], NULL, place));
    return r;
}

static int print_total(Buf *b, const char *name, const char *help, double n)
{
    int r = print_head(b, "", name, help);

    return r < 0 ? r : buf_printf(b, "%s %.15g\n", name, n);
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const MetricsBox *) a)->device, ((const MetricsBox *) b)->device);
}

int metrics_print(MetricsBox *boxes, size_t n, Buf *ret)
{
    size_t shown = n < METRICS_BOXES_MAX ? n : METRICS_BOXES_MAX, up = 0;
    int r;

    if (n > 0)
        qsort(boxes, n, sizeof(*boxes), compare);
    for (size_t i = 0; i < n; i++)
        up += boxes[i].connected;
    r = print_total(ret, "secbox_boxes", "Boxes that are registered and not blocked.", (double) n);
    if (r >= 0)
        r = print_total(ret, "secbox_boxes_connected", "Those of them whose management tunnel is up.", (double) up);
    if (r >= 0)
        r = print_total(ret, "secbox_boxes_left_out", "Those that have no series of their own here.",
                        (double) (n - shown));
    for (size_t i = 0; r >= 0 && i < ELEMENTSOF(families); i++)
        r = print_family(ret, &families[i], boxes, shown);
    for (size_t i = 0; r >= 0 && i < SUMMARY_FIELDS; i++)
        r = print_field(ret, i, boxes, shown);
    return r < 0 ? r : buf_puts(ret, "# EOF\n");
}
