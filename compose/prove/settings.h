/* SPDX-License-Identifier: MIT */
/* Pure: does a container, as podman inspects it, have the settings that its service asks for? */
#pragma once

#include "compose/model/service-key.h"

/* 0 when all agree; 1 with a new sentence in *ret that names the first setting that differs (never a value of the
 * environment); negative errno. Compared: every environment variable that was asked for, that no variable of the
 * container holds "${", command, published ports, mounts, networks, restart policy, user, privileged. A
 * container that is kept still mounts what a link among its sources led to when the container was made. */
int settings_compare(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *inspected,
                     char **ret) _must_check_;

/* Columns of compose/service-keys.c. */
int compare_command(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                    char **ret) _must_check_;
int compare_environment(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                        char **ret) _must_check_;
int compare_mounts(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                   char **ret) _must_check_;
int compare_network_mode(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                         char **ret) _must_check_;
int compare_networks(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                     char **ret) _must_check_;
int compare_ports(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                  char **ret) _must_check_;
int compare_privileged(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                       char **ret) _must_check_;
int compare_restart(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                    char **ret) _must_check_;
int compare_user(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                 char **ret) _must_check_;
int compare_ipc(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                char **ret) _must_check_;
int compare_logging(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                    char **ret) _must_check_;
int compare_pid(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                char **ret) _must_check_;
int compare_runtime(const ComposeService *s, const ComposeProject *p, const ProofFacts *facts, const cJSON *info,
                    char **ret) _must_check_;
