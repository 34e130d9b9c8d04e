// SPDX-License-Identifier: Apache-2.0
// Asks the kernel whether an address can be listened on, before libwebsockets does. It takes an
// address that is not here for an interface that is yet to come, and waits for it; it does not say
// why it failed; and 4.1 reads freed memory at the next vhost after one that failed.
#ifndef CXSINK_OPS_ADMIN_PRIV_H
#define CXSINK_OPS_ADMIN_PRIV_H

#include "core/status.h"

// "localhost" as an address, others as they are.
const char *admin_numeric(const char *host);
// STATUS_BUSY: in use. STATUS_INVALID: not this machine's. STATUS_DENIED: not without a privilege.
enum status_code admin_check_address(const char *host, unsigned short port,
                                     struct status *st) STATUS_MUST_CHECK;
// Removes what is at the path, as libwebsockets does. STATUS_INVALID: too long. STATUS_IO: other
// faults.
enum status_code admin_check_socket(const char *path, struct status *st) STATUS_MUST_CHECK;

#endif
