// SPDX-License-Identifier: Apache-2.0
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

#define PRIVATE "a private address"
#define LOOPBACK "a loopback address"
#define LINK_LOCAL "a link-local address"
#define MULTICAST "a multicast address"
#define RESERVED "a reserved address"
#define DOCUMENTATION "an address for documentation"
#define UNSPECIFIED "an unspecified address"

static const struct {
    uint32_t network;
    unsigned bits;
    const char *kind;
} ipv4_table[] = {
    {0x00000000, 8, UNSPECIFIED},    // 0.0.0.0/8, "this network"
    {0x0a000000, 8, PRIVATE},        // 10.0.0.0/8
    {0x64400000, 10, PRIVATE},       // 100.64.0.0/10, RFC 6598 (carrier-grade NAT)
    {0x7f000000, 8, LOOPBACK},       // 127.0.0.0/8
    {0xa9fe0000, 16, LINK_LOCAL},    // 169.254.0.0/16
    {0xac100000, 12, PRIVATE},       // 172.16.0.0/12
    {0xc0000000, 24, RESERVED},      // 192.0.0.0/24, IETF protocol assignments
    {0xc0000200, 24, DOCUMENTATION}, // 192.0.2.0/24
    {0xc0586300, 24, RESERVED},      // 192.88.99.0/24, former 6to4 relays
    {0xc0a80000, 16, PRIVATE},       // 192.168.0.0/16
    {0xc6120000, 15, RESERVED},      // 198.18.0.0/15, benchmarking
    {0xc6336400, 24, DOCUMENTATION}, // 198.51.100.0/24
    {0xcb007100, 24, DOCUMENTATION}, // 203.0.113.0/24
    {0xe0000000, 4, MULTICAST},      // 224.0.0.0/4
    {0xf0000000, 4, RESERVED},       // 240.0.0.0/4 and the broadcast address
};

// The first that fits decides.
static const struct {
    uint8_t network[16];
    unsigned bits;
    unsigned ipv4_at; // the byte at which an IPv4 address stands that decides; 0: none
    const char *kind; // NULL: the IPv4 address decides, or it is public
} ipv6_table[] = {
    {{0}, 128, 0, UNSPECIFIED},
    {{[15] = 1}, 128, 0, LOOPBACK},
    {{0}, 96, 12, NULL},                      // IPv4-compatible, RFC 4291 section 2.5.5.1
    {{[10] = 0xff, 0xff}, 96, 12, NULL},      // IPv4-mapped
    {{0x00, 0x64, 0xff, 0x9b}, 96, 12, NULL}, // NAT64, RFC 6052
    {{0xfc}, 7, 0, PRIVATE},                  // unique local, RFC 4193
    {{0xfe, 0xc0}, 10, 0, PRIVATE},           // site-local
    {{0xfe, 0x80}, 10, 0, LINK_LOCAL},
    {{0xff}, 8, 0, MULTICAST},
    {{0x20, 0x01}, 23, 0, RESERVED}, // IETF protocol assignments; Teredo
    {{0x20, 0x01, 0x0d, 0xb8}, 32, 0, DOCUMENTATION},
    {{0x3f, 0xff}, 20, 0, DOCUMENTATION}, // RFC 9637
    {{0x20, 0x02}, 16, 2, NULL},          // 6to4, RFC 3056
    {{0x20}, 3, 0, NULL},                 // global unicast
    {{0}, 0, 0, RESERVED},
};

static const char *ipv4_kind(uint32_t address)
{
    for (size_t i = 0; i < COUNT(ipv4_table); i++) {
        if ((address ^ ipv4_table[i].network) >> (32 - ipv4_table[i].bits) == 0)
            return ipv4_table[i].kind;
    }
    return NULL;
}

static bool has_prefix(const uint8_t *address, const uint8_t *network, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    return memcmp(address, network, whole) == 0 &&
           (rest == 0 || (address[whole] ^ network[whole]) >> (8 - rest) == 0);
}

static const char *ipv6_kind(const uint8_t *address)
{
    size_t i = 0;
    while (!has_prefix(address, ipv6_table[i].network, ipv6_table[i].bits))
        i++; // the last one fits all
    uint32_t ipv4;
    if (ipv6_table[i].ipv4_at == 0)
        return ipv6_table[i].kind;
    memcpy(&ipv4, address + ipv6_table[i].ipv4_at, sizeof(ipv4));
    return ipv4_kind(ntohl(ipv4));
}

const char *address_not_public(const struct sockaddr *address)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    switch (address->sa_family) {
    case AF_INET:
        memcpy(&ipv4, address, sizeof(ipv4));
        return ipv4_kind(ntohl(ipv4.sin_addr.s_addr));
    case AF_INET6:
        memcpy(&ipv6, address, sizeof(ipv6));
        return ipv6_kind(ipv6.sin6_addr.s6_addr);
    default:
        return "no address of the internet";
    }
}

bool address_parse(const char *text, struct sockaddr_storage *address_r)
{
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    char numeric[INET6_ADDRSTRLEN];
    size_t length = strcspn(text, "%"); // a zone does not change what it is
    memset(address_r, 0, sizeof(*address_r));
    if (length >= sizeof(numeric))
        return false;
    memcpy(numeric, text, length);
    numeric[length] = '\0';
    if (inet_pton(AF_INET, text, &ipv4.sin_addr) == 1)
        memcpy(address_r, &ipv4, sizeof(ipv4));
    else if (inet_pton(AF_INET6, numeric, &ipv6.sin6_addr) == 1)
        memcpy(address_r, &ipv6, sizeof(ipv6));
    else
        return false;
    return true;
}
