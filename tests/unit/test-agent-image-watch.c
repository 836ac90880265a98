/* SPDX-License-Identifier: MIT */
/* What the watcher decides: who is watched, when it asks, what is taken and what waits; and what it remembers of it. */
#include "tests/unit/agent-root.h"

#include <errno.h>
#include <time.h>

#include "env/env-file.h"
#include "lib/base/clock.h"
#include "mgmt-agent/agent/image-watch-notes.h"

#define W "com.centurylinklabs.watchtower."
#define NOW (UINT64_C(1767268800) * USEC_PER_SEC) /* 2026-01-01T12:00:00Z, a Thursday */

static EnvFile *env_of(const char *text)
{
    _cleanup_(error_done) Error err = {};
    EnvFile *e = NULL;

    if (env_parse(text, strlen(text), "x.env", &e, &err) < 0)
        fail_msg("%s", error_message(&err, -EINVAL));
    return e;
}

static void test_settings(void **state)
{
    _cleanup_(env_freep) EnvFile *agent =
        env_of("UPDATE_WINDOW=02:00-05:00\nUPDATE_COOL_DOWN=72h\nUPDATE_MONITOR_ONLY=1\n"
               "UPDATE_SCOPE=prod\nUPDATE_LABEL_ENABLE=1\n");
    _cleanup_(env_freep) EnvFile *secbox = env_of("WATCHTOWER_POLL_INTERVAL=3600\n");
    _cleanup_(env_freep) EnvFile *other = env_of("WATCHTOWER_POLL_INTERVAL=7200\n");
    _cleanup_(watch_config_done) WatchConfig c = {}, none = {}, both = {};

    (void) state;
    assert_int_equal(watch_config_read(NULL, NULL, &none, NULL), 0);
    assert_int_equal(none.interval, USEC_PER_DAY);
    assert_int_equal(none.n_windows, 0);
    assert_int_equal(watch_config_read(agent, secbox, &c, NULL), 0);
    assert_int_equal(c.interval, USEC_PER_HOUR);
    assert_int_equal(c.cool_down, 72 * USEC_PER_HOUR);
    assert_int_equal(c.n_windows, 1);
    assert_true(c.monitor_only && c.label_enable);
    assert_string_equal(c.scope, "prod");
    assert_int_equal(watch_config_read(other, secbox, &both, NULL), 0);
    assert_int_equal(both.interval, 2 * USEC_PER_HOUR);
}

static void test_bad_settings(void **state)
{
    static const char *const cases[] = { "UPDATE_WINDOW=2-5\n",       "UPDATE_COOL_DOWN=3 days\n",
                                         "UPDATE_MONITOR_ONLY=yes\n", "UPDATE_LABEL_ENABLE=2\n",
                                         "UPDATE_SCOPE=a b\n",        "WATCHTOWER_POLL_INTERVAL=5\n" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(env_freep) EnvFile *agent = env_of(cases[i]);
        _cleanup_(error_done) Error err = {};
        WatchConfig c = {};

        assert_int_equal(watch_config_read(agent, NULL, &c, &err), -EINVAL);
        assert_string_equal(error_id(&err), "env.bad-value");
        assert_true(strncmp(cases[i], err.key, strlen(err.key)) == 0);
    }
}

static Current *current_of(const char *text)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_of(text);

    return current_from_json(o);
}

