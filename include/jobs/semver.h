// SPDX-License-Identifier: Apache-2.0
// Versions after Semantic Versioning 2.0.0 (semver.org), and ranges as npm writes them. Pure, no
// allocation.
//
// A range is one or more sets joined by "||"; a set is comparators separated by blanks, all of
// which must hold: 1.2.3, =1.2.3, <, <=, >, >= with a version or a part of one, ^1.2.3 (up to the
// next change of the first part that is not zero), ~1.2.3 (up to the next minor version), 1.2.x,
// 1.*, x and nothing (any version), 1.2 - 2.3.4 (both ends belong to it). Blanks may follow an
// operator; a leading v is ignored, as are build metadata.
// A pre-release satisfies a set only if one of its comparators names a pre-release of the very same
// major.minor.patch: 1.2.4-beta is not in ^1.2.3, and 1.2.3-beta.4 is in ^1.2.3-beta.2.
//
// The answers are those of npm's semver package, but some of what it guesses at is a fault here: a
// number behind an x (^1.x.3), a stray star (1.2.3*), an = that is not an operator's first or last
// character (^=1.2, v=1.2, "> =1.2"), "~ >" for "~>".
#ifndef CXSINK_JOBS_SEMVER_H
#define CXSINK_JOBS_SEMVER_H

#include "core/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bytes of a version, and the greatest number in one (2^53 - 1), both as in npm.
#define SEMVER_MAX 256
#define SEMVER_NUMBER_MAX UINT64_C(9007199254740991)

struct semver {
    uint64_t part[3];       // major, minor, patch
    const char *prerelease; // without its hyphen, within the text that was parsed; NULL: none
    size_t prerelease_length;
};

// Blanks around the version and a leading "=", "v" or "=v" are ignored. STATUS_INVALID says what is
// wrong with it.
enum status_code semver_parse(const char *text, struct semver *version_r,
                              struct status *st) STATUS_MUST_CHECK;
// Negative, 0 or positive, by section 11 of the specification; build metadata do not count.
int semver_compare(const struct semver *a, const struct semver *b);

// Is `version` in `range`? STATUS_INVALID when one of them is none: the whole range is looked at,
// whatever its first sets say.
enum status_code semver_satisfies(const char *version, const char *range, bool *satisfied_r,
                                  struct status *st) STATUS_MUST_CHECK;
// Is it a range at all?
enum status_code semver_check_range(const char *range, struct status *st) STATUS_MUST_CHECK;

#endif
