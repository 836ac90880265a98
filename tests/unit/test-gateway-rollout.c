/* SPDX-License-Identifier: MIT */
/* Rollouts without a gateway: groups, who belongs to which, and every decision in virtual time. */
#include "tests/unit/states-page.h"

#include <errno.h>

#include "gateway/rollouts/rollout-groups.h"
#include "gateway/rollouts/rollout-plan.h"
#include "lib/base/limits.h"
#include "lib/data/json.h"

#define BOXES 200
#define PERCENT(n) ((n) *ROLLOUT_PERCENT)

static int state_after(int state, int event)
{
    return rollout_next((RolloutState) state, (RolloutEvent) event);
}

static const char *state_name(int state)
{
    return rollout_state_to_string((RolloutState) state);
}

static const char *event_name(int event)
{
    return rollout_event_to_string((RolloutEvent) event);
}

static int box_after(int state, int event)
{
    return rollout_box_next((RolloutBoxState) state, (RolloutBoxEvent) event);
}

static const char *box_state_name(int state)
{
    return rollout_box_state_to_string((RolloutBoxState) state);
}

static const char *box_event_name(int event)
{
    return rollout_box_event_to_string((RolloutBoxEvent) event);
}

static const Machine machines[] = {
    { "## A rollout\n", _ROLLOUT_STATES, _ROLLOUT_EVENTS, state_name, event_name, state_after },
    { "## A box in a rollout\n", _ROLLOUT_BOX_STATES, _ROLLOUT_BOX_EVENTS, box_state_name, box_event_name, box_after },
};

static void test_page_and_tables_agree(void **state)
{
    (void) state;
    states_page_compare(machines, ELEMENTSOF(machines));
}

static void test_names(void **state)
{
    (void) state;
    for (int i = 0; i < _ROLLOUT_STATES; i++)
        assert_int_equal(rollout_state_from_string(state_name(i)), i);
    for (int i = 0; i < _ROLLOUT_BOX_STATES; i++)
        assert_int_equal(rollout_box_state_from_string(box_state_name(i)), i);
    assert_int_equal(rollout_state_from_string("Running"), -EINVAL);
    assert_int_equal(rollout_box_state_from_string(NULL), -EINVAL);
    for (int i = 0; i < _ROLLOUT_EVENTS; i++)
        assert_int_equal(rollout_next(ROLLOUT_ABORTED, (RolloutEvent) i), -EPROTO);
}

static void test_what_a_result_means(void **state)
{
    static const struct {
        const char *outcome;
        unsigned status;
        RolloutBoxEvent event;
        const char *error;
    } cases[] = {
        { "done", 200, ROLLOUT_BOX_WORKED, NULL },
        { "rolled-back", 500, ROLLOUT_BOX_ROLL_BACK, NULL },
        { "failed", 404, ROLLOUT_BOX_SKIP, "update.not-here" },
        { "failed", 409, ROLLOUT_BOX_RETRY, NULL },
        { "failed", 503, ROLLOUT_BOX_RETRY, "podman.unreachable" },
        { "failed", 422, ROLLOUT_BOX_FAIL, "policy.refused" },
        { "failed", 500, ROLLOUT_BOX_FAIL, NULL },
        { "failed", 507, ROLLOUT_BOX_FAIL, NULL },
        { "recovery", 500, ROLLOUT_BOX_FAIL, NULL },
        { "unknown", 504, ROLLOUT_BOX_FAIL, NULL },
        { "recovery", 404, ROLLOUT_BOX_FAIL, NULL },
        { NULL, 503, ROLLOUT_BOX_FAIL, NULL },
        { "rolled-back", 503, ROLLOUT_BOX_ROLL_BACK, NULL },
        { "failed", 423, ROLLOUT_BOX_HOLD, "update.locked" },  /* G01 */
        { "failed", 503, ROLLOUT_BOX_HOLD, "update.not-now" }, /* G02 */
        { "failed", 422, ROLLOUT_BOX_SKIP, "update.pinned" },
        { "failed", 422, ROLLOUT_BOX_SKIP, "update.pull-policy" },
        { "failed", 422, ROLLOUT_BOX_SKIP, "agent-update.no-package" },
        { "failed", 422, ROLLOUT_BOX_SKIP, "agent-update.newer" },
        { "failed", 422, ROLLOUT_BOX_SKIP, "release.other-machine" },
        { "failed", 422, ROLLOUT_BOX_SKIP, "agent-update.taken-over" },
        { "failed", 422, ROLLOUT_BOX_FAIL, "agent-update.refused" },
        { "failed", 503, ROLLOUT_BOX_RETRY, "agent-update.repository" },
        { "failed", 401, ROLLOUT_BOX_SKIP, "order.expired" },
        { "failed", 401, ROLLOUT_BOX_SKIP, "order.older" },
        { "failed", 401, ROLLOUT_BOX_FAIL, "order.unsigned" },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++)
        assert_int_equal(rollout_box_event(cases[i].outcome, cases[i].status, cases[i].error), cases[i].event);
}

