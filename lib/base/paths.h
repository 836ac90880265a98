/* SPDX-License-Identifier: MIT */
/* Where things are on a box. One prefix (--root or SECBOX_ROOT) moves them all. */
#pragma once

#include "lib/base/mem.h"

#define ETC_DIR "/etc/tucomunidad"
#define STATE_DIR "/var/lib/tucomunidad"
#define RUN_DIR "/run/tucomunidad"

#define AGENT_ENV_PATH ETC_DIR "/mgmt-agent.env"
#define SECBOX_ENV_PATH ETC_DIR "/secbox.env"
#define POLICY_PATH ETC_DIR "/policy.json"
/* whose orders count: lib/data/order-signers.h; nothing else below trust/ has a say in that */
#define SIGNERS_DIR ETC_DIR "/trust/signers"
/* where host folders of containers are, unless policy.json opens others */
#define VOLUMES_DIR STATE_DIR "/volumes"
/* the main service's /run/secbox as the host sees it, with its heartbeat; and the parent of such a folder for each
 * other service */
#define SECBOX_SERVICE "secbox"
#define SECBOX_RUN_DIR RUN_DIR "/secbox"
/* in it, for the container, which does not see them: the host's private addresses, one a line */
#define HOST_ADDRESSES_NAME "addresses"
#define SERVICES_RUN_DIR RUN_DIR "/services"
#define AGENT_STATE_DIR STATE_DIR "/mgmt-agent"
/* the names of the services that are deployed, for recovery-agent: see mgmt-agent/agent/service-names.c */
#define SERVICE_NAMES_PATH RUN_DIR "/service-names"
#define SERVICE_NAMES_HEAD "secbox-services 1"
/* a package update: see lib/data/agent-update.h; and what each agent says of itself for the other, when it is new */
#define AGENT_UPDATE_DIR STATE_DIR "/agent-update"
#define AGENT_UPDATE_JOURNAL AGENT_UPDATE_DIR "/journal"
#define AGENT_PROOF_PATH AGENT_UPDATE_DIR "/agent-proof"
#define AGENT_REACHED_PATH AGENT_UPDATE_DIR "/agent-reached"
#define RECOVERY_PROOF_PATH RUN_DIR "/recovery/recovery-proof"
#define RECOVERY_REACHED_PATH RUN_DIR "/recovery/recovery-reached"
/* host mode: the data plane's releases (lib/data/release-folder.h), and what was done with them last */
#define RELEASE_DIR "/opt/tucomunidad"
#define RELEASE_STATE_DIR STATE_DIR "/release"
#define LINK_STATE_DIR STATE_DIR "/mgmt-link"
/* the files that came with snapshots, see mgmt-agent/state/bundle-store.h: as mgmt-link fetched them, as they were unpacked, and
 * what containers mount of them */
#define LINK_BUNDLES_DIR LINK_STATE_DIR "/bundles"
#define BUNDLES_DIR AGENT_STATE_DIR "/bundles"
/* lib/data/ssh-revocations.h, as each of the two agents has it of the gateway; installer/recovery/recovery-sshd.sh reads them */
#define AGENT_REVOCATIONS_PATH AGENT_STATE_DIR "/ssh-revocations"
#define RECOVERY_REVOCATIONS_PATH STATE_DIR "/recovery/ssh-revocations"
/* this box's own: secrets that come through the cloud are sealed to it (lib/data/seal.h) */
#define SEAL_KEY_PATH AGENT_STATE_DIR "/seal.key"
/* with the digits of its digest behind it: an archive that secboxctl leaves for the job that it asks for */
#define LOCAL_BUNDLE_NAME "local-"
#define LOCAL_BUNDLE BUNDLES_DIR "/" LOCAL_BUNDLE_NAME
#define FILES_DIR STATE_DIR "/files"
/* the text of mgmt-agent.env with which mgmt-link came through last */
#define LINK_KEPT_ENV "kept.env"
#define AGENT_SOCKET_PATH RUN_DIR "/mgmt-agent.sock"
#define LINK_RUN_DIR RUN_DIR "/mgmt-link"
/* since when (CLOCK_BOOTTIME, in microseconds) mgmt-link has no tunnel, or that it has one; absent until it says */
#define LINK_DOWN_PATH LINK_RUN_DIR "/down-since"
#define LINK_TUNNEL_UP "up"
/* the public half of the recovery sshd's host key, as installer/recovery/recovery-sshd.sh writes it */
#define RECOVERY_HOST_KEY_PATH RUN_DIR "/recovery-sshd/host_key.pub"
/* who is logged in (lib/tunnel/sessions-file.h), each in a folder that its writer owns; the last is the container
 * secbox's */
#define LINK_SESSIONS_PATH LINK_RUN_DIR "/sessions.json"
#define RECOVERY_SESSIONS_PATH RUN_DIR "/recovery/sessions.json"
#define SECBOX_SESSIONS_PATH RUN_DIR "/secbox/sessions.json"
/* what a program cannot take of its configuration (lib/data/config-fault.h), likewise in its own folder */
#define CONFIG_FAULT_NAME "config-fault.json"
#define AGENT_FAULT_PATH RUN_DIR "/" CONFIG_FAULT_NAME
#define LINK_FAULT_PATH LINK_RUN_DIR "/" CONFIG_FAULT_NAME
#define RECOVERY_FAULT_PATH RUN_DIR "/recovery/" CONFIG_FAULT_NAME
#define SECBOX_FAULT_PATH SECBOX_RUN_DIR "/" CONFIG_FAULT_NAME
/* the thumbprint of its key, for mgmt-agent to vouch for (lib/tunnel/voucher.h), likewise in its own folder */
#define KEY_OFFER_NAME "key-offer"
#define RECOVERY_KEY_OFFER_PATH RUN_DIR "/recovery/" KEY_OFFER_NAME
#define SECBOX_KEY_OFFER_PATH SECBOX_RUN_DIR "/" KEY_OFFER_NAME
/* "SERVER BOOT": a time of the gateway's and CLOCK_BOOTTIME then, in microseconds; what doctor judges the clock by */
#define GATEWAY_TIME_PATH RUN_DIR "/recovery/gateway-time"
/* there while the box may be paired: secbox-pairing runs then */
#define PAIRING_MARKER RUN_DIR "/pairing-open"
/* the fingerprint of the authority of the guards' pages, as secbox tells it */
#define LAN_AUTHORITY_NAME "lan-authority"
#define LAN_AUTHORITY_PATH SECBOX_RUN_DIR "/" LAN_AUTHORITY_NAME
/* how relay-client is (lib/data/relay-state.h), and the service that it is */
#define RELAY_SERVICE "relay-client"
#define RELAY_STATE_PATH SERVICES_RUN_DIR "/" RELAY_SERVICE "/state.json"
#define SECBOX_SOCKET_PATH RUN_DIR "/secbox/control.sock"

/* Sets the prefix; NULL or "" means none ("/" too). Call once, early; if it is never called, SECBOX_ROOT counts. */
void paths_set_root(const char *root);
const char *paths_root(void);

/* PREFIX + path: a new string, or NULL when out of memory. */
char *path_in_root(const char *path);
/* a + "/" + b */
char *path_join(const char *a, const char *b);
