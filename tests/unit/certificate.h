/* SPDX-License-Identifier: MIT */
/* Certificates for tests that speak TLS, by openssl's program and none of our code. */
#pragma once

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/base/strv.h"
#include "lib/event/process.h"

#define NEW_KEY "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"
#define OPENSSL(folder, ...) run_openssl(folder, (const char *const[]) { "/usr/bin/openssl", __VA_ARGS__, NULL })

/* In the folder. */
static inline void run_openssl(const char *folder, const char *const *argv)
{
    ProcessSpec spec = { .argv = argv, .cwd = folder, .timeout_usec = 10 * USEC_PER_MINUTE };
    ProcessResult result = {};

    assert_true(process_run(&spec, NULL, NULL, &result, NULL) >= 0);
    if (result.status != 0)
        fail_msg("%s", result.err);
    process_result_done(&result);
}

/* names: "DNS:localhost,IP:127.0.0.1" */
static inline void make_self_signed(const char *folder, const char *key, const char *cert, const char *names)
{
    _cleanup_(freep) char *extension = str_format("subjectAltName=%s", names);

    assert_non_null(extension);
    OPENSSL(folder, "req", "-x509", NEW_KEY, "-keyout", key, "-out", cert, "-days", "2", "-subj", "/CN=test", "-addext",
            extension);
}
