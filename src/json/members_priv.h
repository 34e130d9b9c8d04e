// SPDX-License-Identifier: Apache-2.0
// Members of objects: finding one whose name was used before.
#ifndef CXSINK_JSON_MEMBERS_PRIV_H
#define CXSINK_JSON_MEMBERS_PRIV_H

#include <stdint.h>

struct tape;

// Token of the first name in a closed object that repeats an earlier one, or TAPE_NONE.
uint32_t members_duplicate(struct tape *tape, uint32_t object);
// Fingerprint of an escaped key, over what it stands for.
uint32_t members_escaped_hash(struct tape *tape, uint32_t key);

#endif