static void test_shares(void **state)
{
    static const struct {
        const char *text;
        int r;
        unsigned share;
    } cases[] = {
        { "2%", 0, 200 },         { "0.5%", 0, 50 },     { "0.05%", 0, 5 },       { "12.34%", 0, 1234 },
        { "100%", 0, 10000 },     { "0%", 0, 0 },        { "100.00%", 0, 10000 }, { "100.01%", -EINVAL, 0 },
        { "101%", -EINVAL, 0 },   { "2", -EINVAL, 0 },   { "%", -EINVAL, 0 },     { "", -EINVAL, 0 },
        { "-2%", -EINVAL, 0 },    { " 2%", -EINVAL, 0 }, { "2 %", -EINVAL, 0 },   { "2.%", -EINVAL, 0 },
        { "2.345%", -EINVAL, 0 }, { "2.5", -EINVAL, 0 }, { ".5%", -EINVAL, 0 },   { "2,5%", -EINVAL, 0 },
        { "0x2%", -EINVAL, 0 },   { "2%%", -EINVAL, 0 }, { "2.5%0", -EINVAL, 0 }, { "0100%", -EINVAL, 0 },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        unsigned share = 77;
        int r = rollout_share_parse(cases[i].text, &share);
        if (r != cases[i].r || share != (r < 0 ? 77 : cases[i].share))
            fail_msg("\"%s\": %d, %u", cases[i].text, r, share);
    }
}

static void test_groups_are_read(void **state)
{
    RolloutGroups g = {};

    (void) state;
    assert_int_equal(rollout_groups_parse("canary=3,label:site=north side,0.5%,100%", &g, NULL), 0);
    assert_int_equal(g.n, 4);
    assert_int_equal(g.list[0].canaries, 3);
    assert_string_equal(g.list[1].key, "site");
    assert_string_equal(g.list[1].value, "north side");
    assert_int_equal(g.list[2].share, 50);
    assert_int_equal(g.list[3].share, ROLLOUT_WHOLE);
    assert_string_equal(g.list[3].name, "100%");
    rollout_groups_done(&g);
    assert_int_equal(rollout_groups_parse(ROLLOUT_GROUPS_DEFAULT, &g, NULL), 0);
    rollout_groups_done(&g);
}

static void test_groups_that_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        ",",
        "5%,",
        "canary",
        "canary=",
        "canary=0",
        "canary=1001",
        "canary=-1",
        "label:",
        "label:=v",
        "label:k",
        "label:k=",
        "5",
        "5%,5%",
        "25%,5%",
        "0%",
        "100%,100%",
        "all",
        " 5%",
        "5%, 25%",
        "1%,2%,3%,4%,5%,6%,7%,8%,9%,10%,11%,12%,13%,14%,15%,16%,17%",
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
        RolloutGroups g = {};
        Error err = {};
        if (rollout_groups_parse(bad[i], &g, &err) != -EINVAL || !str_equal(err.id, "rollout.bad-groups"))
            fail_msg("\"%s\" is taken: %s", bad[i], error_id(&err));
        assert_null(g.list);
        error_done(&err);
    }
}

