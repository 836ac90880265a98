/* SPDX-License-Identifier: MIT */
/* Some space that is given up when the disk is full, so that the journal can always be written: without it a change could
 * neither be kept nor be taken back. */
#pragma once

/* Makes the file if it is not there. Failure is not reported: then there is just no space in reserve. */
void reserve_make(void);
/* Gives the space up. 0 when there was some, -ENOENT when not. */
int reserve_release(void);
