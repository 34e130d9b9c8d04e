// SPDX-License-Identifier: Apache-2.0
#include "core/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *data)
{
    if (data == NULL) {
        fputs("cxsink: out of memory, stopping; nothing that the spool holds is lost\n", stderr);
        abort();
    }
    return data;
}

void *mem_alloc(size_t size)
{
    return checked(malloc(size ? size : 1));
}

void *mem_zalloc(size_t size)
{
    return checked(calloc(1, size ? size : 1));
}

void *mem_realloc(void *old, size_t size)
{
    return checked(realloc(old, size ? size : 1));
}

void *mem_realloc_array(void *old, size_t count, size_t size)
{
    return checked(reallocarray(old, count ? count : 1, size ? size : 1));
}

char *mem_strdup(const char *text)
{
    return checked(strdup(text));
}

char *mem_strndup(const char *text, size_t length)
{
    return checked(strndup(text, length));
}

char *mem_printf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = NULL;
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return checked(text);
}

void mem_wipe(void *data, size_t size)
{
    explicit_bzero(data, size);
}

void mem_wipe_free(char **secret)
{
    if (*secret == NULL)
        return;
    mem_wipe(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}