static void test_targets(void **state)
{
    static const struct {
        const char *config, *service;
        WatchSource source;
        bool monitor_only;
        const char *why; /* a part of it */
    } cases[] = {
        { "", "{\"image\":\"r.example/a:1\"}", WATCH_REGISTRY, false, NULL },
        { "", "{\"image\":\"r.example/a@sha256:00\"}", WATCH_NOT, false, "by digest" },
        { "", "{\"image\":\"localhost/a:1\"}", WATCH_NOT, false, "made on this box" },
        { "", "{\"image\":\"localhost/a:1\",\"labels\":{\"io.containers.autoupdate\":\"local\"}}", WATCH_LOCAL, false,
          NULL },
        { "", "{\"image\":\"r.example/a:1\",\"labels\":{\"" W "no-pull\":\"true\"}}", WATCH_LOCAL, false, NULL },
        { "", "{\"image\":\"r.example/a:1\",\"labels\":{\"" W "enable\":\"false\"}}", WATCH_NOT, false,
          "labels say so" },
        { "", "{\"image\":\"r.example/a:1\",\"labels\":{\"" W "enable\":\"maybe\"}}", WATCH_NOT, false,
          "must be true or false" },
        { "", "{\"image\":\"r.example/a:1\",\"config\":{\"labels\":{\"" W "enable\":\"0\"}}}", WATCH_NOT, false,
          "labels" },
        { "", "{\"image\":\"r.example/a:1\",\"labels\":{\"" W "monitor-only\":\"true\"}}", WATCH_REGISTRY, true, NULL },
        { "UPDATE_MONITOR_ONLY=1\n", "{\"image\":\"r.example/a:1\"}", WATCH_REGISTRY, true, NULL },
        { "UPDATE_LABEL_ENABLE=1\n", "{\"image\":\"r.example/a:1\"}", WATCH_NOT, false, "UPDATE_LABEL_ENABLE" },
        { "UPDATE_LABEL_ENABLE=1\n", "{\"image\":\"r.example/a:1\",\"labels\":{\"" W "enable\":\"true\"}}",
          WATCH_REGISTRY, false, NULL },
        { "UPDATE_LABEL_ENABLE=1\n",
          "{\"image\":\"r.example/a:1\",\"labels\":{\"io.containers.autoupdate\":\"registry\"}}", WATCH_REGISTRY, false,
          NULL },
        { "UPDATE_SCOPE=prod\n", "{\"image\":\"r.example/a:1\"}", WATCH_NOT, false, "scope" },
        { "UPDATE_SCOPE=prod\n", "{\"image\":\"r.example/a:1\",\"labels\":{\"" W "scope\":\"prod\"}}", WATCH_REGISTRY,
          false, NULL },
        { "", "{\"name\":\"a\"}", WATCH_NOT, false, "not known" },
        { "", "{\"image\":\"r.example/a:1\",\"pullPolicy\":\"never\"}", WATCH_NOT, false, "pull_policy" },
        { "", "{\"image\":\"r.example/a:1\",\"pullPolicy\":\"missing\"}", WATCH_REGISTRY, false, NULL },
        { "",
          "{\"image\":\"localhost/a:1\",\"labels\":{\"io.containers.autoupdate\":\"local\"},"
          "\"pullPolicy\":\"never\"}",
          WATCH_LOCAL, false, NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(env_freep) EnvFile *agent = env_of(cases[i].config);
        _cleanup_(freep) char *text = str_format("{\"services\":[%s]}", cases[i].service);
        _cleanup_(current_freep) Current *current = current_of(text);
        _cleanup_(watch_config_done) WatchConfig c = {};
        _cleanup_(watch_target_done) WatchTarget t = {};

        assert_int_equal(watch_config_read(agent, NULL, &c, NULL), 0);
        assert_int_equal(watch_target_of(&c, &current->services[0], &t), 0);
        if (t.source != cases[i].source || t.monitor_only != cases[i].monitor_only || !t.why != !cases[i].why ||
            (t.why && !strstr(t.why, cases[i].why)))
            fail_msg("%s %s: %d %s", cases[i].config, cases[i].service, (int) t.source, t.why ? t.why : "");
    }
}

static void test_next_check(void **state)
{
    const WatchConfig day = { .interval = USEC_PER_DAY }, quick = { .interval = 10 * USEC_PER_SEC };
    const usec_t boot = NOW - USEC_PER_HOUR;

    (void) state;
    /* never asked: soon after the start, spread */
    assert_int_equal(watch_next_check(&day, 0, boot, 0, NOW), boot);
    assert_int_equal(watch_next_check(&day, 0, boot, 7 * USEC_PER_MINUTE, NOW), boot + 7 * USEC_PER_MINUTE);
    assert_true(watch_next_check(&day, 0, boot, UINT64_MAX, NOW) <= boot + WATCH_SPREAD_MAX_USEC);
    /* an interval after the last one */
    assert_int_equal(watch_next_check(&day, NOW - USEC_PER_HOUR, boot, 0, NOW), NOW + 23 * USEC_PER_HOUR);
    assert_int_equal(watch_next_check(&quick, NOW, boot, USEC_PER_SEC / 2, NOW),
                     NOW + 10 * USEC_PER_SEC + USEC_PER_SEC / 2);
    /* overdue since before the start: not at once with all others */
    assert_int_equal(watch_next_check(&day, NOW - 9 * USEC_PER_DAY, NOW, USEC_PER_MINUTE, NOW), NOW + USEC_PER_MINUTE);
    /* a clock that was ahead */
    assert_int_equal(watch_next_check(&day, NOW + USEC_PER_DAY, boot, 0, NOW), boot);
}

static void test_retry_delay(void **state)
{
    const WatchConfig day = { .interval = USEC_PER_DAY }, quick = { .interval = USEC_PER_SEC };
    usec_t before = 0;

    (void) state;
    for (unsigned tries = 0; tries < 40; tries++) {
        usec_t delay = watch_retry_delay(&day, tries);

        assert_true(delay >= before && delay <= USEC_PER_DAY);
        before = delay;
    }
    assert_int_equal(watch_retry_delay(&day, 0), 5 * USEC_PER_MINUTE);
    assert_int_equal(before, USEC_PER_DAY);
    assert_int_equal(watch_retry_delay(&quick, 3), USEC_PER_SEC);
}

static void test_decisions(void **state)
{
    static const struct {
        const char *config, *entry;
        bool order;
        WatchVerdict verdict;
        const char *why;
    } cases[] = {
        { "", "{\"state\":\"new\",\"digest\":\"d\"}", false, WATCH_TAKE, NULL },
        { "", "{\"state\":\"current\"}", true, WATCH_NOTHING, NULL },
        { "", "{\"state\":\"new\",\"digest\":\"bad\"}", false, WATCH_NOTHING, "failed-before" },
        { "", "{\"state\":\"new\",\"digest\":\"bad\"}", true, WATCH_NOTHING, "failed-before" },
        { "", "{\"state\":\"new\",\"newImageId\":\"b1\"}", true, WATCH_NOTHING, "failed-before" },
        { "", "{\"state\":\"new\",\"digest\":\"d\",\"monitorOnly\":true}", false, WATCH_NOTHING, "monitor-only" },
        { "", "{\"state\":\"new\",\"digest\":\"d\",\"monitorOnly\":true}", true, WATCH_TAKE, NULL },
        { "", "{\"state\":\"new\",\"digest\":\"d\",\"turnedAway\":\"d\"}", false, WATCH_NOTHING, "ordered" },
        { "", "{\"state\":\"new\",\"digest\":\"d\",\"turnedAway\":\"d\"}", true, WATCH_TAKE, NULL },
        { "", "{\"state\":\"new\",\"digest\":\"d\",\"turnedAway\":\"e\"}", false, WATCH_TAKE, NULL },
        { "", "{\"state\":\"new\",\"digest\":\"d\",\"halted\":true}", false, WATCH_NOTHING, "halted" },
        { "", "{\"state\":\"new\",\"digest\":\"d\",\"halted\":true}", true, WATCH_TAKE, NULL },
        { "", "{\"state\":\"new\",\"byHand\":true,\"monitorOnly\":true}", false, WATCH_NOTHING, "monitor-only" },
        { "", "{\"state\":\"new\",\"byHand\":true,\"monitorOnly\":true}", true, WATCH_TAKE, NULL },
        { "", "{\"state\":\"new\",\"newImageId\":\"b1\",\"byHand\":true}", false, WATCH_NOTHING, "failed-before" },
        { "", "{\"state\":\"new\",\"digest\":\"d\",\"turnedAway\":\"d\",\"byHand\":true}", false, WATCH_TAKE, NULL },
        { "", "{\"state\":\"new\",\"byHand\":true,\"retryAt\":\"2026-01-01T12:30:00.000Z\"}", false, WATCH_TAKE, NULL },
        { "", "{\"state\":\"new\",\"retryAt\":\"2026-01-01T12:30:00.000Z\"}", false, WATCH_WAIT, "later" },
        { "", "{\"state\":\"new\",\"retryAt\":\"2026-01-01T12:30:00.000Z\"}", true, WATCH_TAKE, NULL },
        { "", "{\"state\":\"new\",\"retryAt\":\"2026-01-01T11:59:59.000Z\"}", false, WATCH_TAKE, NULL },
        { "", "{\"state\":\"new\",\"retryAt\":\"2027-01-01T12:30:00.000Z\"}", false, WATCH_TAKE, NULL },
        { "", "{\"state\":\"new\",\"retryAt\":\"2026-01-01T12:30:00.000Z\",\"skipped\":\"its container does not run\"}",
          false, WATCH_WAIT, "its container does not run" },
        { "", "{\"state\":\"new\",\"source\":\"registry\",\"error\":{\"id\":\"registry.unavailable\"}}", true,
          WATCH_NOTHING, "unanswered" },
        { "", "{\"state\":\"new\",\"source\":\"registry\",\"byHand\":true,\"error\":{\"id\":\"registry.offline\"}}",
          true, WATCH_TAKE, NULL },
        { "", "{\"state\":\"new\",\"source\":\"registry\",\"error\":{\"id\":\"registry.unavailable\"}}", false,
          WATCH_TAKE, NULL },
        { "UPDATE_WINDOW=02:00-05:00\n", "{\"state\":\"new\"}", false, WATCH_WAIT, "window" },
        { "UPDATE_WINDOW=02:00-05:00\n", "{\"state\":\"new\"}", true, WATCH_TAKE, NULL },
        { "UPDATE_WINDOW=02:00-05:00\n", "{\"state\":\"new\",\"byHand\":true}", false, WATCH_TAKE, NULL },
        { "UPDATE_WINDOW=thu/11:00-13:00\n", "{\"state\":\"new\"}", false, WATCH_TAKE, NULL },
    };
    _cleanup_(failed_done) FailedImages failed = {};

    (void) state;
    agent_root_write(AGENT_STATE_DIR "/updates-failed.json",
                     "{\"failed\":[{\"digest\":\"bad\",\"imageId\":\"b1\",\"error\":{\"id\":\"prove.died\"}}]}");
    failed_load(&failed);
    setenv("TZ", "UTC", 1);
    tzset();
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(env_freep) EnvFile *agent = env_of(cases[i].config);
        _cleanup_(freep) char *text = str_format("{\"services\":[%s]}", cases[i].entry);
        _cleanup_(watch_state_done) WatchState s = {};
        _cleanup_(watch_config_done) WatchConfig c = {};
        const char *why;
        usec_t at;

        assert_int_equal(watch_config_read(agent, NULL, &c, NULL), 0);
        agent_root_write(AGENT_STATE_DIR "/updates.json", text);
        watch_state_load(&s);
        if (watch_decide(&c, &s.entries[0], &failed, cases[i].order, NOW, &at, &why) != cases[i].verdict ||
            !str_equal(why, cases[i].why))
            fail_msg("%s %s: %s", cases[i].config, cases[i].entry, why ? why : "nothing holds it back");
        if (cases[i].verdict == WATCH_WAIT)
            assert_true(at > NOW && at < NOW + USEC_PER_DAY);
    }
}

