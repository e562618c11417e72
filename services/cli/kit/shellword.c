/* SPDX-License-Identifier: Apache-2.0
 *
 * Quoting.
 */
#include "services/cli/kit/shellword.h"

#include "base/bytes.h"

#include <string.h>

const char *rn_shell_word(const char *text, char out[static RN_SHELL_WORD_MAX])
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "%+,-./:=@_";
    size_t length = 0;
    if (text[0] != '\0' && strspn(text, plain) == strlen(text)) {
        (void)rn_text_format(out, RN_SHELL_WORD_MAX, "%s", text);
        return out;
    }
    out[length++] = '\'';
    for (const char *c = text; *c != '\0' && length + 6 < RN_SHELL_WORD_MAX; c++) {
        const char *piece = *c == '\'' ? "'\\''" : NULL;
        (void)(piece != NULL ? rn_text_format(out + length, RN_SHELL_WORD_MAX - length, "%s", piece)
                             : rn_text_format(out + length, RN_SHELL_WORD_MAX - length, "%c", *c));
        length += piece != NULL ? strlen(piece) : 1;
    }
    out[length++] = '\'';
    out[length] = '\0';
    return out;
}