typedef struct Fleet {
    char ids[BOXES][32];
    cJSON *labels[BOXES];
    RolloutCandidate boxes[BOXES];
    size_t n;
} Fleet;

static void fleet_make(Fleet *f, size_t n)
{
    *f = (Fleet) { .n = n };
    for (size_t i = 0; i < n; i++) {
        snprintf(f->ids[i], sizeof(f->ids[i]), "box-%zu", i);
        f->labels[i] = cJSON_CreateObject();
        f->boxes[i] = (RolloutCandidate) { .id = f->ids[i], .labels = f->labels[i] };
    }
}

static void fleet_done(Fleet *f)
{
    for (size_t i = 0; i < f->n; i++)
        cJSON_Delete(f->labels[i]);
}

static size_t fleet_count(const Fleet *f, int group)
{
    size_t count = 0;
    for (size_t i = 0; i < f->n; i++)
        count += f->boxes[i].group == group;
    return count;
}

static void fleet_assign(Fleet *f, const char *groups, const char *rollout)
{
    RolloutGroups g = {};
    assert_int_equal(rollout_groups_parse(groups, &g, NULL), 0);
    assert_int_equal(rollout_assign(&g, rollout, f->boxes, f->n), 0);
    rollout_groups_done(&g);
}

static void test_shares_are_of_all_boxes(void **state)
{
    Fleet f;

    (void) state;
    fleet_make(&f, BOXES);
    fleet_assign(&f, "canary=1,5%,25%,100%", "r-1");
    assert_int_equal(fleet_count(&f, 0), 1);
    assert_int_equal(fleet_count(&f, 1), 9);
    assert_int_equal(fleet_count(&f, 2), 40);
    assert_int_equal(fleet_count(&f, 3), 150);
    fleet_assign(&f, "canary=20,5%,50%", "r-1");
    assert_int_equal(fleet_count(&f, 0), 20);
    assert_int_equal(fleet_count(&f, 1), 0);
    assert_int_equal(fleet_count(&f, 2), 80);
    assert_int_equal(fleet_count(&f, -1), 100);
    fleet_done(&f);
    fleet_make(&f, 3);
    fleet_assign(&f, "canary=1,5%,25%,100%", "r-1");
    assert_int_equal(fleet_count(&f, 0), 1);
    assert_int_equal(fleet_count(&f, 1) + fleet_count(&f, 2), 0);
    assert_int_equal(fleet_count(&f, 3), 2);
    fleet_done(&f);
    fleet_make(&f, 0);
    fleet_assign(&f, "canary=1,100%", "r-1");
}

static void test_labels_come_first(void **state)
{
    Fleet f;

    (void) state;
    fleet_make(&f, 20);
    assert_int_equal(json_add_string(f.labels[7], "rollout", "canary"), 0);
    assert_int_equal(json_add_string(f.labels[8], "rollout", "canary"), 0);
    for (size_t i = 10; i < 15; i++)
        assert_int_equal(json_add_string(f.labels[i], "site", "north"), 0);
    assert_int_equal(json_add_string(f.labels[8], "site", "north"), 0);
    fleet_assign(&f, "canary=5,label:site=north,50%,100%", "r-1");
    for (size_t i = 0; i < f.n; i++) {
        long number = strtol(f.boxes[i].id + strlen("box-"), NULL, 10);
        bool canary = number == 7 || number == 8, north = number >= 10 && number < 15;
        assert_true((f.boxes[i].group == 0) == canary); /* none but the labelled ones, even if there are fewer */
        assert_true((f.boxes[i].group == 1) == north);
    }
    assert_int_equal(fleet_count(&f, 2), 3);
    assert_int_equal(fleet_count(&f, 3), 10);
    fleet_assign(&f, "canary=1", "r-1");
    assert_int_equal(fleet_count(&f, 0), 1);
    fleet_done(&f);
}

