// SPDX-License-Identifier: Apache-2.0
// Checks across settings that the two parts of it share (config/finish.c, config/finish_jobs.c).
#ifndef CXSINK_CONFIG_FINISH_PRIV_H
#define CXSINK_CONFIG_FINISH_PRIV_H

#include "config/reader_priv.h"

// The certificate and the key of the member "tls" of `node` go together.
void check_tls(struct reader *r, const struct doc_node *node);

#endif
