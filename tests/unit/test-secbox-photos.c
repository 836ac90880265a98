/* SPDX-License-Identifier: MIT */
/* Photos on the box: what is taken, what goes when there is no room, what a restart finds, and what a refusal means. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/strv.h"
#include "lib/data/json.h"
#include "secbox/photos/photo-sender.h"
#include "secbox/photos/photo-store.h"

#define NOW (UINT64_C(1790000000) * USEC_PER_SEC)
#define HOME "5b0c1f6e-1c0e-4b39-9a1b-6f1f5d2a7c01"
#define OTHER "5b0c1f6e-1c0e-4b39-9a1b-6f1f5d2a7c02"
#define SIZE 1000
#define ROOM (10 * SIZE)

static char dir[] = "/tmp/test-photos-XXXXXX";

static int make_dir(void **state)
{
    (void) state;
    return mkdtemp(dir) ? 0 : -1;
}

static int clear_dir(void **state)
{
    (void) state;
    return dir_clear(dir, NULL);
}

static int remove_dir(void **state)
{
    (void) state;
    return dir_remove(dir, NULL);
}

static PhotoStore *store(void)
{
    PhotoStore *s = NULL;

    assert_int_equal(photo_store_open(dir, ROOM, &s, NULL), 0);
    return s;
}

/* A JPEG as far as anybody looks, another for each i. */
static int put(PhotoStore *s, const char *community, int i, usec_t at, char digest[static SHA256_HEX_SIZE])
{
    uint8_t data[SIZE] = { 0xff, 0xd8, 0xff, 0xe0, (uint8_t) i };

    return photo_store_put(s, community, data, sizeof(data), at, digest, NULL);
}

