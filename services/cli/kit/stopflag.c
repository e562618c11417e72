/* SPDX-License-Identifier: Apache-2.0
 *
 * A handler that does nothing but raise the flag.
 */
#include "services/cli/kit/stopflag.h"

#include "base/guard.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t stopped;

static void on_signal(int number)
{
    (void)number;
    stopped = 1;
}

static void set_handler(struct sigaction action)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    (void)sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < RN_ARRAY_LENGTH(numbers); i++) {
        (void)sigaction(numbers[i], &action, NULL);
    }
}

void rn_stop_catch(void)
{
    set_handler((struct sigaction){.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND});
}

void rn_stop_release(void)
{
    set_handler((struct sigaction){.sa_handler = SIG_DFL});
}

bool rn_stopped(void)
{
    return stopped != 0;
}
