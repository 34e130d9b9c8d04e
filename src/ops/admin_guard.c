// SPDX-License-Identifier: Apache-2.0
#include "ops/admin_priv.h"

#include "core/hash.h"

#include <arpa/inet.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

// An address is read as a whole: "127.0.0.1.example.com" is a name that anybody may own.
static bool is_loopback_name(const char *host)
{
    struct in_addr address;
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "::1") == 0 ||
           (inet_pton(AF_INET, host, &address) == 1 && ntohl(address.s_addr) >> 24 == 127);
}

static bool is_address(const char *host)
{
    unsigned char address[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

bool admin_guard_host(const char *own, const char *host)
{
    bool bracketed = host[0] == '[';
    const char *start = host + bracketed;
    char name[256];
    int length = (int)strcspn(start, bracketed ? "]" : ":");
    if (snprintf(name, sizeof(name), "%.*s", length, start) >= (int)sizeof(name))
        return false;
    if (is_loopback_name(name) || strcasecmp(name, own) == 0)
        return true;
    return (strcmp(own, "0.0.0.0") == 0 || strcmp(own, "::") == 0) && is_address(name);
}

bool admin_guard_origin(const char *origin, const char *host)
{
    if (*origin == '\0')
        return true;
    const char *authority = strstr(origin, "://");
    return authority != NULL && *host != '\0' && strcasecmp(authority + 3, host) == 0;
}

// Hashes are compared, so that neither the place of a difference nor the length shows.
bool admin_guard_token(const char *token, const char *given, size_t length)
{
    unsigned char ours[HASH_SHA256_SIZE], theirs[HASH_SHA256_SIZE];
    hash_sha256(token, strlen(token), ours);
    hash_sha256(given, length, theirs);
    return CRYPTO_memcmp(ours, theirs, sizeof(ours)) == 0;
}

bool admin_guard_bearer(const char *token, const char *header)
{
    if (token == NULL)
        return true;
    return strncasecmp(header, "Bearer ", 7) == 0 &&
           admin_guard_token(token, header + 7, strlen(header + 7));
}