static void test_what_was_taken_is_found_after_a_restart(void **state)
{
    char digest[SHA256_HEX_SIZE], again[SHA256_HEX_SIZE];
    _cleanup_(freep) char *data = NULL, *junk = str_format("%s/.photo.tmp", dir);
    PhotoStore *s = store();
    size_t len = 0;
    struct stat st;

    (void) state;
    assert_int_equal(put(s, HOME, 1, NOW, digest), 0);
    assert_int_equal(put(s, HOME, 1, NOW, again), 0);
    assert_string_equal(digest, again);
    assert_int_equal(photo_store_count(s), 1);
    photo_store_free(s);
    assert_int_equal(file_write_atomic(junk, "x", 1, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    s = store();
    assert_int_equal(photo_store_count(s), 1);
    assert_int_equal(stat(junk, &st), -1);
    assert_int_equal(photo_store_read(s, HOME, digest, &data, &len, NULL), 0);
    assert_int_equal(len, SIZE);
    assert_int_equal((uint8_t) data[4], 1);
    /* another community sees nothing of it */
    assert_int_equal(photo_store_read(s, OTHER, digest, &data, &len, NULL), -ENOENT);
    assert_null(photo_store_next(s, OTHER, NOW));
    assert_null(photo_store_next(s, NULL, NOW));
    photo_store_set_sent(s, photo_store_next(s, HOME, NOW));
    assert_null(photo_store_next(s, HOME, NOW));
    photo_store_free(s);
    s = store();
    assert_int_equal(photo_store_waiting(s), 0);
    assert_int_equal(photo_store_count(s), 1);
    photo_store_free(s);
}

/* Its folder cannot be made, or not yet: the box runs, and the tablet keeps the photo. */
static void test_a_folder_that_cannot_be_made_is_no_reason_not_to_start(void **state)
{
    _cleanup_(freep) char *in_the_way = str_format("%s/state", dir), *photos = str_format("%s/state/photos", dir);
    char digest[SHA256_HEX_SIZE];
    PhotoStore *s = NULL;
    struct stat st;

    (void) state;
    assert_int_equal(file_write_atomic(in_the_way, "x", 1, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(photo_store_open(photos, ROOM, &s, NULL), 0);
    assert_true(put(s, HOME, 1, NOW, digest) < 0);
    assert_int_equal(photo_store_count(s), 0);
    assert_int_equal(unlink(in_the_way), 0);
    assert_int_equal(put(s, HOME, 1, NOW, digest), 0);
    assert_int_equal(photo_store_count(s), 1);
    assert_int_equal(stat(photos, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    photo_store_free(s);
}

static void refused(PhotoStore *s, const char *community, const void *data, size_t len, const char *id)
{
    char digest[SHA256_HEX_SIZE];
    Error err = {};

    assert_true(photo_store_put(s, community, data, len, NOW, digest, &err) < 0);
    assert_string_equal(error_id(&err), id);
    error_done(&err);
    assert_int_equal(photo_store_count(s), 0);
}

static void test_what_is_no_photo(void **state)
{
    static uint8_t large[PHOTO_SIZE_MAX + 1] = { 0xff, 0xd8, 0xff, 0xe0 };
    PhotoStore *s = store();
    char digest[SHA256_HEX_SIZE];

    (void) state;
    refused(s, HOME, "", 0, "photo.not-jpeg");
    refused(s, HOME, "\xff\xd8\xff", 3, "photo.not-jpeg");
    refused(s, HOME, "\x89PNG\r\n\x1a\n", 8, "photo.not-jpeg");
    refused(s, HOME, large, sizeof(large), "photo.too-large");
    refused(s, "", large, 100, "lan.no-data");
    refused(s, "../../etc", large, 100, "lan.no-data");
    photo_store_free(s);
    assert_int_equal(photo_store_open(dir, PHOTOS_SIZE_MAX, &s, NULL), 0);
    assert_int_equal(photo_store_put(s, HOME, large, PHOTO_SIZE_MAX, NOW, digest, NULL), 0);
    photo_store_free(s);
    assert_true(photo_digest_is_valid(digest));
    assert_false(photo_digest_is_valid(NULL));
    assert_false(photo_digest_is_valid("abc"));
    digest[0] = 'A';
    assert_false(photo_digest_is_valid(digest));
}

static void test_what_the_gateway_has_goes_first(void **state)
{
    char digest[SHA256_HEX_SIZE], first[SHA256_HEX_SIZE], third[SHA256_HEX_SIZE];
    PhotoStore *s = store();

    (void) state;
    assert_true(photo_store_has_room_to_spare(s));
    for (int i = 0; i < 10; i++)
        assert_int_equal(put(s, HOME, i, NOW + (usec_t) i * USEC_PER_SEC, i == 0 ? first : i == 2 ? third : digest), 0);
    assert_int_equal(put(s, HOME, 10, NOW, digest), -ENOSPC);
    assert_int_equal(photo_store_count(s), 10);
    assert_false(photo_store_has_room_to_spare(s));
    /* the third and the last are at the gateway: they go, the older first */
    photo_store_set_sent(s, photo_store_find(s, HOME, digest));
    photo_store_set_sent(s, photo_store_find(s, HOME, third));
    assert_false(photo_store_has_room_to_spare(s));
    assert_int_equal(put(s, HOME, 11, NOW + USEC_PER_MINUTE, digest), 0);
    assert_null(photo_store_find(s, HOME, third));
    assert_non_null(photo_store_find(s, HOME, first));
    assert_int_equal(photo_store_count(s), 10);
    for (int i = 12; put(s, HOME, i, NOW, digest) >= 0;)
        i++;
    assert_int_equal(photo_store_waiting(s), 10);
    assert_string_equal(photo_store_next(s, HOME, 0)->digest, first);
    /* what waits does not grow old, whatever the clock says */
    photo_store_set_sent(s, photo_store_next(s, HOME, 0));
    photo_store_expire(s, HOME, NOW + PHOTO_KEPT - USEC_PER_SEC);
    assert_int_equal(photo_store_count(s), 10);
    photo_store_expire(s, HOME, NOW + 100 * PHOTO_KEPT);
    assert_int_equal(photo_store_count(s), 9);
    photo_store_free(s);
}

static void test_a_damaged_file_is_not_shown(void **state)
{
    char digest[SHA256_HEX_SIZE];
    PhotoStore *s = store();
    char *data = NULL;
    size_t len = 0;

    (void) state;
    assert_int_equal(put(s, HOME, 1, NOW, digest), 0);
    _cleanup_(freep) char *path = str_format("%s/%s-%s.waiting", dir, HOME, digest);
    assert_int_equal(file_write_atomic(path, "cut", 3, 0600, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(photo_store_read(s, HOME, digest, &data, &len, NULL), -ENOENT);
    assert_int_equal(photo_store_count(s), 0);
    assert_int_equal(put(s, HOME, 1, NOW, digest), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(photo_store_read(s, HOME, digest, &data, &len, NULL), -ENOENT);
    assert_null(data);
    photo_store_free(s);
}

static void test_one_that_was_put_off_waits(void **state)
{
    char first[SHA256_HEX_SIZE], second[SHA256_HEX_SIZE];
    PhotoStore *s = store();

    (void) state;
    assert_int_equal(put(s, HOME, 1, NOW, first), 0);
    assert_int_equal(put(s, HOME, 2, NOW + 1, second), 0);
    photo_store_next(s, HOME, 0)->not_before = USEC_PER_MINUTE;
    assert_string_equal(photo_store_next(s, HOME, 0)->digest, second);
    assert_string_equal(photo_store_next(s, HOME, USEC_PER_MINUTE)->digest, first);
    photo_store_free(s);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *id;
        unsigned times;
        PhotoRefusal what;
        usec_t wait;
    } cases[] = {
        { "photo.unknown", 0, PHOTO_LATER, 10 * USEC_PER_MINUTE },
        { "photo.unknown", 143, PHOTO_LATER, 10 * USEC_PER_MINUTE },
        { "photo.unknown", 144, PHOTO_DROP, 0 },
        { "photo.too-large", 0, PHOTO_DROP, 0 },
        { "photo.malformed", 0, PHOTO_DROP, 0 },
        { "photo.expired", 0, PHOTO_DROP, 0 },
        { "photo.digest", 0, PHOTO_LATER, USEC_PER_MINUTE },
        { "photo.digest", 1, PHOTO_DROP, 0 },
        { "photo.unavailable", 100000, PHOTO_LATER, USEC_PER_MINUTE },
        { "photo.of-a-newer-gateway", 100000, PHOTO_LATER, USEC_PER_MINUTE },
        { NULL, 0, PHOTO_LATER, USEC_PER_MINUTE },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        usec_t wait = 0;
        assert_int_equal(photo_refusal(cases[i].id, cases[i].times, &wait), cases[i].what);
        if (cases[i].what == PHOTO_LATER)
            assert_int_equal(wait, cases[i].wait);
    }
}

static void test_photos_of_a_former_community(void **state)
{
    char digest[SHA256_HEX_SIZE], first[SHA256_HEX_SIZE];
    PhotoStore *s = store();

    (void) state;
    for (int i = 0; i < 10; i++)
        assert_int_equal(put(s, OTHER, i, NOW + (usec_t) i, i == 0 ? first : digest), 0);
    /* what waits for it makes room, the oldest first, but only once nothing else does */
    photo_store_set_sent(s, photo_store_find(s, OTHER, digest));
    assert_int_equal(put(s, HOME, 20, NOW, digest), 0);
    assert_non_null(photo_store_find(s, OTHER, first));
    assert_int_equal(put(s, HOME, 21, NOW, digest), 0);
    assert_null(photo_store_find(s, OTHER, first));
    assert_int_equal(photo_store_count(s), 10);
    /* nor does it wait for ever; but while it is not known whose the box is, nothing goes */
    photo_store_expire(s, NULL, NOW + 2 * PHOTO_KEPT);
    photo_store_expire(s, HOME, NOW + PHOTO_KEPT);
    assert_int_equal(photo_store_count(s), 10);
    photo_store_expire(s, HOME, NOW + 2 * PHOTO_KEPT);
    assert_int_equal(photo_store_waiting(s), 2);
    assert_non_null(photo_store_find(s, HOME, digest));
    photo_store_free(s);
}

/* A gateway to a sender: it notes the offers, and says what the test tells it to. */
typedef struct Gateway {
    sd_event *event;
    PhotoStore *store;
    PhotoSender *sender;
    unsigned offers;
    char digest[SHA256_HEX_SIZE]; /* the last that was offered */
} Gateway;

static int on_sent(const char *text, size_t len, void *userdata)
{
    Gateway *g = userdata;
    _cleanup_(cJSON_Deletep) cJSON *m = cJSON_ParseWithLength(text, len);

    assert_string_equal(json_string(m, "type"), "photo.offer");
    assert_int_equal(strlen(json_string(m, "sha256")), SHA256_HEX_SIZE - 1);
    memcpy(g->digest, json_string(m, "sha256"), SHA256_HEX_SIZE);
    g->offers++;
    return 0;
}

static bool always(void *userdata)
{
    (void) userdata;
    return true;
}

static const char *home(void *userdata)
{
    (void) userdata;
    return HOME;
}

static void gateway_begin(Gateway *g, int photos)
{
    char digest[SHA256_HEX_SIZE];

    *g = (Gateway) { .store = store() };
    const PhotoSenderParts parts = { .store = g->store,
                                     .send = on_sent,
                                     .may_send = always,
                                     .community = home,
                                     .userdata = g,
                                     .look_interval = USEC_PER_MSEC,
                                     .answer_max = USEC_PER_MSEC };
    for (int i = 0; i < photos; i++)
        assert_int_equal(put(g->store, HOME, i, realtime_usec(), digest), 0);
    assert_true(sd_event_new(&g->event) >= 0);
    assert_int_equal(photo_sender_new(g->event, &parts, &g->sender), 0);
    photo_sender_tunnel_up(g->sender);
}

static void gateway_end(Gateway *g)
{
    photo_sender_free(g->sender);
    photo_store_free(g->store);
    sd_event_unref(g->event);
}

static void until_offers(Gateway *g, unsigned n)
{
    while (g->offers < n)
        assert_true(sd_event_run(g->event, USEC_PER_MINUTE) > 0);
}

/* Its timer is over, and no other is set: nothing happens any more. */
static void until_quiet(Gateway *g)
{
    while (sd_event_run(g->event, USEC_PER_SEC / 2) > 0)
        ;
}

static void say(Gateway *g, const char *state, const char *refusal)
{
    _cleanup_(freep) char *text =
        str_format("{\"type\":\"photo.state\",\"sha256\":\"%s\",\"state\":\"%s\",\"error\":{\"id\":\"%s\"}}", g->digest,
                   state, refusal);
    _cleanup_(cJSON_Deletep) cJSON *m = cJSON_Parse(text);

    assert_true(photo_sender_take(g->sender, m));
}

static void test_a_gateway_that_never_answers_is_left_alone(void **state)
{
    Gateway g;

    (void) state;
    gateway_begin(&g, 2);
    until_offers(&g, 1);
    until_quiet(&g);
    photo_sender_wake(g.sender);
    until_quiet(&g);
    assert_int_equal(g.offers, 1);
    photo_sender_tunnel_down(g.sender);
    photo_sender_tunnel_up(g.sender);
    until_offers(&g, 2);
    gateway_end(&g);
}

static void test_a_gateway_that_has_answered_may_be_silent(void **state)
{
    Gateway g;

    (void) state;
    gateway_begin(&g, 2);
    until_offers(&g, 1);
    say(&g, "stored", "");
    assert_int_equal(photo_store_waiting(g.store), 1);
    until_offers(&g, 4);
    say(&g, "stored", "");
    assert_int_equal(photo_store_waiting(g.store), 0);
    gateway_end(&g);
}

/* Answers the next offer with a refusal; the photo may be offered again at once. */
static void refuse_next(Gateway *g, const char *refusal)
{
    until_offers(g, g->offers + 1);
    say(g, "refused", refusal);
    Photo *p = photo_store_find(g->store, HOME, g->digest);
    if (p)
        p->not_before = 0;
}

static void test_bad_hours_of_a_gateway_use_up_no_patience(void **state)
{
    Gateway g;

    (void) state;
    gateway_begin(&g, 1);
    for (int i = 0; i < 150; i++)
        refuse_next(&g, "photo.unavailable");
    refuse_next(&g, "photo.unknown");
    refuse_next(&g, "photo.digest");
    assert_int_equal(photo_store_waiting(g.store), 1);
    refuse_next(&g, "photo.digest");
    assert_int_equal(photo_store_waiting(g.store), 0);
    gateway_end(&g);
}

static void until_gone(Gateway *g)
{
    while (photo_store_count(g->store) > 0)
        assert_true(sd_event_run(g->event, USEC_PER_MINUTE) > 0);
}

static void put_old_and_sent(Gateway *g, int i)
{
    char digest[SHA256_HEX_SIZE];

    assert_int_equal(put(g->store, HOME, i, realtime_usec() - PHOTO_KEPT - USEC_PER_MINUTE, digest), 0);
    photo_store_set_sent(g->store, photo_store_find(g->store, HOME, digest));
}

static void test_old_photos_go_without_a_tunnel(void **state)
{
    Gateway g = { .store = store() };
    const PhotoSenderParts parts = { .store = g.store,
                                     .send = on_sent,
                                     .may_send = always,
                                     .community = home,
                                     .userdata = &g,
                                     .expire_interval = USEC_PER_MSEC };

    (void) state;
    put_old_and_sent(&g, 1);
    assert_true(sd_event_new(&g.event) >= 0);
    assert_int_equal(photo_sender_new(g.event, &parts, &g.sender), 0);
    until_gone(&g);
    put_old_and_sent(&g, 2);
    until_gone(&g);
    assert_int_equal(g.offers, 0);
    gateway_end(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_what_was_taken_is_found_after_a_restart, clear_dir),
        cmocka_unit_test_teardown(test_a_folder_that_cannot_be_made_is_no_reason_not_to_start, clear_dir),
        cmocka_unit_test_teardown(test_what_is_no_photo, clear_dir),
        cmocka_unit_test_teardown(test_what_the_gateway_has_goes_first, clear_dir),
        cmocka_unit_test_teardown(test_a_damaged_file_is_not_shown, clear_dir),
        cmocka_unit_test_teardown(test_one_that_was_put_off_waits, clear_dir),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test_teardown(test_photos_of_a_former_community, clear_dir),
        cmocka_unit_test_teardown(test_a_gateway_that_never_answers_is_left_alone, clear_dir),
        cmocka_unit_test_teardown(test_a_gateway_that_has_answered_may_be_silent, clear_dir),
        cmocka_unit_test_teardown(test_bad_hours_of_a_gateway_use_up_no_patience, clear_dir),
        cmocka_unit_test_teardown(test_old_photos_go_without_a_tunnel, clear_dir),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
