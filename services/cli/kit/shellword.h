/* SPDX-License-Identifier: Apache-2.0
 *
 * Words for a shell, in the commands that are printed for a person to copy.
 */
#ifndef RN_SERVICES_CLI_KIT_SHELLWORD_H
#define RN_SERVICES_CLI_KIT_SHELLWORD_H

#include "base/file.h"

#define RN_SHELL_WORD_MAX (4 * RN_PATH_MAX)

/* text as one word: as it is, or in single quotes where it holds anything but letters, digits and
 * the characters %+,-./:=@_. Returns out; a text that does not fit is cut. */
const char *rn_shell_word(const char *text, char out[static RN_SHELL_WORD_MAX]);

#endif
