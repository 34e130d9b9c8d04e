// SPDX-License-Identifier: Apache-2.0
// Addresses to listen at. Pure.
#ifndef CXSINK_CONFIG_LISTEN_PRIV_H
#define CXSINK_CONFIG_LISTEN_PRIV_H

#include <stdbool.h>

// Takes apart "127.0.0.1:9464", "[::1]:9464", "localhost:9464": a numeric address or localhost, and
// a port (0: a free one). *host_r is allocated, and without brackets. False for anything else.
bool listen_parse(const char *text, char **host_r, unsigned short *port_r);
// Whether only this machine reaches a host as parsed above: 127.0.0.0/8, ::1, localhost.
bool listen_is_loopback(const char *host);

#endif
