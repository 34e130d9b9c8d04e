// SPDX-License-Identifier: Apache-2.0
// Is an address one of the public internet? For requests whose target somebody else names, who must
// not reach what stands near this machine. Pure.
#ifndef CXSINK_NET_ADDRESS_H
#define CXSINK_NET_ADDRESS_H

#include <stdbool.h>

struct sockaddr;
struct sockaddr_storage;

// NULL: public. Else what it is, to follow "... is ": "a private address", "a loopback address",
// ... Not public is what the IANA special-purpose registries (RFC 6890) do not call globally
// reachable, of IPv6 also all outside 2000::/3; an IPv6 address that stands for an IPv4 one
// (mapped, compatible, NAT64, 6to4) is what that one is.
const char *address_not_public(const struct sockaddr *address);

// A numeric IPv4 or IPv6 address, without brackets; false when it is none.
bool address_parse(const char *text, struct sockaddr_storage *address_r);

#endif
