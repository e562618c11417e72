/* SPDX-License-Identifier: Apache-2.0
 *
 * A fuzz input as a file that exists in memory only, for parsers that take a path.
 */
#ifndef RN_TESTS_MEMORYFILE_H
#define RN_TESTS_MEMORYFILE_H

#include "base/bytes.h"

#include <sys/mman.h>
#include <unistd.h>

/* Puts "/proc/self/fd/N" into out_path; the caller closes the descriptor. -1 when it cannot be
 * made. */
static inline int memory_file(const uint8_t *data, size_t size, char out_path[static 64])
{
    const int descriptor = memfd_create("fuzz", MFD_CLOEXEC);
    size_t done = 0;

    while (descriptor >= 0 && done < size) {
        const ssize_t written = write(descriptor, data + done, size - done);
        if (written <= 0) {
            break;
        }
        done += (size_t)written;
    }
    (void)rn_text_format(out_path, 64, "/proc/self/fd/%d", descriptor);
    return descriptor;
}

#endif
