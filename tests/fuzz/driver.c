/* SPDX-License-Identifier: Apache-2.0
 *
 * Runs a fuzz target as a plain program: every file of its corpus folder, and of each file a fixed
 * number of seeded mutations (bit flips, cuts, repeats, lying integers). Deterministic, so a
 * failure is a regression.
 *
 *   fuzz_x CORPUS_FOLDER [ROUNDS]      ROUNDS defaults to 300, or 20000 with RONDO_LONG
 *
 * The same target links with libFuzzer instead of this file: cmake -DRN_FUZZ=ON with clang.
 */
#include "base/alloc.h"
#include "base/file.h"
#include "base/guard.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX ((size_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void flip_or_set(uint8_t *data, size_t size, uint64_t *state)
{
    const size_t at = (size_t)(next_random(state) % size);
    static const uint8_t special[] = {0x00, 0xff, 0x7f, 0x80, '"', '{', ',', '\n'};
    switch (next_random(state) % 3) {
    case 0:
        data[at] ^= (uint8_t)(1u << (next_random(state) & 7));
        break;
    case 1:
        data[at] = special[next_random(state) % sizeof(special)];
        break;
    default:
        memset(data + at, special[next_random(state) % 4], size - at < 8 ? size - at : 8);
        break;
    }
}

/* The target reads from memory of exactly the input's size, so that a byte too far is found. */
static void run_copy(const uint8_t *data, size_t size)
{
    uint8_t *exact = malloc(size > 0 ? size : 1);
    if (exact == NULL) {
        return;
    }
    if (size > 0) {
        memcpy(exact, data, size);
    }
    (void)LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

static void run_mutations(const uint8_t *data, size_t size, unsigned rounds)
{
    uint64_t state = 0x9e3779b97f4a7c15u ^ size;
    uint8_t *work = malloc(size * 2 + 1);
    for (unsigned i = 0; work != NULL && size > 0 && i < rounds; i++) {
        size_t length = size;
        memcpy(work, data, size);
        const unsigned edits = 1 + (unsigned)(next_random(&state) % 4);
        for (unsigned k = 0; k < edits && length > 0; k++) {
            flip_or_set(work, length, &state);
        }
        if (next_random(&state) % 4 == 0 && length > 0) {
            length = (size_t)(next_random(&state) % length);
        } else if (next_random(&state) % 8 == 0) {
            memcpy(work + length, data, size);
            length += (size_t)(next_random(&state) % (size + 1));
        }
        run_copy(work, length);
    }
    free(work);
}

static unsigned run_file(const char *folder, const char *name, unsigned rounds)
{
    char path[RN_PATH_MAX];
    RN_CLEANUP(rn_buffer_clear) struct rn_buffer in = {0};
    if (name[0] == '.' || !rn_is_ok(rn_path_join(path, folder, name, NULL)) ||
        !rn_is_ok(rn_file_read(path, INPUT_MAX, &in, NULL))) {
        return 0;
    }
    run_copy(in.data, in.length);
    run_mutations(in.data, in.length, rounds);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        (void)fprintf(stderr, "usage: %s CORPUS_FOLDER [ROUNDS]\n", argv[0]);
        return 64;
    }
    unsigned rounds = getenv("RONDO_LONG") != NULL ? 20000 : 300;
    if (argc > 2) {
        rounds = (unsigned)strtoul(argv[2], NULL, 10);
    }
    run_copy((const uint8_t *)"", 0);
    DIR *folder = opendir(argv[1]);
    if (folder == NULL) {
        (void)fprintf(stderr, "%s: no such corpus folder\n", argv[1]);
        return 66;
    }
    unsigned files = 0;
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        files += run_file(argv[1], entry->d_name, rounds);
    }
    (void)closedir(folder);
    (void)printf("%u corpus files, %u mutations each\n", files, rounds);
    return files > 0 ? 0 : 1;
}