/* The first box of a fleet's order. */
static void first_of(size_t n, const char *rollout, bool backwards, char *ret, size_t size)
{
    Fleet f;

    fleet_make(&f, n);
    if (backwards)
        for (size_t i = 0; i < n; i++)
            f.boxes[i] = (RolloutCandidate) { .id = f.ids[n - 1 - i], .labels = f.labels[n - 1 - i] };
    fleet_assign(&f, "canary=1", rollout);
    assert_int_equal(f.boxes[0].group, 0);
    snprintf(ret, size, "%s", f.boxes[0].id);
    fleet_done(&f);
}

static void test_the_order_is_stable_and_different_each_time(void **state)
{
    char one[16], other[16], seen[40][16];
    size_t different = 0;

    (void) state;
    first_of(BOXES, "r-1", false, one, sizeof(one));
    first_of(BOXES, "r-1", true, other, sizeof(other));
    assert_string_equal(one, other);
    for (size_t i = 0; i < ELEMENTSOF(seen); i++) {
        _cleanup_(freep) char *rollout = str_format("r-%zu", i);
        first_of(BOXES, rollout, false, seen[i], sizeof(seen[i]));
        bool known = false;
        for (size_t j = 0; j < i; j++)
            known = known || str_equal(seen[i], seen[j]);
        different += !known;
    }
    assert_true(different > 25); /* 36 are to be expected: nobody is always the first */
}

/* One rollout, played. */
typedef struct Play {
    RolloutView view;
    RolloutCounts groups[4];
    unsigned bad; /* of the boxes still to come */
    usec_t now;
    uint64_t random;
    unsigned failed_max_seen, in_flight_max_seen;
} Play;

static unsigned play_random(Play *p, unsigned below)
{
    p->random = p->random * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (unsigned) (p->random >> 33) % below;
}

static Play play_new(unsigned halt_at, unsigned parallel, unsigned bad, uint64_t seed)
{
    return (Play) {
        .view = { .n_groups = 4, .halt_at = halt_at, .parallel = parallel, .soak = 10 * USEC_PER_MINUTE },
        .groups = { { .boxes = 1, .waiting = 1 },
                    { .boxes = 9, .waiting = 9 },
                    { .boxes = 40, .waiting = 40 },
                    { .boxes = 150, .waiting = 150 } },
        .bad = bad,
        .now = USEC_PER_DAY,
        .random = seed,
    };
}

static RolloutCounts play_sum(const Play *p)
{
    RolloutCounts all = {};
    for (size_t i = 0; i < 4; i++) {
        all.waiting += p->groups[i].waiting;
        all.sent += p->groups[i].sent;
        all.failed += p->groups[i].failed;
        all.done += p->groups[i].done;
    }
    return all;
}

static void play_apply(Play *p, RolloutEvent event)
{
    int next = rollout_next(p->view.state, event);
    assert_true(next >= 0);
    if (event == ROLLOUT_SOAKED) {
        assert_true(p->now >= p->view.soaking_since + p->view.soak || p->groups[p->view.group].done == 0);
        p->view.group++;
    }
    if (event == ROLLOUT_COMPLETE)
        p->view.soaking_since = p->now;
    p->view.state = (RolloutState) next;
}

static bool play_send(Play *p, unsigned may_send)
{
    bool sent = false;
    for (size_t i = 0; i <= p->view.group; i++) {
        RolloutCounts *g = &p->groups[i];
        for (; may_send > 0 && g->waiting > 0; may_send--) {
            g->waiting--;
            g->sent++;
            sent = true;
        }
    }
    return sent;
}

/* Some box says how it went: one of the bad ones, with the chance that one of those left is bad. */
static void play_result(Play *p)
{
    RolloutCounts all = play_sum(p);
    unsigned which = play_random(p, all.sent);
    RolloutCounts *g = p->groups;
    while (which >= g->sent)
        which -= g++->sent;
    g->sent--;
    if (play_random(p, all.waiting + all.sent) < p->bad) {
        p->bad--;
        g->failed++;
    } else {
        g->done++;
    }
}

