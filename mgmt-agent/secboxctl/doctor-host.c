/* SPDX-License-Identifier: MIT */
/* doctor: the machine's time synchronisation and its time zone. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/fileio.h"
#include "lib/cli/finding-clock.h"
#include "mgmt-agent/secboxctl/doctor.h"

#define LOCALTIME "/etc/localtime"

void check_time_sync(Doctor *d, Finding *f)
{
    (void) d;
    finding_of_time_sync(f);
}

void check_time_zone(Doctor *d, Finding *f)
{
    struct stat link, st;
    char magic[4] = "";

    (void) d;
    if (lstat(LOCALTIME, &link) < 0) {
        finding_pass(f, "UTC");
        return;
    }
    int fd = open(LOCALTIME, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool good = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
                read(fd, magic, sizeof(magic)) == sizeof(magic) && memcmp(magic, "TZif", sizeof(magic)) == 0;
    closep(&fd);
    if (good) {
        finding_pass(f, "%s is a time zone", LOCALTIME);
        return;
    }
    finding_set(f, VERDICT_FAIL, "Or the zone in which the box stands (`timedatectl list-timezones`).",
                "%s leads to no time zone, so times are shown in UTC and containers that mount it do not start",
                LOCALTIME);
    f->since = (usec_t) link.st_mtim.tv_sec * USEC_PER_SEC;
    finding_remedy(f, "timedatectl set-timezone UTC");
}
