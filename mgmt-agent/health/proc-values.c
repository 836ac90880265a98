/* SPDX-License-Identifier: MIT */
#include "mgmt-agent/health/proc-values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/strv.h"
#include "mgmt-agent/health/values-impl.h"

/* The text behind "name" at the beginning of a line, or NULL. */
static const char *line_of(const char *text, const char *name)
{
    size_t len = strlen(name);

    for (const char *line = text; line && *line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        if (strncmp(line, name, len) == 0)
            return line + len;
    return NULL;
}

static bool kib_of(const char *text, const char *name, uint64_t *ret)
{
    const char *rest = line_of(text, name);
    unsigned long long n;

    if (!rest || sscanf(rest, " %19llu kB", &n) != 1 || n > VALUES_COUNT_MAX)
        return false;
    *ret = n;
    return true;
}

int meminfo_parse(const char *text, MemoryValues *ret)
{
    MemoryValues m = {};

    if (!kib_of(text, "MemTotal:", &m.total_kib) || !kib_of(text, "MemAvailable:", &m.available_kib) ||
        m.total_kib == 0 || m.available_kib > m.total_kib)
        return -EINVAL;
    if (kib_of(text, "SwapTotal:", &m.swap_total_kib))
        (void) kib_of(text, "SwapFree:", &m.swap_free_kib);
    if (m.swap_free_kib > m.swap_total_kib)
        m.swap_free_kib = m.swap_total_kib;
    *ret = m;
    return 0;
}

static bool is_percent(double n)
{
    return n >= 0 && n <= 100;
}

int pressure_parse(const char *text, PressureValues *ret)
{
    PressureValues p = {};
    const char *some = line_of(text, "some "), *full = line_of(text, "full ");

    if (!some || sscanf(some, "avg10=%9lf", &p.some10) != 1 || !is_percent(p.some10))
        return -EINVAL;
    /* the processors have no such line before Linux 5.13 */
    if (full && (sscanf(full, "avg10=%9lf", &p.full10) != 1 || !is_percent(p.full10)))
        return -EINVAL;
    *ret = p;
    return 0;
}

int loadavg_parse(const char *text, LoadValues *ret)
{
    LoadValues l;

    if (sscanf(text, "%15lf %15lf %15lf", &l.one, &l.five, &l.fifteen) != 3 || !(l.one >= 0 && l.one < 1e6) ||
        !(l.five >= 0 && l.five < 1e6) || !(l.fifteen >= 0 && l.fifteen < 1e6))
        return -EINVAL;
    *ret = l;
    return 0;
}

static unsigned count_processors(const char *text)
{
    unsigned n = 0;

    for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL)
        n += strncmp(line, "cpu", 3) == 0 && line[3] >= '0' && line[3] <= '9';
    return n;
}

int cpu_ticks_parse(const char *text, CpuTicks *ret)
{
    /* user, nice, system, idle, iowait, irq, softirq, steal */
    unsigned long long t[8] = {};
    const char *rest = line_of(text, "cpu ");
    CpuTicks c = {};

    if (!rest || sscanf(rest, " %18llu %18llu %18llu %18llu %18llu %18llu %18llu %18llu", &t[0], &t[1], &t[2], &t[3],
                        &t[4], &t[5], &t[6], &t[7]) < 4)
        return -EINVAL;
    for (size_t i = 0; i < ELEMENTSOF(t); i++) {
        if (t[i] > VALUES_COUNT_MAX)
            return -EINVAL;
        c.total += t[i];
    }
    c.busy = c.total - t[3] - t[4];
    c.count = count_processors(text);
    *ret = c;
    return 0;
}

double cpu_percent(const CpuTicks *before, const CpuTicks *now)
{
    if (before->total == 0 || now->total <= before->total || now->busy < before->busy ||
        now->busy - before->busy > now->total - before->total)
        return -1;
    return 100.0 * (double) (now->busy - before->busy) / (double) (now->total - before->total);
}

