/* SPDX-License-Identifier: Apache-2.0
 *
 * Days of the Gregorian calendar as YYYY-MM-DD and as a count since 1970-01-01 (UTC), for the dates
 * of invitations and certificates. Pure: no clock, no time zone, no locale.
 */
#ifndef RN_BASE_CALENDAR_H
#define RN_BASE_CALENDAR_H

#include "base/result.h"

#define RN_DAY_MS (UINT64_C(24) * 3600 * 1000)
#define RN_DATE_MAX 2932896u /* 9999-12-31 */

/* Exactly YYYY-MM-DD, years 1970 to 9999; false when it is not such a day. */
RN_MUST bool rn_date_parse(const char *text, uint32_t *out_days);
/* out holds 11 characters. days above RN_DATE_MAX is a bug. */
void rn_date_format(char out[static 11], uint32_t days);

#endif
