/* SPDX-License-Identifier: MIT */
/* The bytes of each kind of frame: tests/golden/mux says what they are, and both directions must agree with it. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/base/fileio.h"
#include "lib/base/limits.h"
#include "lib/base/strv.h"
#include "lib/mux/frame.h"
#include "lib/mux/ring.h"

#define FOLDER "tests/golden/mux"
#define VECTOR_MAX 1024

typedef struct Vector {
    bool refused;
    unsigned kind, flags;
    unsigned long stream;
    unsigned long long position;
    size_t payload, len;
    uint8_t bytes[VECTOR_MAX];
} Vector;

/* One line of fields, or of bytes behind the line "bytes". */
static void parse_line(Vector *v, const char *line, bool *in_bytes)
{
    if (*in_bytes) {
        unsigned byte;
        int n;
        for (; sscanf(line, "%2x%n", &byte, &n) == 1; line += n) {
            assert_true(v->len < VECTOR_MAX);
            v->bytes[v->len++] = (uint8_t) byte;
        }
        return;
    }
    if (str_equal(line, "refused"))
        v->refused = true;
    else if (str_equal(line, "bytes"))
        *in_bytes = true;
    else if (line[0] != '#' && sscanf(line, "kind %u", &v->kind) + sscanf(line, "flags %u", &v->flags) +
                                       sscanf(line, "stream %lu", &v->stream) +
                                       sscanf(line, "position %llu", &v->position) +
                                       sscanf(line, "payload %zu", &v->payload) !=
                                   1)
        fail_msg("what is \"%s\"?", line);
}

static Vector vector_read(const char *name)
{
    _cleanup_(freep) char *path = str_format(FOLDER "/%s", name);
    _cleanup_(freep) char *text = NULL;
    Error err = {};
    Vector v = {};
    bool in_bytes = false;
    if (file_read(path, 64 * 1024, &text, NULL, &err) < 0)
        fail_msg("%s", err.message);
    if (text[0] != '#')
        fail_msg("%s does not say what it is", path);
    char *rest = text;
    for (char *line; (line = strsep(&rest, "\n"));)
        if (*line)
            parse_line(&v, line, &in_bytes);
    assert_true(in_bytes);
    return v;
}

static void check_good(const char *name, const Vector *v)
{
    uint8_t header[MUX_HEADER_SIZE];
    MuxFrame f = {};
    Error err = {};
    if (mux_frame_decode(v->bytes, v->len, &f, &err) < 0)
        fail_msg("%s: %s", name, err.message);
    assert_int_equal(f.kind, v->kind);
    assert_int_equal(f.flags, v->flags);
    assert_int_equal(f.stream, v->stream);
    assert_true(f.position == v->position);
    assert_int_equal(f.len, v->payload);
    assert_ptr_equal(f.data, v->bytes + MUX_HEADER_SIZE);
    mux_frame_encode(&f, header);
    assert_memory_equal(header, v->bytes, sizeof header);
}

static void check_bad(const char *name, const Vector *v)
{
    MuxFrame f = {};
    Error err = {};
    uint8_t *exact = malloc(v->len + 1);
    assert_non_null(exact);
    memcpy(exact + 1, v->bytes, v->len);
    if (mux_frame_decode(exact + 1, v->len, &f, &err) != -EPROTO)
        fail_msg("%s is taken", name);
    assert_string_equal(err.id, "mux.protocol");
    error_done(&err);
    free(exact);
}

static void test_golden(void **state)
{
    unsigned good = 0, bad = 0, kinds = 0;
    (void) state;
    DIR *dir = opendir(FOLDER);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir));) {
        if (!str_ends(entry->d_name, ".hex"))
            continue;
        Vector v = vector_read(entry->d_name);
        assert_int_equal(v.refused, str_starts(entry->d_name, "bad-"));
        (v.refused ? check_bad : check_good)(entry->d_name, &v);
        if (!v.refused)
            kinds |= 1U << v.kind;
        good += !v.refused;
        bad += v.refused;
    }
    closedir(dir);
    assert_int_equal(kinds, (1U << _MUX_FRAME_KINDS) - 2);
    assert_true(good >= 12 && bad >= 22);
}

/* What is too long for a file of bytes. */
static void test_largest(void **state)
{
    static const struct {
        MuxKind kind;
        size_t max;
    } cases[] = { { MUX_FRAME_DATA, MUX_FRAME_DATA_MAX },
                  { MUX_FRAME_OPEN, MUX_OPEN_MAX },
                  { MUX_FRAME_RESUME, MUX_RESUME_MAX } };
    uint8_t *bytes = calloc(1, MUX_HEADER_SIZE + MUX_FRAME_DATA_MAX + 1);
    (void) state;
    assert_non_null(bytes);
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        MuxFrame f = { .kind = cases[i].kind, .stream = 1 };
        Error err = {};
        mux_frame_encode(&f, bytes);
        assert_int_equal(mux_frame_decode(bytes, MUX_HEADER_SIZE + cases[i].max, &f, &err), 0);
        assert_int_equal(f.len, cases[i].max);
        assert_int_equal(mux_frame_decode(bytes, MUX_HEADER_SIZE + cases[i].max + 1, &f, &err), -EPROTO);
        error_done(&err);
    }
    free(bytes);
}

static void test_numbers(void **state)
{
    static const uint8_t bytes[8] = { 0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef };
    uint8_t to[8];
    (void) state;
    assert_true(mux_get_u64(bytes) == UINT64_C(0x0123456789abcdef));
    mux_put_u64(to, UINT64_C(0x0123456789abcdef));
    assert_memory_equal(to, bytes, 8);
}

static void test_ring(void **state)
{
    MuxRing r = {};
    uint8_t in = 0, out = 0;
    size_t n;
    (void) state;
    assert_null(mux_ring_reserve(&r, 100, 0, 5000, &n));
    /* in and out by different steps, so that it wraps around anywhere, and grows to its end */
    for (unsigned round = 0; round < 4000; round++) {
        uint8_t *to = mux_ring_reserve(&r, 1 + round % 700, 5000 - r.len, 5000, &n);
        assert_true((to != NULL) == (r.len < 5000));
        assert_true(r.cap <= 5000 && n <= r.cap - r.len);
        if (n > 1 + round % 700)
            n = 1 + round % 700;
        for (size_t i = 0; i < n; i++)
            to[i] = in++;
        mux_ring_commit(&r, n);
        for (size_t left = r.len < round % 500 ? r.len : round % 500; left > 0; left -= n) {
            const uint8_t *from = mux_ring_peek(&r, 0, &n);
            n = n < left ? n : left;
            for (size_t i = 0; i < n; i++)
                assert_int_equal(from[i], out++);
            mux_ring_drop(&r, n);
        }
    }
    assert_int_equal(r.cap, 5000);
    mux_ring_drop(&r, r.len);
    assert_int_equal(r.cap, 5000);

    /* it gives back what it has too much when that is asked for, if it is much, and all when it is empty */
    assert_non_null(mux_ring_reserve(&r, 1000000, 1000000, 1000000, &n));
    mux_ring_commit(&r, 1000000);
    mux_ring_drop(&r, 700000);
    mux_ring_fit(&r);
    assert_int_equal(r.cap, 1000000);
    mux_ring_drop(&r, 240000);
    mux_ring_fit(&r);
    assert_int_equal(r.cap, 60000);
    mux_ring_drop(&r, 60000);
    mux_ring_fit(&r);
    assert_null(r.data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_ring),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