static const WatchConfig plain = { .interval = USEC_PER_DAY };

static WatchState known(const char *current_text)
{
    _cleanup_(current_freep) Current *current = current_of(current_text);
    WatchState s = {};

    agent_root_write(AGENT_STATE_DIR "/updates.json", NULL);
    watch_state_load(&s);
    assert_int_equal(watch_state_follow(&s, &plain, current), 0);
    return s;
}

#define ONE(id) "{\"services\":[{\"name\":\"web\",\"image\":\"r.example/web:1\",\"imageId\":\"" id "\"}]}"

static void note(WatchEntry *entry, const char *answer)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_of(answer);

    assert_int_equal(watch_entry_note_check(entry, &plain, o, NOW), 0);
}

static void assert_member(const WatchEntry *entry, const char *key, const char *value)
{
    _cleanup_(cJSON_Deletep) cJSON *o = watch_entry_to_json(entry);

    if (!str_equal(json_string(o, key), value))
        fail_msg("%s is %s, not %s", key, json_string(o, key) ? json_string(o, key) : "absent",
                 value ? value : "absent");
}

static void assert_same_entry(const WatchEntry *a, const WatchEntry *b)
{
    _cleanup_(cJSON_Deletep) cJSON *x = watch_entry_to_json(a);
    _cleanup_(cJSON_Deletep) cJSON *y = watch_entry_to_json(b);

    assert_true(cJSON_Compare(x, y, true));
}

