// SPDX-License-Identifier: Apache-2.0
#include "core/hash.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

void hash_sha256(const void *data, size_t length, unsigned char digest[HASH_SHA256_SIZE])
{
    if (SHA256(data, length, digest) == NULL)
        abort(); // out of memory, or an OpenSSL without SHA-256
}

void hash_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                      unsigned char digest[HASH_SHA256_SIZE])
{
    unsigned size = HASH_SHA256_SIZE;
    // OpenSSL 3.5 fails when both are NULL.
    if (HMAC(EVP_sha256(), key != NULL ? key : "", (int)key_length, data, length, digest, &size) ==
        NULL)
        abort();
}

void hash_hex(const unsigned char *data, size_t length, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        hex[2 * i] = digits[data[i] >> 4];
        hex[2 * i + 1] = digits[data[i] & 15];
    }
    hex[2 * length] = '\0';
}

static uint64_t mix(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t hash_bytes(const void *data, size_t length, uint64_t seed)
{
    const unsigned char *p = data;
    uint64_t h = seed ^ (length * UINT64_C(0x9e3779b97f4a7c15));
    uint64_t word;
    for (; length >= 8; p += 8, length -= 8) {
        memcpy(&word, p, 8);
        h = mix(h ^ word, UINT64_C(0xd6e8feb86659fd93));
    }
    word = 0;
    if (length != 0)
        memcpy(&word, p, length);
    return mix(h ^ word ^ UINT64_C(0xa0761d6478bd642f), UINT64_C(0xe7037ed1a0b428db));
}
