/* SPDX-License-Identifier: MIT */
/* Measures what a connection can do, from one end of a tunnel to the other.
 *   pace serve                      listens on 127.0.0.1, prints the port; greets as an sshd does, which a bridge waits for;
 *                                   then the first byte of a connection says what it does:
 *                                   e echoes, s swallows everything and says how much it was, g gives for ever
 *   pace flood PORT s|g SECONDS     Mbit/s towards the server, or from it
 *   pace ping PORT SECONDS EVERY    64 bytes there and back for so long, each EVERY ms at the earliest: the median, the 99th
 *                                   percentile and the longest, in µs */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/strv.h"

#define PIECE ((size_t) 128 * 1024)
#define PING_SIZE 64
#define PINGS_MAX 1000000
#define BITS_PER_BYTE 8
#define WARM_UP (200 * USEC_PER_MSEC)

static char piece[PIECE];
static const char greeting[] = "SSH-2.0-pace\r\n";

static int fail(const char *what)
{
    perror(what);
    return 1;
}

static int write_all(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = write(fd, p, len);
        if (n <= 0)
            return -1;
        p += n;
        len -= (size_t) n;
    }
    return 0;
}

static int read_all(int fd, void *data, size_t len)
{
    char *p = data;
    while (len > 0) {
        ssize_t n = read(fd, p, len);
        if (n <= 0)
            return -1;
        p += n;
        len -= (size_t) n;
    }
    return 0;
}

static void no_delay(int fd)
{
    int yes = 1;
    (void) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static void serve_one(int fd)
{
    char what = 0;
    uint64_t total = 0;
    ssize_t n;
    no_delay(fd);
    if (write_all(fd, greeting, sizeof greeting - 1) < 0 || read_all(fd, &what, 1) < 0)
        return;
    if (what == 'g')
        while (write_all(fd, piece, PIECE) == 0)
            ;
    while ((n = read(fd, piece, PIECE)) > 0) {
        total += (uint64_t) n;
        if (what == 'e' && write_all(fd, piece, (size_t) n) < 0)
            return;
    }
    if (what == 's')
        (void) write_all(fd, &total, sizeof total);
}

static int serve(void)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t len = sizeof addr;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *) &addr, sizeof addr) < 0 || listen(listener, 16) < 0 ||
        getsockname(listener, (struct sockaddr *) &addr, &len) < 0)
        return fail("pace: listening");
    (void) signal(SIGCHLD, SIG_IGN);
    (void) printf("%d\n", ntohs(addr.sin_port));
    (void) fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            return fail("pace: accepting");
        if (fork() == 0) {
            (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
            close(listener);
            serve_one(fd);
            _exit(0);
        }
        close(fd);
    }
}

static int connect_to(uint64_t port)
{
    struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons((uint16_t) port) };
    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *) &addr, sizeof addr) < 0)
        return -1;
    no_delay(fd);
    char got[sizeof greeting - 1];
    return read_all(fd, got, sizeof got) < 0 ? -1 : fd;
}

static double mbits(uint64_t bytes, usec_t time)
{
    return (double) bytes * BITS_PER_BYTE / (double) time;
}

/* Until the other end says that it has everything. */
static int flood_towards(int fd, usec_t duration)
{
    uint64_t total = 0;
    usec_t start = boottime_usec();
    while (boottime_usec() - start < duration)
        if (write_all(fd, piece, PIECE) < 0)
            return fail("pace: writing");
    if (shutdown(fd, SHUT_WR) < 0 || read_all(fd, &total, sizeof total) < 0)
        return fail("pace: waiting for the count");
    (void) printf("%.1f\n", mbits(total, boottime_usec() - start));
    return 0;
}

static int flood_from(int fd, usec_t duration)
{
    uint64_t total = 0;
    usec_t start = boottime_usec() + WARM_UP, now;
    ssize_t n;
    while ((n = read(fd, piece, PIECE)) > 0) {
        now = boottime_usec();
        if (now < start)
            continue;
        total += (uint64_t) n;
        if (now - start >= duration) {
            (void) printf("%.1f\n", mbits(total, now - start));
            return 0;
        }
    }
    return fail("pace: reading");
}

static int flood(uint64_t port, const char *what, uint64_t seconds)
{
    int fd = connect_to(port);
    if (fd < 0 || write_all(fd, what, 1) < 0)
        return fail("pace: connecting");
    return *what == 's' ? flood_towards(fd, seconds * USEC_PER_SEC) : flood_from(fd, seconds * USEC_PER_SEC);
}

static int compare(const void *a, const void *b)
{
    const usec_t x = *(const usec_t *) a, y = *(const usec_t *) b;
    return (x > y) - (x < y);
}

static int ping(uint64_t port, uint64_t seconds, uint64_t every)
{
    char message[PING_SIZE] = {};
    _cleanup_(freep) usec_t *took = calloc(PINGS_MAX, sizeof *took);
    int fd = connect_to(port);
    if (!took || fd < 0 || write_all(fd, "e", 1) < 0)
        return fail("pace: connecting");
    usec_t next = boottime_usec(), until = next + seconds * USEC_PER_SEC;
    size_t count = 0;
    while (count < PINGS_MAX && (count == 0 || next < until)) {
        usec_t start = boottime_usec();
        if (write_all(fd, message, sizeof message) < 0 || read_all(fd, message, sizeof message) < 0)
            return fail("pace: echo");
        usec_t end = boottime_usec();
        took[count++] = end - start;
        next += every * USEC_PER_MSEC;
        if (next > end)
            (void) usleep((useconds_t) (next - end));
        else
            next = end;
    }
    qsort(took, count, sizeof *took, compare);
    (void) printf("%llu %llu %llu\n", (unsigned long long) took[count / 2], (unsigned long long) took[count * 99 / 100],
                  (unsigned long long) took[count - 1]);
    return 0;
}

int main(int argc, char **argv)
{
    uint64_t port = 0, n = 0, every = 0;
    (void) signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && str_equal(argv[1], "serve"))
        return serve();
    if (argc == 5 && str_to_u64(argv[2], 1, UINT16_MAX, &port) >= 0) {
        if (str_equal(argv[1], "flood") && (str_equal(argv[3], "s") || str_equal(argv[3], "g")) &&
            str_to_u64(argv[4], 1, 3600, &n) >= 0)
            return flood(port, argv[3], n);
        if (str_equal(argv[1], "ping") && str_to_u64(argv[3], 0, 3600, &n) >= 0 &&
            str_to_u64(argv[4], 0, 1000, &every) >= 0)
            return ping(port, n, every);
    }
    (void) fprintf(stderr, "usage: pace serve | pace flood PORT s|g SECONDS | pace ping PORT SECONDS EVERY\n");
    return 2;
}
