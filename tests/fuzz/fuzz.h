// SPDX-License-Identifier: Apache-2.0
// For the fuzz targets, tests/fuzz/NAME_fuzz.c: each defines fuzz_one(), which aborts when
// something does not hold. `make fuzz` links it with libFuzzer, `make check` with replay.c, which
// runs it over the committed corpus, tests/fuzz/corpus/NAME/. Both run at the top of the source
// tree.
#ifndef CXSINK_TESTS_FUZZ_H
#define CXSINK_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// One input; what is beyond its size must not be read. The name is libFuzzer's.
#define fuzz_one LLVMFuzzerTestOneInput
int fuzz_one(const uint8_t *data, size_t size);

// What must hold for every input.
#define FUZZ_CHECK(condition, ...)                                          \
    do {                                                                    \
        if (!(condition)) {                                                 \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                   \
            fputc('\n', stderr);                                            \
            abort();                                                        \
        }                                                                   \
    } while (0)

// Bytes in an allocation of exactly their size, so that the address sanitizer sees a read beyond.
static inline char *fuzz_copy(const void *data, size_t size)
{
    char *copy = malloc(size != 0 ? size : 1);
    if (size != 0)
        memcpy(copy, data, size);
    return copy;
}

// The same as a text, ended at its first NUL.
static inline char *fuzz_text(const void *data, size_t size)
{
    char *copy = malloc(size + 1);
    if (size != 0)
        memcpy(copy, data, size);
    copy[size] = '\0';
    return copy;
}

// Takes what stands before the first line feed (all of it, when there is none) off the front.
struct fuzz_piece {
    const char *data;
    size_t size;
};
static inline struct fuzz_piece fuzz_line(struct fuzz_piece *rest)
{
    struct fuzz_piece line = *rest;
    const char *end = rest->size == 0 ? NULL : memchr(rest->data, '\n', rest->size);
    if (end != NULL)
        line.size = (size_t)(end - rest->data);
    size_t taken = line.size + (end != NULL);
    rest->data += taken;
    rest->size -= taken;
    return line;
}

#endif