/* Until nothing happens any more. */
static void play(Play *p)
{
    p->view.groups = p->groups;
    for (unsigned step = 0; step < 10000; step++) {
        RolloutDecision d = rollout_decide(&p->view, p->now);
        if (d.event >= 0)
            play_apply(p, (RolloutEvent) d.event);
        else if (d.may_send == 0 || !play_send(p, d.may_send)) {
            if (play_sum(p).sent > 0)
                play_result(p);
            else if (d.wake_at != USEC_INFINITY)
                p->now = d.wake_at;
            else
                return;
        }
        RolloutCounts all = play_sum(p);
        if (all.failed > p->failed_max_seen)
            p->failed_max_seen = all.failed;
        if (all.sent > p->in_flight_max_seen)
            p->in_flight_max_seen = all.sent;
        assert_true(rollout_failures(&p->view, NULL) + all.sent <= rollout_failures_max(&p->view));
    }
    fail_msg("the rollout does not end");
}

static void test_a_good_image_reaches_all(void **state)
{
    (void) state;
    Play p = play_new(PERCENT(2), 50, 0, 1);
    play(&p);
    assert_int_equal(p.view.state, ROLLOUT_DONE);
    assert_int_equal(play_sum(&p).done, BOXES);
    assert_int_equal(p.now, USEC_PER_DAY + 40 * USEC_PER_MINUTE); /* four soaks */
    assert_int_equal(p.in_flight_max_seen, 4);                    /* 2 % of 200 */
    p = play_new(PERCENT(100), 50, 0, 1);
    play(&p);
    assert_int_equal(p.in_flight_max_seen, 50);
}

static void test_a_bad_image_stops_at_the_canary(void **state)
{
    (void) state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        Play p = play_new(PERCENT(2), 50, BOXES, seed);
        play(&p);
        assert_int_equal(p.view.state, ROLLOUT_HALTED);
        assert_int_equal(p.view.group, 0);
        assert_int_equal(play_sum(&p).failed, 1);
    }
}

static void test_an_image_bad_on_three_percent_stops_below_its_threshold(void **state)
{
    unsigned halted = 0;

    (void) state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        Play p = play_new(PERCENT(2), 50, 6, seed);
        play(&p);
        halted += p.view.state == ROLLOUT_HALTED;
        assert_true(play_sum(&p).failed * 100 <= 2 * BOXES);
    }
    assert_int_equal(halted, 500);
    for (uint64_t seed = 0; seed < 500; seed++) { /* and where more is allowed, it goes on or ends below that */
        Play p = play_new(PERCENT(10), 50, 6, seed);
        play(&p);
        assert_true(p.view.state == ROLLOUT_DONE || p.view.state == ROLLOUT_HALTED);
        assert_true(play_sum(&p).failed <= 6);
    }
}

/* G05: two of 200, where four may fail. */
static void test_one_percent_by_chance_halts_only_a_canary(void **state)
{
    unsigned done = 0;

    (void) state;
    for (uint64_t seed = 0; seed < 500; seed++) {
        Play p = play_new(PERCENT(2), 50, 2, seed);
        play(&p);
        done += p.view.state == ROLLOUT_DONE;
        assert_true(p.view.state == ROLLOUT_DONE || (p.view.state == ROLLOUT_HALTED && p.groups[0].failed == 1));
    }
    assert_true(done > 450);
}

static void test_no_failure_is_borne_at_zero_and_all_at_a_hundred(void **state)
{
    (void) state;
    Play p = play_new(0, 50, 6, 3);
    play(&p);
    assert_int_equal(p.view.state, ROLLOUT_HALTED);
    assert_int_equal(play_sum(&p).failed, 1);
    p = play_new(ROLLOUT_WHOLE, 1000, BOXES, 3);
    play(&p);
    assert_int_equal(p.view.state, ROLLOUT_DONE);
    assert_int_equal(play_sum(&p).failed, BOXES);
}

static void test_resuming_forgives(void **state)
{
    (void) state;
    Play p = play_new(PERCENT(2), 50, BOXES, 3);
    play(&p);
    assert_int_equal(p.view.state, ROLLOUT_HALTED);
    p.bad = 0;
    p.view.forgiven = play_sum(&p).failed;
    play_apply(&p, ROLLOUT_RESUME);
    play(&p);
    assert_int_equal(p.view.state, ROLLOUT_DONE);
    assert_int_equal(play_sum(&p).done, BOXES - 1);
}

