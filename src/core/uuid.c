// SPDX-License-Identifier: Apache-2.0
#include "core/uuid.h"

#include "core/hash.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static struct uuid mark(struct uuid id, unsigned version)
{
    id.bytes[6] = (unsigned char)((id.bytes[6] & 0x0f) | (version << 4));
    id.bytes[8] = (unsigned char)((id.bytes[8] & 0x3f) | 0x80);
    return id;
}

struct uuid uuid_random(void)
{
    struct uuid id;
    if (getrandom(id.bytes, sizeof(id.bytes), 0) != (ssize_t)sizeof(id.bytes))
        abort(); // cannot happen for 16 bytes once the pool is seeded (getrandom(2))
    return mark(id, 4);
}

struct uuid uuid_from_data(const void *data, size_t length)
{
    unsigned char digest[HASH_SHA256_SIZE];
    struct uuid id;
    hash_sha256(data, length, digest);
    memcpy(id.bytes, digest, sizeof(id.bytes));
    return mark(id, 8);
}

void uuid_format(const struct uuid *id, char text[UUID_TEXT_SIZE])
{
    char hex[2 * UUID_SIZE + 1];
    hash_hex(id->bytes, UUID_SIZE, hex);
    char *out = text;
    for (int i = 0; i < 2 * UUID_SIZE; i++) {
        if (i == 8 || i == 12 || i == 16 || i == 20)
            *out++ = '-';
        *out++ = hex[i];
    }
    *out = '\0';
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool uuid_parse(const char *text, size_t length, struct uuid *id_r)
{
    if (length != UUID_TEXT_SIZE - 1)
        return false;
    for (size_t i = 0, n = 0; i < length;) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (text[i++] != '-')
                return false;
            continue;
        }
        int high = hex_digit(text[i]);
        int low = hex_digit(text[i + 1]);
        if (high < 0 || low < 0)
            return false;
        id_r->bytes[n++] = (unsigned char)(high << 4 | low);
        i += 2;
    }
    return true;
}
