/* SPDX-License-Identifier: MIT */
/* See services-file.h. */
#include "mgmt-agent/state/services-file.h"

#include "lib/base/boot-id.h"
#include "lib/base/strv.h"
#include "mgmt-agent/state/state-file.h"

#define SERVICES_FILE "services.json"

static const JsonField trouble_fields[] = {
    { JSON_FIELD(ServiceTrouble, what, "what") },
    { JSON_TIME_FIELD(ServiceTrouble, since, "since") },
    { JSON_TIME_FIELD(ServiceTrouble, until, "until") },
    { JSON_FIELD(ServiceTrouble, exit_code, "exitCode") },
    { JSON_FIELD(ServiceTrouble, restarts, "restarts") },
    { JSON_FIELD(ServiceTrouble, error, "error") },
    { JSON_FIELD(ServiceTrouble, cut_off, "cutOff") },
    { JSON_FIELD(ServiceTrouble, log, "log") },
    {},
};
static const JsonType trouble_type = JSON_TYPE(ServiceTrouble, trouble_fields);

static const JsonField status_fields[] = {
    { JSON_FIELD(ServiceStatus, name, "name") },
    { JSON_FIELD(ServiceStatus, state, "state") },
    { JSON_TIME_FIELD(ServiceStatus, since, "since") },
    { JSON_OBJECT_FIELD(ServiceStatus, trouble, "trouble", &trouble_type) },
    { JSON_FIELD(ServiceStatus, id, "id") },
    { JSON_FIELD(ServiceStatus, tries, "tries") },
    { JSON_FIELD(ServiceStatus, recreated, "recreated") },
    {},
};
static const JsonType status_type = JSON_TYPE(ServiceStatus, status_fields);

static const JsonField file_fields[] = {
    { JSON_LIST_FIELD(ServicesFile, services, "services", &status_type) },
    { JSON_LIST_FIELD(ServicesFile, removed, "removed", &status_type) },
    { JSON_FIELD(ServicesFile, boot_id, "bootId") },
    {},
};
static const JsonType file_type = JSON_TYPE(ServicesFile, file_fields);

/* What did not help before a boot may help behind it. */
static void forget_tries(ServicesFile *f)
{
    _cleanup_(freep) char *boot_id = boot_id_read();

    if (!f->boot_id || !boot_id || str_equal(f->boot_id, boot_id))
        return;
    for (size_t i = 0; i < f->n_services; i++)
        f->services[i].tries = 0;
}

void services_file_load(ServicesFile *ret)
{
    if (state_load(SERVICES_FILE, &file_type, ret, NULL) < 0)
        services_file_done(ret);
    forget_tries(ret);
}

int services_file_save(const ServicesFile *f, Error *err)
{
    _cleanup_(freep) char *boot_id = boot_id_read();
    ServicesFile now = *f;

    now.boot_id = boot_id;
    return state_save(SERVICES_FILE, &file_type, &now, err);
}

void services_file_done(ServicesFile *f)
{
    json_done(&file_type, f);
}

cJSON *service_statuses_to_json(const ServiceStatus *services, size_t n)
{
    return json_write_list(&status_type, services, n);
}
