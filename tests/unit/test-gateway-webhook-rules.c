/* SPDX-License-Identifier: MIT */
/* How webhooks are signed and tried again, and which URLs and secrets are taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/webhooks/webhook-rules.h"
#include "lib/base/encode.h"
#include "lib/base/strv.h"
#include "lib/data/digest.h"

/* RFC 4231, test cases 2 and 6 */
static void test_hmac(void **state)
{
    uint8_t mac[SHA256_SIZE], key[131];
    static const char text[] = "Test Using Larger Than Block-Size Key - Hash Key First";

    (void) state;
    assert_int_equal(hmac_sha256("Jefe", 4, "what do ya want for nothing?", 28, mac), 0);
    _cleanup_(freep) char *short_key = hex_encode(mac, sizeof mac);
    assert_string_equal(short_key, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    assert_int_equal(hmac_sha256(key, sizeof key, text, strlen(text), mac), 0);
    _cleanup_(freep) char *long_key = hex_encode(mac, sizeof mac);
    assert_string_equal(long_key, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

/* the vector that the libraries of Standard Webhooks test themselves with */
static void test_signature(void **state)
{
    static const char body[] = "{\"test\": 2432232314}";
    _cleanup_(freep) char *signature = NULL;

    (void) state;
    assert_int_equal(webhook_sign("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330,
                                  body, strlen(body), &signature, NULL),
                     0);
    assert_string_equal(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

static void test_secrets(void **state)
{
    static const char *const bad[] = { "",
                                       "whsec_",
                                       "whsec_AAAA",
                                       "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                                       "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS",
                                       "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw ",
                                       "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS-" };
    _cleanup_(error_done) Error err = {};
    _cleanup_(freep) char *one = webhook_secret_make(), *other = webhook_secret_make();

    (void) state;
    assert_int_equal(webhook_secret_check(one, NULL), 0);
    assert_string_not_equal(one, other);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_true(webhook_secret_check(bad[i], NULL) < 0);
    assert_true(webhook_secret_check("whsec_secret", &err) < 0);
    assert_string_equal(error_id(&err), "webhook.bad-secret");
    assert_null(strstr(error_message(&err, -1), "whsec_secret"));
}

static void test_urls(void **state)
{
    static const char *const good[] = { "https://receiver.example/a?b=c", "https://receiver.example:8443",
                                        "http://localhost/", "http://127.0.0.1:8080/x", "http://[::1]:8080/" };
    static const char *const bad[] = { "http://receiver.example/",
                                       "http://localhost.example/",
                                       "http://127.0.0.1.example/",
                                       "http://127.example/",
                                       "http://[::2]/",
                                       "ftp://receiver.example/",
                                       "https://user:pw@receiver.example",
                                       "receiver.example",
                                       "https:///path",
                                       "https://receiver.example/\n" };
    _cleanup_(error_done) Error err = {};

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(good); i++)
        assert_int_equal(webhook_url_check(good[i], NULL), 0);
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_true(webhook_url_check(bad[i], NULL) < 0);
    assert_true(webhook_url_check("https://user:pw@receiver.example", &err) < 0);
    assert_string_equal(error_id(&err), "webhook.bad-url");
    assert_null(strstr(error_message(&err, -1), "pw"));
}

static void test_verdicts(void **state)
{
    static const struct {
        int status;
        WebhookVerdict verdict;
    } table[] = {
        { 200, WEBHOOK_TAKEN }, { 204, WEBHOOK_TAKEN }, { 299, WEBHOOK_TAKEN }, { 301, WEBHOOK_AGAIN },
        { 400, WEBHOOK_AGAIN }, { 404, WEBHOOK_AGAIN }, { 410, WEBHOOK_GONE },  { 429, WEBHOOK_AGAIN },
        { 500, WEBHOOK_AGAIN }, { 503, WEBHOOK_AGAIN }, { 0, WEBHOOK_AGAIN },   { 199, WEBHOOK_AGAIN },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        assert_int_equal(webhook_verdict(table[i].status), table[i].verdict);
}

/* The least and the most that randomness makes of it. */
static void check_wait(unsigned tries, usec_t middle)
{
    usec_t least = USEC_INFINITY, most = 0;

    for (uint64_t random = 0; random < 100000; random++) {
        usec_t wait = webhook_wait(tries, random * 0x9e3779b97f4a7c15, 0);

        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
    }
    assert_in_range(least, middle * 3 / 4, middle * 76 / 100);
    assert_in_range(most, middle * 124 / 100, middle * 5 / 4);
}

static void test_schedule(void **state)
{
    (void) state;
    check_wait(1, 5 * USEC_PER_SEC);
    check_wait(2, 10 * USEC_PER_SEC);
    check_wait(6, 160 * USEC_PER_SEC);
    check_wait(11, USEC_PER_HOUR);
    check_wait(4000000000U, USEC_PER_HOUR);
    check_wait(0, 5 * USEC_PER_SEC);
}

static void test_the_receivers_wish(void **state)
{
    (void) state;
    assert_int_equal(webhook_wait(1, 7, 600 * USEC_PER_SEC), 600 * USEC_PER_SEC);
    assert_int_equal(webhook_wait(1, 7, 1), webhook_wait(1, 7, 0));
    assert_int_equal(webhook_wait(1, 7, USEC_INFINITY), WEBHOOK_WAIT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_signature),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_verdicts),
        cmocka_unit_test(test_schedule),
        cmocka_unit_test(test_the_receivers_wish),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
