/* SPDX-License-Identifier: MIT */
/* docs/states.md, its tables and its diagrams, say exactly what the transition tables do. */
#include "tests/unit/agent-root.h"

#include "lib/net/tunnel-state.h"
#include "mgmt-agent/state/deploy-state.h"

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

static const char *deploy_state_name(int state)
{
    return deploy_state_to_string((DeployState) state);
}

static const char *deploy_event_name(int event)
{
    return deploy_event_to_string((DeployEvent) event);
}

static int deploy_after(int state, int event)
{
    return deploy_next((DeployState) state, (DeployEvent) event);
}

static const char *tunnel_state_name(int state)
{
    static const char *const names[_TUNNEL_STATES] = {
        [TUNNEL_IDLE] = "idle",           [TUNNEL_WAITING] = "waiting",   [TUNNEL_CONNECTING] = "connecting",
        [TUNNEL_UPGRADING] = "upgrading", [TUNNEL_GREETING] = "greeting", [TUNNEL_UP] = "up",
        [TUNNEL_LEAVING] = "leaving",
    };

    return names[state];
}

static const char *tunnel_input_name(int input)
{
    static const char *const names[_TUNNEL_INPUTS] = {
        [TUNNEL_START] = "start",       [TUNNEL_NO_TOKEN] = "no-token", [TUNNEL_CONNECTED] = "connected",
        [TUNNEL_UPGRADED] = "upgraded", [TUNNEL_WELCOMED] = "welcomed", [TUNNEL_LEAVE] = "leave",
        [TUNNEL_LOST] = "lost",         [TUNNEL_REFUSED] = "refused",   [TUNNEL_RETRY] = "retry",
    };

    return names[input];
}

static int tunnel_after(int state, int input)
{
    int next = (int) tunnel_next((TunnelState) state, (TunnelInput) input);

    return next == state ? -1 : next;
}

static const Machine machines[] = {
    { "## A deployment", _DEPLOY_STATE_MAX, _DEPLOY_EVENT_MAX, deploy_state_name, deploy_event_name, deploy_after },
    { "## A tunnel", _TUNNEL_STATES, _TUNNEL_INPUTS, tunnel_state_name, tunnel_input_name, tunnel_after },
};

static int number_of(const char *(*name)(int), int n, const char *text, const char *line)
{
    for (int i = 0; i < n; i++)
        if (str_equal(name(i), text))
            return i;
    fail_msg("%s: \"%s\": %s is neither a state nor an event", PAGE, line, text);
    return -1;
}

/* What the page says, CELLS_MAX × CELLS_MAX; -1 where it says nothing. */
static void note(const Machine *m, int (*said)[CELLS_MAX], char *const from_event_to[3], const char *line)
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
static bool read_table_line(const char *line, char *parts[3])
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
static bool read_diagram_line(const char *line, char *parts[3])
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

static void compare(const Machine *m, int (*said)[CELLS_MAX], const char *where)
{
    for (int s = 0; s < m->n_states; s++) {
        for (int e = 0; e < m->n_events; e++) {
            int next = m->next(s, e);

            if (next < 0 && said[s][e] >= 0)
                fail_msg("%s, %s, %s: it says that %s in state %s is legal, but it is not", PAGE, m->heading, where,
                         m->event_name(e), m->state_name(s));
            if (next >= 0 && said[s][e] != next)
                fail_msg("%s, %s, %s: %s in state %s leads to %s, but it says %s", PAGE, m->heading, where, m->event_name(e),
                         m->state_name(s), m->state_name(next), said[s][e] < 0 ? "nothing" : m->state_name(said[s][e]));
        }
    }
}

static void read_section(const Machine *m, const char *text, bool (*read_line)(const char *, char *[3]), const char *where)
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

