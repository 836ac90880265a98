/* SPDX-License-Identifier: MIT */
/* Devices, their bootstrap tokens and their keys. Where `labels` is asked for, an object, only what is about boxes with all of them
 * is found; NULL: about any. The same holds for the other tables. */
#pragma once

#include "lib/postgres/rows.h"
#include "lib/postgres/statement.h"

/* What every answer about a device holds, pairs of a JSON object, over a row of devices. */
#define DEVICE_COMMON                                                                                                  \
    "'id', id, 'labels', labels, 'createdAt', secbox_time(created_at), 'createdBy', created_by,"                       \
    " 'blocked', blocked, 'agentVersion', agent_version, 'lastSeenAt', secbox_time(last_seen_at),"                     \
    " 'state', status->'state', 'current', status->'current', 'sealKey', status->'sealKey'"

/* What is asked about devices answers with 0 id and 1 the device as JSON. */
Statement sql_devices(const char *labels);
/* With its deployment and its keys. */
Statement sql_device(const char *id);
/* 0 whether all of these, a JSON array of ids, are there and have the labels, and nobody has pushed the archive with this digest
 * yet; NULL: that is not asked. */
Statement sql_devices_reached(const char *ids, const char *labels, const char *unused_bundle);

typedef struct NewDevice {
    const char *id;
    const char *labels; /* a JSON object */
    const char *actor;
    const char *bootstrap_hash;
    unsigned bootstrap_hours;
} NewDevice;

/* Also 2 whether it is blocked, and 3 when its bootstrap token expires. No row when there is such a device already. */
Statement sql_device_add(const NewDevice *d);
/* A new bootstrap token in place of the one before; `labels` is not read. The same columns; no row: no such device. */
Statement sql_device_renew_bootstrap(const NewDevice *d);
/* Also 2 whether it is blocked. */
Statement sql_device_set_blocked(const char *id, bool blocked, const char *actor);

/* Of `labels`, those that are null are taken away. No row: no such device, or more than labels_max of them then. */
Statement sql_device_relabel(const char *id, const char *labels, unsigned labels_max, const char *actor);
/* With all that hangs on it, but not what is in the audit log. 0 id; no row: no such device. */
Statement sql_device_remove(const char *id, const char *actor);

/* What the boxes say of themselves. */
Statement sql_device_status(const char *id, const char *status, const char *agent_version);
/* The keys of one of its sshds, `host` or `recovery`, a JSON array; other ones than before are an alarm. Answers with 0 id,
 * 1 the sshd, 2 whether it had others; no row: no such device. */
Statement sql_device_host_keys(const char *id, const char *sshd, const char *keys);
Statement sql_device_seen(const char *id);

/* Forgets the key of one role, and makes the bootstrap token void, by which it could be claimed again. Answers with 0 id, 1 the
 * device as JSON, 2 the role; no row: no such device; NULL as 2: it has no such key. */
Statement sql_device_key_revoke(const char *id, const char *role, const char *actor);
/* What has to be known to let boxes in: 0 id, 1 whether it is blocked, 2 its host keys, a JSON object, 3 the
 * keys that its management key has named, likewise, NULL while it never has; 0 device, 1 role,
 * 2 thumbprint. */
Statement sql_devices_known(void);
Statement sql_device_keys(void);

/* Those that are not blocked and have all of these labels: 0 id, 1 labels. */
Statement sql_devices_labelled(const char *labels);

/* A bootstrap token that was not replaced, and what has been claimed in its role. */
typedef struct BootstrapRow {
    const char *id;
    const char *thumbprint; /* of the role's present key; NULL: nobody has claimed it */
    bool expired, blocked;
    bool used;       /* by that key */
    bool of_another; /* the box was let in with another key; in other roles: its key has not claimed mgmt yet */
} BootstrapRow;

Statement sql_bootstrap(const char *device, const char *hash, const char *role, const char *thumbprint);
/* Borrows from rows. */
BootstrapRow bootstrap_row(const StoreRows *rows);

typedef struct NewDeviceKey {
    const char *device, *role, *thumbprint, *jwk;
    const char *bootstrap; /* id of the token that it came with */
} NewDeviceKey;

/* 0 device: none when a key of the same bootstrap token is there. The management key of a box that is set up anew ends every other
 * key of the box, where its agent has vouched for them; a key of another role is in the audit log as
 * `claim.legacy-bootstrap`. Also 1 and 2 whether a key of `device` or `recovery` has ended. */
Statement sql_device_key_register(const NewDeviceKey *k);
/* The same for a key that the box's management key has named, without a bootstrap token (`bootstrap` is not read): none when
 * it is not named any more. */
Statement sql_device_key_register_vouched(const NewDeviceKey *k);
/* The management key names keys: an object of thumbprints by role, its own as that of `mgmt`; what it does not name stays as it
 * was, and one that an operator has revoked is left out. Other keys of these roles end. 0 id, 1 and 2 the keys of `device` and
 * `recovery` that are named now, 3 and 4 whether another key of those roles has ended; no row: no such device, or it has another
 * management key. */
Statement sql_device_vouch(const char *id, const char *keys);