/* A registry that wants silence for longer than the interval has it; and a clock that was set back ends it. */
static void test_r16_retry_after_outlasts_the_interval(void **state)
{
    static const WatchConfig minutely = { .interval = USEC_PER_MINUTE };
    _cleanup_(watch_state_done) WatchState s = known(ONE("old"));
    _cleanup_(cJSON_Deletep) cJSON *limited =
        json_of("{\"state\":\"unknown\",\"later\":true,\"retryAfterSeconds\":21600}");
    _cleanup_(cJSON_Deletep) cJSON *endless =
        json_of("{\"state\":\"unknown\",\"later\":true,\"retryAfterSeconds\":99999999}");
    WatchEntry *entry = watch_state_entry(&s, "web");

    (void) state;
    assert_int_equal(watch_entry_note_check(entry, &minutely, limited, NOW), 0);
    assert_member(entry, "quietUntil", "2026-01-01T18:00:00.000Z");
    assert_true(watch_is_put_off(&minutely, entry, NOW + 5 * USEC_PER_HOUR));
    assert_true(watch_is_quiet(entry, NOW + 5 * USEC_PER_HOUR));
    assert_false(watch_is_quiet(entry, NOW + 6 * USEC_PER_HOUR));
    assert_false(watch_is_quiet(entry, NOW - 19 * USEC_PER_HOUR));
    assert_int_equal(watch_entry_note_check(entry, &minutely, endless, NOW), 0);
    assert_member(entry, "quietUntil", "2026-01-02T12:00:00.000Z");
    /* rarely asked, and often in vain: its own delay is longer than a day by then */
    static const WatchConfig weekly = { .interval = 7 * USEC_PER_DAY };
    for (unsigned tries = 0; tries < 12; tries++)
        assert_int_equal(watch_entry_note_check(entry, &weekly, limited, NOW), 0);
    assert_true(entry->retry_at > NOW + WATCH_QUIET_MAX_USEC);
    assert_true(watch_is_put_off(&weekly, entry, NOW));
    note(entry, "{\"state\":\"current\"}");
    assert_member(entry, "quietUntil", NULL);
}

