/* SPDX-License-Identifier: MIT */
/* What takes a while to find out about a machine, for health.report. */

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/log.h"
#include "lib/base/paths.h"
#include "lib/base/strv.h"
#include "lib/event/process.h"
#include "mgmt-agent/health/host-values.h"
#include "mgmt-agent/health/smart.h"
#include "mgmt-agent/worker/jobs/jobs.h"
#include "mgmt-agent/worker/phases/report.h"

#define SMARTCTL "/usr/sbin/smartctl"
#define SMART_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define DISKS_MAX 16

/* Of the kernel's block devices, those that may be disks with a mind of their own. */
static bool is_disk(const char *name)
{
    static const char *const others[] = { ".", "loop", "ram", "zram", "dm-", "md", "sr", "nbd", "fd", "zd" };

    for (size_t i = 0; i < ELEMENTSOF(others); i++)
        if (str_starts(name, others[i]))
            return false;
    return true;
}

/* The exit status is bits about the disk, and its words say the same better. A disk that does not wake up for this goes on
 * sleeping. */
static int ask_disk(const char *smartctl, const char *name, cJSON *all)
{
    _cleanup_(freep) char *device = str_format("/dev/%s", name);
    const char *argv[] = { smartctl, "--json", "-n", "standby", "-H", "-A", device, NULL };
    ProcessSpec spec = { .argv = argv, .cwd = "/", .timeout_usec = SMART_TIMEOUT_USEC, .keep_with_parent = true };
    _cleanup_(process_result_done) ProcessResult result = {};
    _cleanup_(cJSON_Deletep) cJSON *answer = NULL;
    cJSON *disk;

    if (!device || process_run(&spec, NULL, NULL, &result, NULL) < 0 || result.timed_out || !result.out ||
        json_parse_object(result.out, strlen(result.out), &answer, NULL) < 0)
        return 0;
    disk = smart_read(answer);
    if (disk && !disk->child) {
        cJSON_Delete(disk);
        return 0;
    }
    return json_add_item(all, name, disk);
}

/* Absent where smartmontools is not installed, or no disk says anything. */
static int add_smart(cJSON *o)
{
    _cleanup_(freep) char *smartctl = path_in_root(SMARTCTL);
    cJSON *all = cJSON_CreateObject();
    DIR *dir = smartctl && access(smartctl, X_OK) == 0 ? opendir("/sys/block") : NULL;
    const struct dirent *entry;
    int r = all ? 0 : -ENOMEM;

    for (unsigned n = 0; r == 0 && dir && n < DISKS_MAX && (entry = readdir(dir));)
        if (is_disk(entry->d_name)) {
            r = ask_disk(smartctl, entry->d_name, all);
            n++;
        }
    if (dir)
        closedir(dir);
    if (r < 0 || !all->child) {
        cJSON_Delete(all);
        return r;
    }
    return json_add_item(o, "smart", all);
}

static int add_store(Deploy *d, cJSON *o)
{
    _cleanup_(error_done) Error err = {};
    cJSON *store = NULL;
    int r = box_open_again(&d->box, d->options->podman_compose, &err);

    if (r == 0)
        r = podman_store(d->box.podman, &store, &err);
    if (r == 0)
        return json_add_item(o, "podmanStore", store);
    log_failure(LOG_LEVEL_WARNING, NULL, &err, r, "Podman's store cannot be measured");
    return 0;
}

/* mgmt-agent itself may not ask the kernel. */
static int add_clock(cJSON *o)
{
    int synchronised = host_clock_is_synchronised();
    cJSON *clock = synchronised < 0 ? NULL : cJSON_AddObjectToObject(o, "clock");

    if (synchronised < 0)
        return 0;
    return clock ? json_add_bool(clock, "synchronised", synchronised > 0) : -ENOMEM;
}

/* Prints {"type": "worker.health", "podmanStore": {…}, "smart": {…}, "clock": {…}}; what cannot be found out is absent. */
int job_health(Deploy *d, const cJSON *request)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();

    (void) request;
    if (!o || json_add_string(o, "type", "worker.health") < 0 || add_clock(o) < 0 || add_smart(o) < 0 ||
        add_store(d, o) < 0)
        return 1;
    report_emit(o);
    return 0;
}
