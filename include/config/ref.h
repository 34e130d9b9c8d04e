// SPDX-License-Identifier: Apache-2.0
// A configuration that several objects look at, counted: what a reload left alone keeps looking at
// the one it was made with.
#ifndef CXSINK_CONFIG_REF_H
#define CXSINK_CONFIG_REF_H

struct config;

struct config_ref {
    struct config *config;
    unsigned refs;
};

// Takes the configuration over, with one reference: the caller's.
struct config_ref *config_ref_new(struct config *config);
// One reference more; returns `ref`.
struct config_ref *config_ref_take(struct config_ref *ref);
// One less, and sets NULL; the last frees the configuration. NULL is fine.
void config_ref_drop(struct config_ref **ref);

#endif