/* A tag that was taken back is not waited with. */
static void test_u03_withdrawn(void **state)
{
    _cleanup_(watch_state_done) WatchState s = known(ONE("old"));
    WatchEntry *entry = watch_state_entry(&s, "web");

    (void) state;
    note(entry, "{\"state\":\"new\",\"digest\":\"d1\",\"newImageId\":\"new\"}");
    note(entry, "{\"state\":\"unknown\",\"later\":false,\"error\":{\"id\":\"registry.unauthorized\"}}");
    assert_member(entry, "state", "new");
    watch_entry_note_skipped(entry, &plain, "its container does not run", NOW);
    assert_member(entry, "skipped", "its container does not run");
    note(entry, "{\"state\":\"unknown\",\"later\":false,\"error\":{\"id\":\"registry.not-found\"}}");
    assert_member(entry, "state", "unknown");
    assert_member(entry, "digest", NULL);
    assert_member(entry, "skipped", NULL);
    assert_non_null(entry->error);
}

/* News, a registry that goes away, the update, and what comes after it. */
static void test_what_is_remembered(void **state)
{
    _cleanup_(watch_state_done) WatchState s = known(ONE("old"));
    _cleanup_(watch_state_done) WatchState loaded = {};
    _cleanup_(current_freep) Current *updated = current_of(ONE("new"));
    _cleanup_(cJSON_Deletep) cJSON *result =
        json_of("{\"outcome\":\"done\",\"updates\":[{\"service\":\"web\",\"imageId\":\"new\"}]}");
    WatchEntry *entry = watch_state_entry(&s, "web");

    (void) state;
    assert_member(entry, "state", "unknown");
    note(entry, "{\"state\":\"new\",\"digest\":\"d1\",\"newImageId\":\"new\"}");
    assert_member(entry, "seenAt", "2026-01-01T12:00:00.000Z");
    note(entry, "{\"state\":\"unknown\",\"later\":true,\"error\":{\"id\":\"registry.offline\"}}");
    assert_member(entry, "state", "new");
    assert_member(entry, "retryAt", "2026-01-01T12:05:00.000Z");
    note(entry, "{\"state\":\"new\",\"digest\":\"d1\",\"newImageId\":\"new\"}");
    assert_null(entry->error);
    watch_entry_note_try(entry, &plain, NOW);
    s.last_check = NOW;
    assert_int_equal(watch_state_save(&s, NULL), 0);

    watch_state_load(&loaded);
    assert_int_equal(loaded.last_check, NOW);
    assert_same_entry(watch_state_entry(&loaded, "web"), entry);
    assert_int_equal(watch_entry_note_result(entry, result), 0);
    assert_member(entry, "state", "current");
    assert_int_equal(watch_state_follow(&s, &plain, updated), 0);
    entry = watch_state_entry(&s, "web");
    assert_member(entry, "state", "current");
    assert_member(entry, "retryAt", NULL);
    note(entry, "{\"state\":\"unknown\",\"later\":true,\"retryAfterSeconds\":1800,\"error\":{\"id\":\"registry.rate-"
                "limited\"}}");
    assert_member(entry, "retryAt", "2026-01-01T12:30:00.000Z");
    assert_true(watch_is_quiet(entry, NOW + 29 * USEC_PER_MINUTE) &&
                !watch_is_quiet(entry, NOW + 30 * USEC_PER_MINUTE));
    note(entry, "{\"state\":\"unknown\",\"later\":false,\"error\":{\"id\":\"registry.unauthorized\"}}");
    assert_non_null(entry->error);
    note(entry, "{\"state\":\"current\"}");
    assert_null(entry->error);
}

static void test_another_image_is_another_entry(void **state)
{
    _cleanup_(watch_state_done) WatchState s = known(ONE("old"));
    _cleanup_(current_freep) Current *pushed =
        current_of("{\"services\":[{\"name\":\"web\",\"image\":\"r.example/web:2\",\"imageId\":\"x\"},"
                   "{\"name\":\"db\",\"image\":\"d\"}]}");

    (void) state;
    note(watch_state_entry(&s, "web"), "{\"state\":\"new\",\"digest\":\"d1\",\"newImageId\":\"new\"}");
    assert_int_equal(watch_state_follow(&s, &plain, pushed), 0);
    assert_int_equal(s.n_entries, 2);
    assert_member(watch_state_entry(&s, "web"), "state", "unknown");
    assert_member(watch_state_entry(&s, "web"), "digest", NULL);
    assert_int_equal(watch_state_follow(&s, &plain, NULL), 0);
    assert_int_equal(s.n_entries, 0);
}

#define ORDERED(id, digest)                                                                                            \
    "{\"services\":[{\"name\":\"web\",\"image\":\"r.example/web:1\",\"imageId\":\"" id "\",\"ordered\":\"" digest      \
    "\"}]}"