static RolloutView one_group(RolloutState state, const RolloutCounts *g, size_t n)
{
    return (RolloutView) { .state = state,
                           .groups = g,
                           .n_groups = n,
                           .halt_at = PERCENT(2),
                           .parallel = 50,
                           .soak = USEC_PER_MINUTE,
                           .soaking_since = USEC_PER_HOUR };
}

static void test_boxes_that_are_away(void **state)
{
    /* nobody of the group was there: it has proved nothing */
    RolloutCounts g[2] = { { .boxes = 2, .offline = 2 }, { .boxes = 5, .waiting = 5 } };
    RolloutView v = one_group(ROLLOUT_RUNNING, g, 2);
    RolloutDecision d = rollout_decide(&v, 0);

    (void) state;
    assert_int_equal(d.event, -1);
    assert_int_equal(d.may_send, 1);
    assert_true(d.wake_at == USEC_INFINITY);

    g[0] = (RolloutCounts) { .boxes = 2, .offline = 1, .done = 1 }; /* one was, which is enough */
    assert_int_equal(rollout_decide(&v, 0).event, ROLLOUT_COMPLETE);

    /* it worked, and now it does not answer: the next group waits for it */
    v.state = ROLLOUT_SOAKING;
    g[0].away = 1;
    assert_int_equal(rollout_decide(&v, 2 * USEC_PER_HOUR).event, -1);
    g[0].away = 0;
    assert_int_equal(rollout_decide(&v, USEC_PER_HOUR + 1).event, -1);
    assert_int_equal(rollout_decide(&v, USEC_PER_HOUR + 1).wake_at, USEC_PER_HOUR + USEC_PER_MINUTE);
    assert_int_equal(rollout_decide(&v, USEC_PER_HOUR + USEC_PER_MINUTE).event, ROLLOUT_SOAKED);

    /* at the end nobody is waited for, but whoever comes back is sent to */
    v.group = 1;
    g[1] = (RolloutCounts) { .boxes = 5, .done = 4, .away = 4, .offline = 1 };
    assert_int_equal(rollout_decide(&v, 2 * USEC_PER_HOUR).event, ROLLOUT_FINISH);
    v.state = ROLLOUT_DONE;
    d = rollout_decide(&v, 2 * USEC_PER_HOUR);
    assert_int_equal(d.event, -1);
    assert_int_equal(d.may_send, 1);
    g[1] = (RolloutCounts) { .boxes = 5, .done = 4, .failed = 1 };
    assert_int_equal(rollout_decide(&v, 2 * USEC_PER_HOUR).event, ROLLOUT_HALT);
}

/* G04 */
static void test_a_canary_that_does_not_run_it_proves_nothing(void **state)
{
    RolloutCounts g[3] = { { .boxes = 2, .skipped = 2 }, { .boxes = 0 }, { .boxes = 3, .offline = 3 } };
    RolloutView v = one_group(ROLLOUT_RUNNING, g, 3);

    (void) state;
    assert_true(rollout_proves_nothing(&v));
    assert_int_equal(rollout_decide(&v, 0).event, -1);
    g[2] = (RolloutCounts) { .boxes = 3, .skipped = 3 }; /* nobody is left who could have anything to do with it */
    assert_false(rollout_proves_nothing(&v));
    assert_int_equal(rollout_decide(&v, 0).event, ROLLOUT_COMPLETE);
    g[0] = (RolloutCounts) { .boxes = 2, .skipped = 1, .failed = 1 };
    g[2] = (RolloutCounts) { .boxes = 3, .waiting = 3 };
    assert_false(rollout_proves_nothing(&v));
}

