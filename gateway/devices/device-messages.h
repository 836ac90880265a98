/* SPDX-License-Identifier: MIT */
/* What boxes say in their tunnels. */
#pragma once

#include "gateway/devices/device-connection.h"

/* Reads a message and hands it on: what is about the connection is dealt with here, then the listeners get it. */
void device_conn_message(DeviceConn *s, const char *text, size_t len);
/* Before the connection goes: writes what is known of the box. */
void device_conn_save_last_word(DeviceConn *s);