static WatchEntry *follow(WatchState *s, const char *current_text)
{
    _cleanup_(current_freep) Current *current = current_of(current_text);

    assert_int_equal(watch_state_follow(s, &plain, current), 0);
    return watch_state_entry(s, "web");
}

/* What the tag means when the cloud has ordered another digest is turned away, and only that, until another change. */
static void test_an_order_turns_the_tag_away(void **state)
{
    _cleanup_(watch_state_done) WatchState s = known(ONE("new"));
    WatchEntry *entry = watch_state_entry(&s, "web");

    (void) state;
    note(entry, "{\"state\":\"current\"}");
    assert_member(entry, "turnedAway", NULL);
    entry = follow(&s, ORDERED("old", "d1"));
    note(entry, "{\"state\":\"new\",\"digest\":\"d2\",\"newImageId\":\"new\"}");
    assert_member(entry, "turnedAway", "d2");
    entry = follow(&s, ORDERED("old", "d1"));
    note(entry, "{\"state\":\"new\",\"digest\":\"d3\",\"newImageId\":\"newer\"}");
    assert_member(entry, "turnedAway", "d2");
    /* an order of what the tag means turns nothing away, also not what it means later */
    entry = follow(&s, ORDERED("newer", "d3"));
    assert_member(entry, "turnedAway", NULL);
    note(entry, "{\"state\":\"current\"}");
    note(entry, "{\"state\":\"new\",\"digest\":\"d4\",\"newImageId\":\"newest\"}");
    assert_member(entry, "turnedAway", "none");
    entry = follow(&s, ONE("newer")); /* a push */
    assert_member(entry, "ordered", NULL);
    assert_member(entry, "turnedAway", NULL);
}

static WatchState halted_with(const char *digests, int is_news, WatchState s)
{
    _cleanup_(cJSON_Deletep) cJSON *list = json_of(digests);

    assert_int_equal(watch_state_note_halted(&s, list), is_news);
    return s;
}

/* What a rollout has halted with is known over a restart, and marks what is news, until the cloud says otherwise. */
static void test_halted_rollouts(void **state)
{
    _cleanup_(watch_state_done) WatchState s = known(ONE("old"));
    WatchState again = {};
    WatchEntry *entry = follow(&s, ONE("old"));

    (void) state;
    s = halted_with("[]", 0, s);
    s = halted_with("[\"d2\",7]", 1, s);
    s = halted_with("[\"d2\",7]", 0, s);
    note(entry, "{\"state\":\"new\",\"digest\":\"d2\",\"newImageId\":\"new\"}");
    assert_int_equal(watch_state_save(&s, NULL), 0);
    watch_state_load(&again);
    watch_state_done(&s);
    s = again;
    entry = follow(&s, ONE("old"));
    assert_true(entry->halted);
    note(entry, "{\"state\":\"new\",\"digest\":\"d3\",\"newImageId\":\"newer\"}");
    entry = follow(&s, ONE("old"));
    assert_false(entry->halted);
    note(entry, "{\"state\":\"new\",\"digest\":\"d2\",\"newImageId\":\"new\"}");
    s = halted_with("[]", 1, s);
    entry = follow(&s, ONE("old"));
    assert_false(entry->halted);
}

static void look(WatchEntry *entry, const char *means)
{
    const WatchSample seen = { .name_image_id = (char *) means };

    assert_int_equal(watch_entry_note_inspection(entry, &seen, true, NOW), 0);
}

static void assert_picked(const WatchEntry *e, usec_t cool_down, usec_t now, const char *digest)
{
    usec_t seen_at;
    const char *picked = watch_entry_pick(e, NULL, cool_down, now, &seen_at);

    assert_string_equal(picked, digest);
    assert_true(seen_at == (str_equal(picked, e->digest) ? e->seen_at : e->older_seen_at));
}

/* Of a tag that moves more often than images have to wait, the first one that waits is taken in the end. What has replaced it has
 * its own time before that: it may be the mend. */
