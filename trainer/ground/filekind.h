/* SPDX-License-Identifier: Apache-2.0
 *
 * What a file is that is not what its name says: a Git LFS pointer, an archive, text in UTF-16, a
 * web page, a table of another program. Known by its first bytes.
 */
#ifndef RN_TRAINER_FILEKIND_H
#define RN_TRAINER_FILEKIND_H

#include "base/bytes.h"

/* Words for "this is ...", with what to do about it; NULL for all that Rondo may read. start holds
 * the first bytes of the file, a few hundred where it has so many. */
const char *rn_file_kind(struct rn_view start);

#endif
