/* SPDX-License-Identifier: MIT */
#include "lib/http/answer-head.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/base/clock.h"

static const char *status_text(int status)
{
    static const struct {
        int status;
        const char *text;
    } table[] = {
        { 200, "OK" },
        { 201, "Created" },
        { 202, "Accepted" },
        { 204, "No Content" },
        { 206, "Partial Content" },
        { 304, "Not Modified" },
        { 400, "Bad Request" },
        { 401, "Unauthorized" },
        { 403, "Forbidden" },
        { 404, "Not Found" },
        { 405, "Method Not Allowed" },
        { 408, "Request Timeout" },
        { 409, "Conflict" },
        { 410, "Gone" },
        { 412, "Precondition Failed" },
        { 413, "Content Too Large" },
        { 415, "Unsupported Media Type" },
        { 416, "Range Not Satisfiable" },
        { 417, "Expectation Failed" },
        { 422, "Unprocessable Content" },
        { 426, "Upgrade Required" },
        { 429, "Too Many Requests" },
        { 431, "Request Header Fields Too Large" },
        { 500, "Internal Server Error" },
        { 501, "Not Implemented" },
        { 502, "Bad Gateway" },
        { 503, "Service Unavailable" },
        { 504, "Gateway Timeout" },
        { 505, "HTTP Version Not Supported" },
    };
    for (size_t i = 0; i < ELEMENTSOF(table); i++)
        if (table[i].status == status)
            return table[i].text;
    return "Status";
}

void http_date_print(uint64_t seconds, char ret[static HTTP_DATE_SIZE])
{
    static const char days[] = "SunMonTueWedThuFriSat", months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t at = (time_t) seconds;
    struct tm tm = {};
    (void) gmtime_r(&at, &tm);
    (void) snprintf(ret, HTTP_DATE_SIZE, "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT", days + 3 * (tm.tm_wday % 7),
                    tm.tm_mday, months + 3 * (tm.tm_mon % 12), (tm.tm_year + 1900) % 10000, tm.tm_hour, tm.tm_min,
                    tm.tm_sec);
}

/* Of this second: made once in each. */
static const char *date_now(void)
{
    static char text[HTTP_DATE_SIZE];
    static uint64_t of;
    uint64_t now = realtime_usec() / USEC_PER_SEC;

    if (now != of || !*text)
        http_date_print(of = now, text);
    return text;
}

static bool header_is_safe(const char *line)
{
    bool colon = false;

    for (const char *p = line; *p; p++) {
        if (((unsigned char) *p < 0x20 && *p != '\t') || *p == 0x7f)
            return false;
        colon |= *p == ':';
    }
    return colon;
}

int answer_head_write(Buf *out, int status, const char *content_type, uint64_t len, bool keep_alive,
                      const char *const *headers)
{
    int r = buf_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, status_text(status), date_now());
    if (r >= 0 && len == HTTP_LENGTH_UNKNOWN)
        r = buf_puts(out, "Transfer-Encoding: chunked\r\n");
    else if (r >= 0 && status != 204 && status != 304)
        r = buf_printf(out, "Content-Length: %llu\r\n", (unsigned long long) len);
    if (r >= 0 && content_type && len > 0)
        r = buf_printf(out, "Content-Type: %s\r\n", content_type);
    if (r >= 0 && !keep_alive)
        r = buf_puts(out, "Connection: close\r\n");
    for (; r >= 0 && headers && *headers; headers++)
        if (header_is_safe(*headers) && (r = buf_puts(out, *headers)) >= 0)
            r = buf_puts(out, "\r\n");
    return r >= 0 ? buf_puts(out, "\r\n") : r;
}