static void test_a_tag_that_moves_too_often(void **state)
{
    _cleanup_(watch_state_done) WatchState s = known(ONE("old"));
    WatchEntry *entry = watch_state_entry(&s, "web");
    const usec_t day = USEC_PER_DAY;
    char *halted[] = { (char *) "d1", NULL };
    usec_t seen_at;

    (void) state;
    note(entry, "{\"state\":\"new\",\"digest\":\"d1\",\"newImageId\":\"i1\"}");
    entry->seen_at = NOW - 3 * day;
    assert_picked(entry, 3 * day, NOW, "d1");
    note(entry, "{\"state\":\"new\",\"digest\":\"d2\",\"newImageId\":\"i2\"}");
    assert_member(entry, "olderDigest", "d1");
    assert_picked(entry, 3 * day, NOW, "d2"); /* it is not old enough, as the worker says */
    entry->older_seen_at = NOW - 6 * day;
    assert_picked(entry, 3 * day, NOW, "d1");
    assert_picked(entry, 4 * day, NOW, "d2");
    assert_picked(entry, 0, NOW, "d2"); /* somebody asks for it */
    assert_picked(entry, 3 * day, entry->seen_at + 3 * day, "d2");
    assert_string_equal(watch_entry_pick(entry, halted, 3 * day, NOW, &seen_at), "d2");
    note(entry, "{\"state\":\"new\",\"digest\":\"d3\",\"newImageId\":\"i3\"}");
    assert_picked(entry, 3 * day, NOW, "d1");
    note(entry, "{\"state\":\"new\",\"digest\":\"d1\",\"newImageId\":\"i1\"}"); /* back again */
    assert_member(entry, "olderDigest", NULL);
    assert_true(entry->seen_at == NOW - 6 * day); /* and known since then */
    note(entry, "{\"state\":\"new\",\"digest\":\"d2\",\"newImageId\":\"i2\"}");
    assert_member(entry, "olderDigest", "d1");
    note(entry, "{\"state\":\"current\"}");
    assert_member(entry, "olderDigest", NULL);
}

/* The one that has waited is given up when it cannot be had, not when it only has to wait on. */
static void test_what_has_waited_outlasts_what_passes(void **state)
{
    static const struct {
        const char *error, *older;
    } cases[] = {
        { "update.too-young", "d1" },     { "update.locked", "d1" }, { "update.not-now", "d1" },
        { "update.failed-before", NULL }, { "pull.failed", NULL },   { "prove.died", NULL },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(watch_state_done) WatchState s = known(ONE("old"));
        _cleanup_(freep) char *text = str_format("{\"outcome\":\"failed\",\"error\":{\"id\":\"%s\"}}", cases[i].error);
        _cleanup_(cJSON_Deletep) cJSON *result = json_of(text);
        WatchEntry *entry = watch_state_entry(&s, "web");

        note(entry, "{\"state\":\"new\",\"digest\":\"d1\",\"newImageId\":\"i1\"}");
        note(entry, "{\"state\":\"new\",\"digest\":\"d2\",\"newImageId\":\"i2\"}");
        assert_int_equal(watch_entry_note_result(entry, result), 0);
        assert_member(entry, "olderDigest", cases[i].older);
    }
}

/* Services of one image are replaced together only where the same one of its digests has waited for both. */
static void test_same_news(void **state)
{
    const WatchEntry web = { .image = (char *) "i", .digest = (char *) "d2", .new_image_id = (char *) "i2" };
    WatchEntry worker = web;

    (void) state;
    assert_true(watch_entry_has_same_news(&web, &worker));
    worker.older = (char *) "d1";
    assert_false(watch_entry_has_same_news(&web, &worker));
}

/* Of several that were pulled at once nobody has named one; two services of one image are one. */
static void test_a_pull_of_all_is_no_order(void **state)
{
    WatchEntry entries[] = {
        { .service = (char *) "web",
          .image = (char *) "i/web",
          .source = WATCH_REGISTRY,
          .image_id = (char *) "w1",
          .name_image_id = (char *) "w1" },
        { .service = (char *) "worker",
          .image = (char *) "i/web",
          .source = WATCH_REGISTRY,
          .image_id = (char *) "w1",
          .name_image_id = (char *) "w1" },
        { .service = (char *) "db",
          .image = (char *) "i/db",
          .source = WATCH_REGISTRY,
          .image_id = (char *) "d1",
          .name_image_id = (char *) "d1" },
    };
    const WatchState s = { .entries = entries, .n_entries = ELEMENTSOF(entries) };
    WatchSample samples[] = {
        { .service = (char *) "web", .name_image_id = (char *) "w2" },
        { .service = (char *) "worker", .name_image_id = (char *) "w2" },
        { .service = (char *) "db", .name_image_id = (char *) "d1" },
    };
    const WatchSamples found = { .services = samples, .n_services = ELEMENTSOF(samples) };

    (void) state;
    assert_int_equal(watch_count_pulled(&s, &found), 1);
    samples[2].name_image_id = (char *) "d2";
    assert_int_equal(watch_count_pulled(&s, &found), 2);
    entries[2].source = WATCH_LOCAL; /* made anew here, and used */
    assert_int_equal(watch_count_pulled(&s, &found), 1);
    entries[2].source = WATCH_NOT;
    assert_int_equal(watch_count_pulled(&s, &found), 2);

    _cleanup_(watch_state_done) WatchState real = known(ONE("old"));
    WatchEntry *entry = watch_state_entry(&real, "web");
    const WatchSample pulled = { .name_image_id = (char *) "pulled" };
    look(entry, "old");
    assert_int_equal(watch_entry_note_inspection(entry, &pulled, false, NOW), 0);
    assert_member(entry, "state", "unknown");
    assert_false(entry->by_hand);
    look(entry, "pulled"); /* nor at the next look */
    assert_member(entry, "state", "unknown");
}