static void test_page_and_tables_agree(void **state)
{
    _cleanup_(freep) char *page = NULL;

    (void) state;
    assert_int_equal(file_read(PAGE, 1024 * 1024, &page, NULL, NULL), 0);
    for (size_t i = 0; i < ELEMENTSOF(machines); i++) {
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

/* The same table once more, by names, so that a slip of the code does not slip into the page as well. */
static void test_deploy_transitions(void **state)
{
    static const struct {
        const char *from, *event, *to;
    } legal[] = {
        { "idle", "start", "preparing" },
        { "preparing", "ready", "applying" },
        { "preparing", "nothing", "committing" },
        { "preparing", "failed", "idle" },
        { "preparing", "restarted", "idle" },
        { "applying", "applied", "proving" },
        { "applying", "failed", "rolling-back" },
        { "applying", "restarted", "rolling-back" },
        { "proving", "proved", "confirming" },
        { "proving", "accepted", "committing" },
        { "proving", "failed", "rolling-back" },
        { "proving", "restarted", "rolling-back" },
        { "confirming", "confirmed", "committing" },
        { "confirming", "deadline", "rolling-back" },
        { "confirming", "restarted", "confirming" },
        { "committing", "finished", "idle" },
        { "committing", "restarted", "committing" },
        { "rolling-back", "finished", "idle" },
        { "rolling-back", "failed", "recovery" },
        { "rolling-back", "restarted", "rolling-back" },
        { "recovery", "start", "preparing" },
        { "recovery", "restarted", "recovery" },
    };
    size_t n = 0;

    (void) state;
    for (int s = 0; s < _DEPLOY_STATE_MAX; s++) {
        for (int e = 0; e < _DEPLOY_EVENT_MAX; e++) {
            int wanted = -EPROTO, is = deploy_after(s, e);

            for (size_t i = 0; i < ELEMENTSOF(legal); i++)
                if (str_equal(legal[i].from, deploy_state_name(s)) && str_equal(legal[i].event, deploy_event_name(e)))
                    wanted = deploy_state_from_string(legal[i].to);
            if (is != wanted)
                fail_msg("%s + %s: %d instead of %d", deploy_state_name(s), deploy_event_name(e), is, wanted);
            n += is >= 0;
        }
    }
    assert_int_equal(n, ELEMENTSOF(legal));
}

/* Whatever happens, no state that has touched containers reaches idle but through committing or a rollback. */
static void test_touched_states_do_not_end_unnoticed(void **state)
{
    static const DeployState touched[] = { DEPLOY_APPLYING, DEPLOY_PROVING, DEPLOY_CONFIRMING };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(touched); i++)
        for (int e = 0; e < _DEPLOY_EVENT_MAX; e++)
            assert_int_not_equal(deploy_after(touched[i], e), DEPLOY_IDLE);
    /* and every state but idle can be found after a restart */
    for (int s = DEPLOY_IDLE + 1; s < _DEPLOY_STATE_MAX; s++)
        assert_true(deploy_after(s, EVENT_RESTARTED) >= 0);
}

static void test_names(void **state)
{
    (void) state;
    for (int s = 0; s < _DEPLOY_STATE_MAX; s++)
        assert_int_equal(deploy_state_from_string(deploy_state_name(s)), s);
    for (int e = 0; e < _DEPLOY_EVENT_MAX; e++)
        assert_string_not_equal(deploy_event_name(e), "invalid");
    assert_int_equal(deploy_state_from_string("Idle"), _DEPLOY_STATE_INVALID);
    assert_int_equal(deploy_state_from_string(""), _DEPLOY_STATE_INVALID);
    assert_int_equal(deploy_state_from_string(NULL), _DEPLOY_STATE_INVALID);
    assert_string_equal(deploy_state_to_string(_DEPLOY_STATE_INVALID), "invalid");
    assert_string_equal(deploy_state_to_string(_DEPLOY_STATE_MAX), "invalid");
    assert_string_equal(deploy_event_to_string(_DEPLOY_EVENT_MAX), "invalid");
    assert_int_equal(deploy_next(_DEPLOY_STATE_INVALID, EVENT_START), -EPROTO);
    assert_int_equal(deploy_next(DEPLOY_IDLE, _DEPLOY_EVENT_MAX), -EPROTO);
    assert_int_equal(deploy_next(_DEPLOY_STATE_MAX, EVENT_START), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deploy_transitions),
        cmocka_unit_test(test_touched_states_do_not_end_unnoticed),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_page_and_tables_agree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