static void test_groups_without_work_do_not_soak(void **state)
{
    RolloutCounts g[4] = {
        { .boxes = 1, .done = 1 }, { .boxes = 2, .skipped = 2 }, { .boxes = 0 }, { .boxes = 3, .waiting = 3 }
    };
    RolloutView v = one_group(ROLLOUT_RUNNING, g, 4);

    (void) state;
    for (v.group = 1; v.group < 3; v.group++) {
        v.state = ROLLOUT_RUNNING;
        assert_int_equal(rollout_decide(&v, 0).event, ROLLOUT_COMPLETE);
        v.state = ROLLOUT_SOAKING;
        assert_int_equal(rollout_decide(&v, USEC_PER_HOUR).event, ROLLOUT_SOAKED);
    }
}

static void test_nothing_is_sent_where_nothing_may_be(void **state)
{
    RolloutCounts g[1] = { { .boxes = 100, .waiting = 98, .sent = 1, .done = 1 } };
    RolloutView v = one_group(ROLLOUT_RUNNING, g, 1);

    (void) state;
    assert_int_equal(rollout_decide(&v, 0).may_send, 1);
    static const RolloutState still[] = { ROLLOUT_PAUSED, ROLLOUT_HALTED, ROLLOUT_ABORTED };
    for (size_t i = 0; i < ELEMENTSOF(still); i++) {
        v.state = still[i];
        assert_int_equal(rollout_decide(&v, 0).may_send, 0);
        assert_int_equal(rollout_decide(&v, 0).event, -1);
    }
    /* what was under way when it was paused still counts */
    g[0] = (RolloutCounts) { .boxes = 100, .waiting = 98, .failed = 1, .done = 1 };
    v.state = ROLLOUT_PAUSED;
    assert_int_equal(rollout_decide(&v, 0).event, ROLLOUT_HALT);
    v.state = ROLLOUT_ABORTED;
    assert_int_equal(rollout_decide(&v, 0).event, -1);
}

/* What is said of a halt is true of it: the share of those that have ended, or the bound on all. */
static void test_which_of_both_halts(void **state)
{
    RolloutCounts g[2] = { { .boxes = 10, .waiting = 9, .failed = 1 }, { .boxes = 90, .waiting = 90 } };
    RolloutView v = one_group(ROLLOUT_RUNNING, g, 2);

    (void) state;
    v.halt_at = PERCENT(25);
    assert_int_equal(rollout_decide(&v, 0).event, ROLLOUT_HALT);
    assert_true(rollout_share_halts(&v));
    assert_int_equal(rollout_boxes(&v), 100);
    /* two are too few for a share to count, and are all that may fail of a hundred */
    g[0] = (RolloutCounts) { .boxes = 10, .done = 10 };
    g[1] = (RolloutCounts) { .boxes = 90, .done = 87, .failed = 2, .waiting = 1 };
    v.group = 1;
    v.halt_at = PERCENT(2);
    assert_int_equal(rollout_decide(&v, 0).event, ROLLOUT_HALT);
    assert_false(rollout_share_halts(&v));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_page_and_tables_agree),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_which_of_both_halts),
        cmocka_unit_test(test_what_a_result_means),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_groups_are_read),
        cmocka_unit_test(test_groups_that_are_refused),
        cmocka_unit_test(test_shares_are_of_all_boxes),
        cmocka_unit_test(test_labels_come_first),
        cmocka_unit_test(test_the_order_is_stable_and_different_each_time),
        cmocka_unit_test(test_a_good_image_reaches_all),
        cmocka_unit_test(test_a_bad_image_stops_at_the_canary),
        cmocka_unit_test(test_an_image_bad_on_three_percent_stops_below_its_threshold),
        cmocka_unit_test(test_one_percent_by_chance_halts_only_a_canary),
        cmocka_unit_test(test_no_failure_is_borne_at_zero_and_all_at_a_hundred),
        cmocka_unit_test(test_resuming_forgives),
        cmocka_unit_test(test_boxes_that_are_away),
        cmocka_unit_test(test_a_canary_that_does_not_run_it_proves_nothing),
        cmocka_unit_test(test_groups_without_work_do_not_soak),
        cmocka_unit_test(test_nothing_is_sent_where_nothing_may_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