/* A name that means another image from one look to the next was given that by somebody. */
static void test_pulled_by_hand(void **state)
{
    _cleanup_(watch_state_done) WatchState s = known(ONE("old"));
    WatchEntry *entry = watch_state_entry(&s, "web");

    (void) state;
    look(entry, "old");
    assert_member(entry, "state", "unknown");
    watch_state_forget_names(&s);
    look(entry, "other"); /* a push that was taken back, say */
    assert_member(entry, "state", "unknown");
    look(entry, "other");
    assert_member(entry, "state", "unknown");
    look(entry, "pulled");
    assert_member(entry, "state", "new");
    assert_member(entry, "newImageId", "pulled");
    assert_true(entry->by_hand);
    note(entry, "{\"state\":\"new\",\"digest\":\"d1\",\"newImageId\":\"pulled\"}");
    assert_true(entry->by_hand);
    note(entry, "{\"state\":\"new\",\"digest\":\"d2\",\"newImageId\":\"newer\"}");
    assert_false(entry->by_hand);
    watch_state_forget_names(&s);
    look(entry, "again");
    assert_member(entry, "newImageId", "newer");
    look(entry, "old");
    assert_member(entry, "newImageId", "newer");
}

static void test_damaged_file(void **state)
{
    static const char *const texts[] = { "", "{", "{\"services\":{}}", "{\"services\":[],\"lastCheckAt\":\"soon\"}" };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
        _cleanup_(watch_state_done) WatchState s = {};

        agent_root_write(AGENT_STATE_DIR "/updates.json", texts[i]);
        watch_state_load(&s);
        assert_int_equal(s.last_check, 0);
        assert_int_equal(s.n_entries, 0);
    }
}

/* An update of the agent that is taken back finds what it had noted, and a member that is damaged costs no other. */
static void test_what_is_not_known_is_kept(void **state)
{
    static const char known_form[] =
        "{\"lastCheckAt\":\"2026-01-01T12:00:00.000Z\",\"services\":[{\"service\":\"web\",\"image\":\"r.example/"
        "web:1\","
        "\"source\":\"registry\",\"imageId\":\"old\",\"state\":\"new\",\"digest\":\"d1\",\"newImageId\":\"n\","
        "\"tries\":2,\"signedBy\":{\"key\":1}}],\"halted\":[\"d9\"],\"pace\":[true]}";
    _cleanup_(watch_state_done) WatchState s = {}, damaged = {};
    _cleanup_(freep) char *text = NULL;

    (void) state;
    agent_root_write(AGENT_STATE_DIR "/updates.json", known_form);
    watch_state_load(&s);
    (void) follow(&s, ONE("old"));
    assert_int_equal(watch_state_save(&s, NULL), 0);
    text = agent_root_read(AGENT_STATE_DIR "/updates.json");
    assert_string_equal(text, known_form);
    agent_root_write(
        AGENT_STATE_DIR "/updates.json",
        "{\"lastCheckAt\":7,\"services\":[{\"service\":\"web\",\"source\":\"moon\",\"state\":[],\"digest\":\"d1\","
        "\"tries\":-1,\"retryAt\":\"soon\",\"byHand\":\"yes\"},\"db\"]}");
    watch_state_load(&damaged);
    assert_int_equal(damaged.n_entries, 1);
    assert_string_equal(damaged.entries[0].digest, "d1");
    assert_int_equal(damaged.entries[0].source, WATCH_NOT);
    assert_int_equal(damaged.entries[0].tries, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_bad_settings),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_next_check),
        cmocka_unit_test(test_retry_delay),
        cmocka_unit_test(test_decisions),
        cmocka_unit_test(test_what_is_remembered),
        cmocka_unit_test(test_r16_retry_after_outlasts_the_interval),
        cmocka_unit_test(test_u03_withdrawn),
        cmocka_unit_test(test_another_image_is_another_entry),
        cmocka_unit_test(test_an_order_turns_the_tag_away),
        cmocka_unit_test(test_halted_rollouts),
        cmocka_unit_test(test_pulled_by_hand),
        cmocka_unit_test(test_a_tag_that_moves_too_often),
        cmocka_unit_test(test_what_has_waited_outlasts_what_passes),
        cmocka_unit_test(test_same_news),
        cmocka_unit_test(test_a_pull_of_all_is_no_order),
        cmocka_unit_test(test_damaged_file),
        cmocka_unit_test(test_what_is_not_known_is_kept),
    };

    return cmocka_run_group_tests(tests, agent_root_make, agent_root_remove);
}
