// SPDX-License-Identifier: Apache-2.0
// What the two printed references share (config/settings.md, config/man/cxsink.json.5): texts in
// which `...` stands around what is written as it is.
#ifndef CXSINK_CONFIG_REFERENCE_PRIV_H
#define CXSINK_CONFIG_REFERENCE_PRIV_H

#include "config/settings_priv.h"
#include "core/buf.h"

// How the file is written: paragraphs of one line or several.
extern const char reference_rules[];

void reference_print_type(struct buf *out, const struct setting *s);
void reference_print_default(struct buf *out, const struct setting *s);
// A setting of the top that has members begins a section.
bool reference_is_section(const struct setting *s);

#endif
