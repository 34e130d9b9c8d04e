// SPDX-License-Identifier: Apache-2.0
// Allocation that cannot fail: out of memory ends the process with one line on stderr. Everything
// that counts is in the spool by then, and the service manager starts a fresh process.
#ifndef CXSINK_CORE_MEM_H
#define CXSINK_CORE_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_zalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *old, size_t size) __attribute__((returns_nonnull));
// count * size with an overflow check; contents of `old` are kept.
void *mem_realloc_array(void *old, size_t count, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *text) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *text, size_t length) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *format, ...)
    __attribute__((malloc, returns_nonnull, format(printf, 1, 2)));

// Overwrites with zeros in a way that the compiler keeps (secrets).
void mem_wipe(void *data, size_t size);
// Wipes, frees and sets NULL a NUL-terminated secret; NULL is fine.
void mem_wipe_free(char **secret);

#endif
