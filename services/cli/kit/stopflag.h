/* SPDX-License-Identifier: Apache-2.0
 *
 * The first signal that should end a command only raises a flag, so that the command can put things
 * in order: end its children, write a checkpoint, remove its files. A second one ends it at once.
 */
#ifndef RN_SERVICES_CLI_KIT_STOPFLAG_H
#define RN_SERVICES_CLI_KIT_STOPFLAG_H

#include <stdbool.h>

/* From here on SIGINT, SIGTERM and SIGHUP. */
void rn_stop_catch(void);
bool rn_stopped(void);
/* Signals end the process again, as they do by themselves. */
void rn_stop_release(void);

#endif
