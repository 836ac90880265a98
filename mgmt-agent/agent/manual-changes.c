/* SPDX-License-Identifier: MIT */
/* inotify(7) on the folders where podman keeps its lists, pidfd_open(2) on the containers' first processes. */

#include "mgmt-agent/agent/manual-changes.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/base/limits.h"
#include "lib/base/log.h"
#include "lib/base/strv.h"
#include "lib/base/proc.h"

typedef struct ManualProcess {
    int fd;
    sd_event_source *source;
} ManualProcess;

struct ManualChanges {
    sd_event *event;
    manual_changes_t on_change;
    void *userdata;
    sd_event_source *containers, *images, *gone;
    char *containers_path;
    ManualProcess processes[COMPOSE_SERVICES_MAX];
    size_t n_processes;
};

static void forget_processes(ManualChanges *h)
{
    for (size_t i = 0; i < h->n_processes; i++) {
        sd_event_source_disable_unref(h->processes[i].source);
        close(h->processes[i].fd);
    }
    h->n_processes = 0;
}

ManualChanges *manual_changes_free(ManualChanges *h)
{
    if (!h)
        return NULL;
    forget_processes(h);
    sd_event_source_disable_unref(h->containers);
    sd_event_source_disable_unref(h->images);
    sd_event_source_disable_unref(h->gone);
    free(h->containers_path);
    sd_event_unref(h->event);
    free(h);
    return NULL;
}

static int on_gone(sd_event_source *source, void *userdata)
{
    ManualChanges *h = userdata;

    (void) source;
    h->on_change(true, h->userdata);
    return 0;
}

int manual_changes_new(sd_event *event, manual_changes_t on_change, void *userdata, ManualChanges **ret)
{
    _cleanup_(manual_changes_freep) ManualChanges *h = calloc(1, sizeof(*h));
    int r;

    if (!h)
        return -ENOMEM;
    *h = (ManualChanges) { .event = sd_event_ref(event), .on_change = on_change, .userdata = userdata };
    r = sd_event_add_defer(event, &h->gone, on_gone, h);
    if (r >= 0)
        r = sd_event_source_set_enabled(h->gone, SD_EVENT_OFF);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(h);
    return 0;
}

/* The lists are replaced by renaming; locks and layers beside them come and go all the time. */
static int on_file(sd_event_source *source, const struct inotify_event *event, void *userdata)
{
    ManualChanges *h = userdata;

    (void) source;
    if (event->len > 0 && (str_equal(event->name, "containers.json") || str_equal(event->name, "images.json")))
        h->on_change(false, h->userdata);
    return 0;
}

static int on_process(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    ManualChanges *h = userdata;

    (void) fd;
    (void) revents;
    (void) sd_event_source_set_enabled(source, SD_EVENT_OFF);
    h->on_change(true, h->userdata);
    return 0;
}

/* GRAPHROOT/DRIVER-containers of GRAPHROOT/DRIVER-containers/ID/userdata; a new string or NULL. */
static char *containers_folder(const Current *current)
{
    const char *folder = current && current->n_services > 0 ? current->services[0].static_dir : NULL;
    _cleanup_(freep) char *path = folder ? strdup(folder) : NULL;

    for (int level = 0; path && level < 2; level++) {
        char *slash = strrchr(path, '/');

        if (!slash || slash == path)
            return NULL;
        *slash = '\0';
    }
    return path && str_ends(path, "-containers") ? TAKE_PTR(path) : NULL;
}

static void follow_folders(ManualChanges *h, const Current *current)
{
    _cleanup_(freep) char *containers = containers_folder(current);
    _cleanup_(freep) char *images = NULL;
    int r;

    if (!containers || str_equal(containers, h->containers_path))
        return;
    images = str_format("%.*s-images", (int) (strlen(containers) - strlen("-containers")), containers);
    h->containers = sd_event_source_disable_unref(h->containers);
    h->images = sd_event_source_disable_unref(h->images);
    r = sd_event_add_inotify(h->event, &h->containers, containers, IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR, on_file,
                             h);
    if (r >= 0 && images)
        r = sd_event_add_inotify(h->event, &h->images, images, IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR, on_file, h);
    if (r < 0)
        log_debug("Cannot watch podman's lists at %s: %s", containers, strerror(-r));
    free(h->containers_path);
    h->containers_path = TAKE_PTR(containers);
}

/* -ESRCH when it is not the process that was proved. */
static int follow_process(ManualChanges *h, pid_t pid, uint64_t ticks)
{
    ManualProcess *p = &h->processes[h->n_processes];
    int fd = (int) syscall(SYS_pidfd_open, pid, 0u), r;

    if (fd < 0)
        return -errno;
    r = process_start_ticks(pid) == ticks ? sd_event_add_io(h->event, &p->source, fd, EPOLLIN, on_process, h) : -ESRCH;
    if (r < 0) {
        close(fd);
        return r;
    }
    p->fd = fd;
    h->n_processes++;
    return 0;
}

void manual_changes_follow(ManualChanges *h, const Current *current)
{
    bool gone = false;

    forget_processes(h);
    follow_folders(h, current);
    for (size_t i = 0; current && i < current->n_services; i++) {
        const CurrentService *s = &current->services[i];

        if (current_service_runs(s) && s->pid > 0 && h->n_processes < ELEMENTSOF(h->processes) &&
            follow_process(h, s->pid, s->start_ticks) == -ESRCH)
            gone = true;
    }
    if (gone)
        (void) sd_event_source_set_enabled(h->gone, SD_EVENT_ONESHOT);
}
