/* SPDX-License-Identifier: MIT */
/* Everything that a peer or an input can make us allocate, in one place. Bytes unless the name says otherwise. */
#pragma once

/* facts: untrusted-input caps */
#define YAML_SIZE_MAX (256 * 1024)
#define YAML_DEPTH_MAX 32
#define YAML_EVENTS_MAX 10000

#define JSON_SIZE_MAX (1024 * 1024)
#define JSON_DEPTH_MAX 32
#define JSON_VALUES_MAX 131072 /* values, each about 80 bytes of tree */

#define ENV_FILE_SIZE_MAX (256 * 1024)
#define ENV_KEY_MAX 64
#define ENV_NAME_MAX 255
#define ENV_VALUE_MAX 4096
#define ENV_KEYS_MAX 1024
#define LAN_RATE_MAX 1000 /* requests a second that LAN_RATE may allow */
#define LAN_CERTIFICATE_NAMES_MAX 16
#define LAN_CERTIFICATE_MAX ((size_t) 48 * 1024) /* the message that carries it is smaller than 64 KiB */

#define COMPOSE_SERVICES_MAX 64
#define PROJECTS_MAX 32         /* beside the box's own */
#define PROJECTS_REMOVED_MAX 32 /* whose history is kept */
#define COMPOSE_RENDERED_MAX (1024 * 1024)
#define INTERPOLATE_DEPTH_MAX 16
#define INTERPOLATE_RESULT_MAX (64 * 1024)

/* the files that travel with a compose file: their archive, what is in it, how many, and the name of one */
#define BUNDLE_SIZE_MAX (8 * 1024 * 1024)
#define BUNDLE_CONTENT_MAX (32 * 1024 * 1024)
#define BUNDLE_FILES_MAX 2000
#define BUNDLE_PATH_MAX 512
/* a release of the data plane, which is one of our programs and what they bring along: its archive, and what is in it; both are on
 * disk alone */
#define RELEASE_SIZE_MAX ((size_t) 256 * 1024 * 1024)
#define RELEASE_CONTENT_MAX ((size_t) 1024 * 1024 * 1024)

#define HTTP_HEADER_MAX 8192
#define HTTP_HEADERS_COUNT_MAX 64
#define HTTP_BODY_MAX (1024 * 1024)
#define HTTP_HANDSHAKES_MAX 256 /* TLS handshakes under way, 50 KB each */
/* bodies that are arriving at one time: of known peers, of all others, and of these from one address */
#define HTTP_BODIES_KNOWN_MAX ((size_t) 64 * 1024 * 1024)
#define HTTP_BODIES_STRANGERS_MAX ((size_t) 32 * 1024 * 1024)
#define HTTP_BODIES_CALLER_MAX ((size_t) 256 * 1024)

/* a tunnel message carries a compose file inside JSON, hence twice the YAML cap and some room */
#define WS_FRAME_MAX (1024 * 1024)
#define WS_MESSAGE_MAX (1024 * 1024)
#define WS_FRAGMENTS_MAX 1024
#define TUNNEL_QUEUE_BYTES_MAX (4 * 1024 * 1024)
#define TUNNEL_QUEUE_MESSAGES_MAX 256

/* streams in a tunnel (mux.h); windows are also what a sender may have to keep for replay */
#define MUX_STREAMS_MAX 16
#define MUX_OPEN_MAX 4096
#define MUX_FRAME_DATA_MAX 16384
#define MUX_FRAME_DATA_ALONE (MUX_FRAME_DATA_MAX - 32) /* what is sent: with both headers it fills one TLS record */
#define MUX_FRAME_DATA_SHARED 4096                     /* while several streams are active */
#define MUX_WINDOW_INITIAL (256 * 1024)
#define MUX_WINDOW_MAX (4 * 1024 * 1024)
#define MUX_SESSION_MAX_BOX (4 * 1024 * 1024)
#define MUX_SESSION_MAX_GATEWAY (4 * 1024 * 1024)
#define MUX_NOTSENT_LOWAT 8192
#define BRIDGE_SESSIONS_MAX 8
#define CAMERA_STREAMS_MAX 6                          /* of one box's tunnel, beside those sessions */
#define CAMERA_PICTURE_MAX ((size_t) 2 * 1024 * 1024) /* one JPEG */
/* Pictures of enrolled faces: of one, and of a part on its way to a box. */
#define FACE_BYTES_MAX ((size_t) 512 * 1024)
#define FACE_PART_SIZE 24576                     /* 32,768 bytes as Base64 */
#define PLAYLIST_SIZE_MAX ((size_t) 1024 * 1024) /* of a recording */
#define MEDIA_SESSIONS_MAX 8                     /* people who see a box's recordings at the same time */
#define RECORDING_STREAMS_MAX 6                  /* of one box's tunnel, beside those of cameras */
#define MEDIA_UPLINK_KBIT_DEFAULT 8000
#define CAMERA_UPLINK_KBIT_DEFAULT 4000
#define CAMERA_UPLINK_KBIT_MAX 1000000
/* services' logs that people read on a box at the same time, and for how long and how far back they can */
#define LOG_READERS_MAX 4
#define LOG_HOURS_MAX 12
#define LOG_TAIL_MAX 10000
#define LOG_TAIL_DEFAULT 200
#define LOG_LINE_MAX (16 * 1024)
#define SESSIONS_FILE_MAX (256 * 1024)