/* Spaces and the like are written as \ooo. */
static char *unescape(const char *text, size_t len)
{
    char *out = malloc(len + 1);
    size_t n = 0;

    for (size_t i = 0; out && i < len; i++) {
        unsigned byte;

        if (text[i] == '\\' && i + 3 < len && sscanf(text + i + 1, "%3o", &byte) == 1 && byte > 0 && byte < 256) {
            out[n++] = (char) byte;
            i += 3;
        } else {
            out[n++] = text[i];
        }
    }
    if (out)
        out[n] = '\0';
    return out;
}

static void filesystem_done(Filesystem *f)
{
    free(f->mount);
    free(f->type);
    free(f->source);
    *f = (Filesystem) {};
}

void filesystems_done(Filesystems *f)
{
    while (f->n > 0)
        filesystem_done(&f->items[--f->n]);
}

/* The field'th word of a line, counted from 0. */
static const char *word(const char *line, size_t field, size_t *ret_len)
{
    while (field-- > 0) {
        line = strchr(line, ' ');
        if (!line)
            return NULL;
        line++;
    }
    *ret_len = strcspn(line, " ");
    return *ret_len > 0 ? line : NULL;
}

/* "36 35 98:0 /root /mount rw,noatime master:1 - ext4 /dev/sda1 rw,errors=continue": 0 when it is not understood. */
static int read_line(const char *line, Filesystem *ret)
{
    const char *rest = strstr(line, " - "), *mount, *type, *source, *options;
    size_t mount_len, type_len, source_len, options_len;

    if (!rest || sscanf(line, "%*9u %*9u %9u:%9u ", &ret->major, &ret->minor) != 2)
        return 0;
    mount = word(line, 4, &mount_len);
    type = word(rest + 3, 0, &type_len);
    source = word(rest + 3, 1, &source_len);
    options = word(rest + 3, 2, &options_len);
    if (!mount || mount > rest || *mount != '/' || !type || !source || !options)
        return 0;
    ret->mount = unescape(mount, mount_len);
    ret->type = unescape(type, type_len);
    ret->source = unescape(source, source_len);
    ret->read_only = options_len >= 2 && strncmp(options, "ro", 2) == 0 && (options_len == 2 || options[2] == ',');
    return ret->mount && ret->type && ret->source ? 1 : -ENOMEM;
}

/* What can fill up: disks, no images mounted by loop devices, and whatever is at the root. Nothing that a program of its own
 * answers for, which may hang, and we with it. */
static bool counts(const Filesystem *f)
{
    if (str_starts(f->type, "fuse"))
        return false;
    if (str_equal(f->mount, "/"))
        return true;
    if (str_equal(f->type, "squashfs") || str_equal(f->type, "iso9660") || str_starts(f->source, "/dev/loop"))
        return false;
    return str_starts(f->source, "/dev/") || str_equal(f->type, "zfs");
}

/* A subvolume has a number of its own and the device of all others. */
static bool is_same(const Filesystem *a, const Filesystem *b)
{
    return (a->major == b->major && a->minor == b->minor) ||
           (str_starts(a->source, "/dev/") && str_equal(a->source, b->source));
}

/* Takes `f`. */
static void take(Filesystems *all, Filesystem *f)
{
    if (!counts(f)) {
        filesystem_done(f);
        return;
    }
    for (size_t i = 0; i < all->n; i++)
        if (is_same(&all->items[i], f)) {
            if (strlen(f->mount) < strlen(all->items[i].mount)) {
                filesystem_done(&all->items[i]);
                all->items[i] = *f;
            } else {
                filesystem_done(f);
            }
            return;
        }
    if (all->n < FILESYSTEMS_MAX)
        all->items[all->n++] = *f;
    else
        filesystem_done(f);
}

int mountinfo_parse(const char *text, Filesystems *ret)
{
    _cleanup_(freep) char *copy = strdup(text);
    char *rest = copy, *line;
    Filesystems all = {};

    if (!copy)
        return -ENOMEM;
    while ((line = strsep(&rest, "\n"))) {
        Filesystem f = {};
        int r = read_line(line, &f);

        if (r < 0) {
            filesystem_done(&f);
            filesystems_done(&all);
            return r;
        }
        if (r > 0)
            take(&all, &f);
    }
    *ret = all;
    return 0;
}
