// SPDX-License-Identifier: Apache-2.0
// A range is judged while it is read: each comparator becomes at most two bounds, and a bound is
// held against the version at once.
#include "jobs/semver.h"

#include <string.h>

#define BLANKS " \t\n\v\f\r"

// What functions below return when the text is as it should be; else the sentence's second half.
#define FINE NULL

// A version, or the part of one that a range names.
struct partial {
    struct semver floor; // parts that are not named are 0
    unsigned known;      // parts before the first x or the end: 0 (any version) to 3
};

enum relation { LESS, LESS_EQUAL, EQUAL, GREATER_EQUAL, GREATER };

// One comparator set of a range, held against one version.
struct set {
    const struct semver *version;
    bool holds;      // every bound so far
    bool bounded;    // there was one, other than >=0.0.0
    bool prerelease; // one has the version's major.minor.patch and a pre-release
};

// --- versions ---

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_identifier(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

static const char *parse_number(const char **at, uint64_t *number_r)
{
    const char *p = *at;
    if (!is_digit(*p))
        return "a number is missing";
    if (*p == '0' && is_digit(p[1]))
        return "a number has a leading zero";
    uint64_t number = 0;
    for (; is_digit(*p); p++) {
        number = number * 10 + (uint64_t)(*p - '0');
        if (number > SEMVER_NUMBER_MAX)
            return "a number is greater than 9007199254740991";
    }
    *number_r = number;
    *at = p;
    return FINE;
}

// Identifiers with dots between them; those of a pre-release have no leading zeros when they are
// numbers (section 9 of the specification).
static const char *parse_identifiers(const char **at, bool prerelease)
{
    const char *p = *at;
    for (;; p++) {
        const char *start = p;
        bool number = true;
        for (; is_identifier(*p); p++)
            number = number && is_digit(*p);
        if (p == start)
            return prerelease ? "its pre-release has an empty part"
                              : "its build metadata have an empty part";
        if (prerelease && number && *start == '0' && p - start > 1)
            return "a number in its pre-release has a leading zero";
        if (*p != '.')
            break;
    }
    *at = p;
    return FINE;
}

// "-beta.1+build.7", either, or nothing; a pre-release only where `whole`.
static const char *parse_suffix(const char **at, bool whole, struct semver *version)
{
    if (**at == '-' && whole) {
        const char *start = ++*at;
        const char *fault = parse_identifiers(at, true);
        if (fault != FINE)
            return fault;
        version->prerelease = start;
        version->prerelease_length = (size_t)(*at - start);
    }
    if (**at != '+')
        return FINE;
    ++*at;
    return parse_identifiers(at, false);
}

static bool is_x(char c)
{
    return c == 'x' || c == 'X' || c == '*';
}

// One to three parts, the last of them an x where `partial_allowed`.
static const char *parse_partial(const char **at, struct partial *partial_r)
{
    *partial_r = (struct partial){0};
    unsigned parts = 0;
    bool x = false;
    do {
        const char *p = *at + (parts > 0);
        if (is_x(*p)) {
            x = true;
            p++;
        } else {
            if (x && is_digit(*p))
                return "a number follows an x";
            const char *fault = parse_number(&p, &partial_r->floor.part[parts]);
            if (fault != FINE)
                return fault;
            partial_r->known++;
        }
        parts++;
        *at = p;
    } while (parts < 3 && **at == '.');
    const char *fault = parse_suffix(at, parts == 3, &partial_r->floor);
    if (x) // 1.2.x-beta names no pre-release of any version
        partial_r->floor.prerelease = NULL;
    return fault;
}

enum status_code semver_parse(const char *text, struct semver *version_r, struct status *st)
{
    const char *p = text + strspn(text, BLANKS);
    p += *p == '=';
    p += *p == 'v';
    struct partial partial;
    const char *fault = parse_partial(&p, &partial);
    p += strspn(p, BLANKS);
    if (fault == FINE && *p != '\0')
        fault = "something follows it that does not belong there";
    if (fault == FINE && partial.known < 3)
        fault = "it has not three numbers (major.minor.patch)";
    if (fault == FINE && strlen(text) > SEMVER_MAX)
        fault = "it is longer than 256 bytes";
    if (fault != FINE)
        return status_set(st, STATUS_INVALID, "\"%.80s\" is no version: %s", text, fault);
    *version_r = partial.floor;
    return STATUS_OK;
}

// --- order ---

static int order(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_bytes(const char *a, size_t a_length, const char *b, size_t b_length)
{
    int first = memcmp(a, b, a_length < b_length ? a_length : b_length);
    return first != 0 ? first : order(a_length, b_length);
}

// Numbers by value, whatever their length, and below all others; these in ASCII order.
static int compare_identifiers(const char *a, size_t a_length, const char *b, size_t b_length)
{
    bool a_number = strspn(a, "0123456789") >= a_length;
    bool b_number = strspn(b, "0123456789") >= b_length;
    if (a_number != b_number)
        return a_number ? -1 : 1;
    if (a_number && a_length != b_length) // there are no leading zeros
        return order(a_length, b_length);
    return compare_bytes(a, a_length, b, b_length);
}

static size_t identifier_length(const char *at, const char *end)
{
    const char *dot = memchr(at, '.', (size_t)(end - at));
    return (size_t)((dot != NULL ? dot : end) - at);
}

// Part by part; of two that are equal so far the longer is greater.
static int compare_prereleases(const struct semver *a, const struct semver *b)
{
    const char *p = a->prerelease, *p_end = p + a->prerelease_length;
    const char *q = b->prerelease, *q_end = q + b->prerelease_length;
    for (;;) {
        size_t p_length = identifier_length(p, p_end), q_length = identifier_length(q, q_end);
        int result = compare_identifiers(p, p_length, q, q_length);
        if (result != 0)
            return result;
        p += p_length;
        q += q_length;
        if (p == p_end || q == q_end)
            return (q == q_end) - (p == p_end);
        p++;
        q++;
    }
}

static int compare_parts(const struct semver *a, const struct semver *b)
{
    for (unsigned i = 0; i < 3; i++) {
        if (a->part[i] != b->part[i])
            return order(a->part[i], b->part[i]);
    }
    return 0;
}

int semver_compare(const struct semver *a, const struct semver *b)
{
    int result = compare_parts(a, b);
    if (result != 0)
        return result;
    if (a->prerelease == NULL || b->prerelease == NULL)
        return (a->prerelease == NULL) - (b->prerelease == NULL);
    return compare_prereleases(a, b);
}

// --- bounds ---

static bool relation_holds(enum relation relation, int compared)
{
    switch (relation) {
    case LESS:
        return compared < 0;
    case LESS_EQUAL:
        return compared <= 0;
    case EQUAL:
        return compared == 0;
    case GREATER_EQUAL:
        return compared >= 0;
    case GREATER:
        return compared > 0;
    }
    return false;
}

static void add_bound(struct set *set, enum relation relation, const struct semver *bound)
{
    static const struct semver zero = {0};
    set->bounded = set->bounded || relation != GREATER_EQUAL || semver_compare(bound, &zero) != 0;
    if (!relation_holds(relation, semver_compare(set->version, bound)))
        set->holds = false;
    if (bound->prerelease != NULL && compare_parts(set->version, bound) == 0)
        set->prerelease = true;
}

// The first version in which part `i` is one greater.
static struct semver next_of(const struct semver *version, unsigned i)
{
    struct semver next = {0};
    memcpy(next.part, version->part, (i + 1) * sizeof(next.part[0]));
    next.part[i]++;
    return next;
}

// Below `bound` and all of its pre-releases.
static void add_below(struct set *set, struct semver bound)
{
    bound.prerelease = "0"; // the least there is
    bound.prerelease_length = 1;
    add_bound(set, LESS, &bound);
}

// From the named version to below the next change of part `i`.
static void add_from(struct set *set, const struct partial *partial, unsigned i)
{
    add_bound(set, GREATER_EQUAL, &partial->floor);
    add_below(set, next_of(&partial->floor, i));
}

// May stay within the first part that is not zero.
static void add_caret(struct set *set, const struct partial *partial)
{
    unsigned i = 0;
    while (i + 1 < partial->known && partial->floor.part[i] == 0)
        i++;
    if (partial->known > 0)
        add_from(set, partial, i);
}

static void add_tilde(struct set *set, const struct partial *partial)
{
    if (partial->known > 0)
        add_from(set, partial, partial->known > 1 ? 1 : 0);
}

static void add_relation(struct set *set, enum relation relation, const struct partial *partial)
{
    static const struct semver zero = {0};
    unsigned last = partial->known - 1; // of use when something is known
    if (partial->known == 3) {
        add_bound(set, relation, &partial->floor);
    } else if (partial->known == 0) {
        if (relation == LESS || relation == GREATER) // than every version
            add_below(set, zero);
    } else if (relation == EQUAL) {
        add_from(set, partial, last);
    } else if (relation == GREATER) {
        struct semver next = next_of(&partial->floor, last);
        add_bound(set, GREATER_EQUAL, &next);
    } else if (relation == GREATER_EQUAL) {
        add_bound(set, GREATER_EQUAL, &partial->floor);
    } else {
        add_below(set, relation == LESS ? partial->floor : next_of(&partial->floor, last));
    }
}

// --- ranges ---

static const struct operator
{
    const char *text;
    void (*add)(struct set * set, const struct partial *partial); // NULL: `relation`
    enum relation relation;
}
operators[] = {
    {"^", add_caret, EQUAL},     {"~>", add_tilde, EQUAL}, {"~", add_tilde, EQUAL},
    {">=", NULL, GREATER_EQUAL}, {">", NULL, GREATER},     {"<=", NULL, LESS_EQUAL},
    {"<", NULL, LESS},           {"=", NULL, EQUAL},       {"", NULL, EQUAL}, // takes all else
};

static const struct operator* read_operator(const char **at)
{
    const struct operator* op = operators;
    while (strncmp(*at, op->text, strlen(op->text)) != 0)
        op++;
    *at += strlen(op->text);
    return op;
}

static const char *read_partial(const char **at, struct partial *partial_r)
{
    *at += **at == 'v';
    const char *fault = parse_partial(at, partial_r);
    if (fault == FINE && **at != '\0' && strchr(BLANKS "|", **at) == NULL)
        return "something follows a version that does not belong there";
    return fault;
}

// "1.2 - 2.3.4"; `from` has been read.
static const char *read_hyphen(const char **at, const struct partial *from, struct set *set)
{
    struct partial to;
    *at += 1 + strspn(*at + 1, BLANKS);
    const char *fault = read_partial(at, &to);
    if (fault != FINE)
        return fault;
    add_relation(set, GREATER_EQUAL, from);
    add_relation(set, LESS_EQUAL, &to);
    *at += strspn(*at, BLANKS);
    return **at == '\0' || **at == '|' ? FINE : "something follows a hyphen range";
}

static const char *read_comparator(const char **at, bool first, struct set *set)
{
    struct partial partial;
    const struct operator* op = read_operator(at);
    *at += strspn(*at, *op->text == '\0' ? "" : BLANKS);
    const char *fault = read_partial(at, &partial);
    if (fault != FINE)
        return fault;
    const char *behind = *at + strspn(*at, BLANKS);
    bool blank = behind > *at;
    *at = behind;
    if (first && blank && *op->text == '\0' && *behind == '-' && strchr(BLANKS, behind[1]) != NULL)
        return read_hyphen(at, &partial, set);
    if (op->add != NULL)
        op->add(set, &partial);
    else
        add_relation(set, op->relation, &partial);
    return FINE;
}

// Up to "||" or the end.
static const char *read_set(const char **at, struct set *set)
{
    *at += strspn(*at, BLANKS);
    for (bool first = true; **at != '\0' && **at != '|'; first = false) {
        const char *fault = read_comparator(at, first, set);
        if (fault != FINE)
            return fault;
    }
    return **at == '\0' || (*at)[1] == '|' ? FINE : "a single |; \"||\" joins ranges";
}

static const char *read_range(const char *at, const struct semver *version, bool *satisfied_r)
{
    bool any = false;
    bool satisfied = false;
    for (;; at += 2) {
        struct set set = {.version = version, .holds = true};
        const char *fault = read_set(&at, &set);
        if (fault != FINE)
            return fault;
        any = any || !set.bounded;
        satisfied = satisfied || (set.holds && (version->prerelease == NULL || set.prerelease));
        if (*at == '\0')
            break;
    }
    // As in npm, a set that takes any version makes the others idle: pre-releases are not in it.
    *satisfied_r = any ? version->prerelease == NULL : satisfied;
    return FINE;
}

enum status_code semver_satisfies(const char *version, const char *range, bool *satisfied_r,
                                  struct status *st)
{
    struct semver parsed;
    *satisfied_r = false;
    if (semver_parse(version, &parsed, st) != STATUS_OK)
        return STATUS_INVALID;
    const char *fault = read_range(range, &parsed, satisfied_r);
    if (fault != FINE)
        return status_set(st, STATUS_INVALID, "\"%.80s\" is no range of versions: %s", range,
                          fault);
    return STATUS_OK;
}

enum status_code semver_check_range(const char *range, struct status *st)
{
    bool satisfied;
    return semver_satisfies("0.0.0", range, &satisfied, st);
}
