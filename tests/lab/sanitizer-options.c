/* SPDX-License-Identifier: MIT */
/* Linked into the sanitized programs: what the sanitizers find in a daemon must not depend on what its starter passed on in
 * the environment, nor on where its standard error goes. */

const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

#define OPTIONS "detect_leaks=1:log_exe_name=1:print_stacktrace=1:halt_on_error=1:log_path=" SANITIZER_LOGS "/report"

const char *__asan_default_options(void)
{
    return OPTIONS;
}

const char *__ubsan_default_options(void)
{
    return OPTIONS;
}
