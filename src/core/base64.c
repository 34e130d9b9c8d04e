// SPDX-License-Identifier: Apache-2.0
#include "core/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void encode_last(const unsigned char *p, size_t left, char *out)
{
    unsigned second = left == 2 ? p[1] : 0;
    out[0] = alphabet[p[0] >> 2];
    out[1] = alphabet[(p[0] & 3) << 4 | second >> 4];
    out[2] = left == 2 ? alphabet[(second & 15) << 2] : '=';
    out[3] = '=';
}

void base64_encode(const void *data, size_t length, char *out)
{
    const unsigned char *p = data;
    for (; length >= 3; p += 3, length -= 3, out += 4) {
        uint32_t word = (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
        out[0] = alphabet[word >> 18];
        out[1] = alphabet[word >> 12 & 63];
        out[2] = alphabet[word >> 6 & 63];
        out[3] = alphabet[word & 63];
    }
    if (length > 0)
        encode_last(p, length, out);
}