#define CONTROL_LINE_MAX (1024 * 1024 + 4096)
#define CONTROL_CLIENTS_MAX 32

/* of the page by which a box is paired, while it may be */
#define PAIRING_PORT 8080

/* how long a job of the worker may take; a first deployment over a bad link pulls gigabytes */
#define WORKER_HOURS_MAX 6

/* how long a change may wait for its confirmation: seconds */
#define CONFIRM_SECONDS_DEFAULT 300
#define CONFIRM_SECONDS_MIN 5 /* that the gateway takes */
#define CONFIRM_SECONDS_MAX 3600

/* how long a service may stay stopped by hand before that is an alarm */
#define STOP_ALARM_DEFAULT_USEC (24ULL * 3600 * 1000 * 1000)

#define JWT_SIZE_MAX 4096
#define REDACT_SECRETS_MAX 256

#define PROCESS_LINE_MAX 8192
#define PROCESS_OUTPUT_MAX (256 * 1024)

#define PODMAN_RESPONSE_MAX (4 * 1024 * 1024)

/* what a registry and its token server may send; the OCI allows manifests up to 4 MiB, real ones have a few KiB */
#define IMAGE_NAME_MAX 512
#define REGISTRY_MANIFEST_MAX (1024 * 1024)
#define REGISTRY_TOKEN_ANSWER_MAX (64 * 1024)
#define REGISTRY_TOKEN_MAX (16 * 1024)
#define REGISTRY_REDIRECTS_MAX 5
#define REGISTRY_HOST_CONNECTIONS_MAX 6
#define REGISTRY_CONF_SIZE_MAX (256 * 1024)
#define REGISTRY_CONF_TABLES_MAX 256
#define REGISTRY_MIRRORS_MAX 8 /* of one registry that are asked: the first ones */
#define REGISTRY_CA_SIZE_MAX (512 * 1024)

/* community data that wait for the database of a box: messages, and as much again that waits for a snapshot */
#define REPLICA_MESSAGES_MAX 512
#define REPLICA_BYTES_MAX (16 * 1024 * 1024)
/* of messages that are applied with another in one transaction: together about what a single one may have */
#define REPLICA_BATCH_BYTES_MAX (512 * 1024)

/* events on their way to the cloud: one event's data, what is written together, and all that wait in the database, for so many
 * days of running */
#define QUEUE_EVENT_MAX (32 * 1024)
#define QUEUE_BATCH_MAX 1024
#define QUEUE_BATCH_BYTES_MAX (4 * 1024 * 1024)
#define QUEUE_MB_DEFAULT 256
#define QUEUE_MB_MAX 65536
#define QUEUE_DAYS_DEFAULT 180
#define QUEUE_DAYS_MAX 3650
/* when it is a fault that the community's data are old */
#define DATA_OLD_HOURS_DEFAULT 24
#define DATA_OLD_HOURS_MAX 8760

#define GATEWAY_CONNECTIONS_MAX 20000
/* of them, those of nobody that is known; over TLS each has 15 KB */
#define GATEWAY_STRANGERS_MAX 8192
#define GATEWAY_STRANGER_BODY_MAX (16 * 1024) /* a claim, a refresh */
#define GATEWAY_QUERIES_MAX 1024
/* connections that have not proved who they are; beyond that the oldest is closed */
#define GATEWAY_CHALLENGES_MAX 1024
#define HELLO_SIZE_MAX 8192

/* bridge SSH: a grant, and what may be open at once */
#define GRANT_REASON_MAX 400
#define CHANGE_REASON_MAX 500 /* of a push or a rollout */
#define GRANT_SECONDS_MAX 86400
#define BRIDGE_SESSIONS_DEVICE_MAX 4
#define BRIDGE_SESSIONS_PERSON_MAX 16
#define BRIDGE_SESSIONS_BREAK_GLASS 2 /* more of each */
#define BRIDGE_GREETING_MAX (64 * 1024)

/* rollouts at the gateway; how many may be open at once, each with its boxes in memory */
#define ROLLOUT_GROUPS_MAX 16
#define ROLLOUT_PARALLEL_MAX 1000
#define ROLLOUTS_OPEN_MAX 32

/* a relay provider's visitors at one time, with the pool of connections that wait for one; those under way to it; and what is
 * taken from one side while the other side is slow: reading stops above HIGH and goes on below LOW */
#define RELAY_CHANNELS_MAX 256
#define RELAY_DIALS_MAX 16
#define RELAY_WANTED_MAX 1024
#define RELAY_QUEUE_HIGH ((size_t) 64 * 1024)
#define RELAY_QUEUE_LOW ((size_t) 16 * 1024)
#define RELAY_QUEUE_MAX ((size_t) 256 * 1024)
