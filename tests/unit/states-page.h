/* SPDX-License-Identifier: MIT */
/* Compares the tables and the diagrams of docs/states.md with transition tables of the code. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"

#define PAGE "docs/states.md"
#define CELLS_MAX 16

/* A machine as the page shows it; next() is negative where nothing happens. */
typedef struct Machine {
    const char *heading;
    int n_states, n_events;
    const char *(*state_name)(int state);
    const char *(*event_name)(int event);
    int (*next)(int state, int event);
} Machine;

static inline int number_of(const char *(*name)(int), int n, const char *text, const char *line)
{
    for (int i = 0; i < n; i++)
        if (str_equal(name(i), text))
            return i;
    fail_msg("%s: \"%s\": %s is neither a state nor an event", PAGE, line, text);
    return -1;
}

/* What the page says, CELLS_MAX × CELLS_MAX; -1 where it says nothing. */
static inline void note(const Machine *m, int (*said)[CELLS_MAX], char *const from_event_to[3], const char *line)
{
    int event = number_of(m->event_name, m->n_events, from_event_to[1], line);
    int next = number_of(m->state_name, m->n_states, from_event_to[2], line);
    bool any = str_equal(from_event_to[0], "any");
    int state = any ? -1 : number_of(m->state_name, m->n_states, from_event_to[0], line);

    for (int s = 0; s < m->n_states; s++) {
        if (s != state && (!any || s == next))
            continue;
        if (said[s][event] >= 0)
            fail_msg("%s: \"%s\" is said twice", PAGE, line);
        said[s][event] = next;
    }
}

/* "| `from` | `event` | `to` | words |" */
static inline bool read_table_line(const char *line, char *parts[3])
{
    char copy[512];
    char *rest = copy;

    if (!str_starts(line, "| `"))
        return false;
    snprintf(copy, sizeof(copy), "%s", line + 2);
    for (int i = 0; i < 3; i++) {
        char *cell = strsep(&rest, "|"), *end;

        if (!cell || !(cell = strchr(cell, '`')) || !(end = strchr(++cell, '`')))
            return false;
        *end = '\0';
        parts[i] = strdup(cell);
    }
    return true;
}

/* "from --> to: event"; names of the diagram have _ for - */
static inline bool read_diagram_line(const char *line, char *parts[3])
{
    char from[64], to[64], event[64];

    if (sscanf(line, " %63[a-z_] --> %63[a-z_]: %63[a-z-]", from, to, event) != 3)
        return false;
    for (char *p = from; *p; p++)
        *p = *p == '_' ? '-' : *p;
    for (char *p = to; *p; p++)
        *p = *p == '_' ? '-' : *p;
    parts[0] = strdup(from);
    parts[1] = strdup(event);
    parts[2] = strdup(to);
    return true;
}

static inline void compare(const Machine *m, int (*said)[CELLS_MAX], const char *where)
{
    for (int s = 0; s < m->n_states; s++) {
        for (int e = 0; e < m->n_events; e++) {
            int next = m->next(s, e);

            if (next < 0 && said[s][e] >= 0)
                fail_msg("%s, %s, %s: it says that %s in state %s is legal, but it is not", PAGE, m->heading, where,
                         m->event_name(e), m->state_name(s));
            if (next >= 0 && said[s][e] != next)
                fail_msg("%s, %s, %s: %s in state %s leads to %s, but it says %s", PAGE, m->heading, where,
                         m->event_name(e), m->state_name(s), m->state_name(next),
                         said[s][e] < 0 ? "nothing" : m->state_name(said[s][e]));
        }
    }
}

static inline void read_section(const Machine *m, const char *text, bool (*read_line)(const char *, char *[3]),
                                const char *where)
{
    int said[CELLS_MAX][CELLS_MAX];

    assert_true(m->n_states <= CELLS_MAX && m->n_events <= CELLS_MAX);
    memset(said, 0xff, sizeof(said));
    for (const char *p = text; *p;) {
        size_t len = strcspn(p, "\n");
        _cleanup_(freep) char *line = strndup(p, len);
        char *parts[3] = {};

        if (read_line(line, parts))
            note(m, said, parts, line);
        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
            free(parts[i]);
        p += len + (p[len] == '\n');
    }
    compare(m, said, where);
}

/* Each machine has a section of its own. */
static inline void states_page_compare(const Machine *machines, size_t n)
{
    _cleanup_(freep) char *page = NULL;

    assert_int_equal(file_read(PAGE, 1024 * 1024, &page, NULL, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        const Machine *m = &machines[i];
        const char *begin = strstr(page, m->heading), *end;
        _cleanup_(freep) char *section = NULL;

        if (!begin) {
            fail_msg("%s has no heading \"%s\"", PAGE, m->heading);
            return;
        }
        end = strstr(begin + 3, "\n## ");
        section = end ? strndup(begin, (size_t) (end - begin)) : strdup(begin);
        read_section(m, section, read_table_line, "table");
        read_section(m, section, read_diagram_line, "diagram");
    }
}
