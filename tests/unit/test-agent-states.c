/* SPDX-License-Identifier: MIT */
/* docs/states.md, its tables and its diagrams, say exactly what the transition tables do. */
#include "tests/unit/agent-root.h"
#include "tests/unit/states-page.h"

#include "lib/tunnel/tunnel-state.h"
#include "mgmt-agent/state/deploy-state.h"

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

static int state_of(const char *name)
{
    int s = 0;

    while (deploy_state_names[s] && !str_equal(deploy_state_names[s], name))
        s++;
    return s;
}

static void test_page_and_tables_agree(void **state)
{
    (void) state;
    states_page_compare(machines, ELEMENTSOF(machines));
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
                    wanted = state_of(legal[i].to);
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
        assert_int_equal(state_of(deploy_state_name(s)), s);
    for (int e = 0; e < _DEPLOY_EVENT_MAX; e++)
        assert_string_not_equal(deploy_event_name(e), "invalid");
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
