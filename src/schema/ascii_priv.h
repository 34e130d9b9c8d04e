// SPDX-License-Identifier: Apache-2.0
// Classes of ASCII characters, whatever the locale.
#ifndef CXSINK_SCHEMA_ASCII_PRIV_H
#define CXSINK_SCHEMA_ASCII_PRIV_H

#include <stdbool.h>
#include <string.h>

static inline bool ascii_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline bool ascii_is_alpha(char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static inline bool ascii_is_alnum(char c)
{
    return ascii_is_alpha(c) || ascii_is_digit(c);
}

static inline bool ascii_is_hex(char c)
{
    return ascii_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static inline bool ascii_is_in(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

#endif
