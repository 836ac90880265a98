/* SPDX-License-Identifier: MIT */
/* GET /install/…: what new boxes are installed from, for anybody who asks: the installer's script, packages, the key that signs
 * them. Files of one folder, and never one outside of it, a hidden one, or one that not everybody on this machine may read. */
#pragma once

#include <stdbool.h>

#include "lib/base/error.h"
#include "lib/http/server.h"

typedef struct InstallFolder InstallFolder;

/* `path` is the folder, which may be swapped for another while we run, or NULL: there is nothing to install here. `issuer` is
 * the URL that boxes use; both are borrowed. config.install-dir: the path is not absolute, or there is no URL, or none that can
 * stand in a script. */
int install_folder_new(const char *path, const char *issuer, InstallFolder **ret, Error *err) _must_check_;
/* Not while one of its downloads is under way: after the server. NULL-safe. */
InstallFolder *install_folder_free(InstallFolder *d);

bool install_folder_has(const char *path);
/* Answers a request for such a path. */
void install_folder_serve(InstallFolder *d, HttpExchange *x);
