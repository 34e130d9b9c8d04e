// SPDX-License-Identifier: Apache-2.0
// Digests: SHA-256 and HMAC-SHA-256 (OpenSSL), and a fast 64-bit hash for tables in memory.
#ifndef CXSINK_CORE_HASH_H
#define CXSINK_CORE_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_SHA256_SIZE 32
#define HASH_SHA256_HEX_SIZE 65 // with the NUL

void hash_sha256(const void *data, size_t length, unsigned char digest[HASH_SHA256_SIZE]);
void hash_hmac_sha256(const void *key, size_t key_length, const void *data, size_t length,
                      unsigned char digest[HASH_SHA256_SIZE]);
// Lower-case hex of `length` bytes; `hex` holds 2 * length + 1.
void hash_hex(const unsigned char *data, size_t length, char *hex);
// Well-mixed, not keyed, not stored anywhere: the same within one process only.
uint64_t hash_bytes(const void *data, size_t length, uint64_t seed);

#endif
