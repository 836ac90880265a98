/* SPDX-License-Identifier: MIT */
/* Two machines with the key of one box (the copy of its disk) push each other out, and people land on either. */
#pragma once

#include "gateway/devices/device-connection-impl.h"

/* `s` is about to take the place of `older`. Raises the alarm "device.cloned" when they are two machines. */
void clone_alarm_compare(DeviceConn *s, const DeviceConn *older);
