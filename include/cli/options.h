// SPDX-License-Identifier: Apache-2.0
// The options of a command as a table: long names, where their values go, and which of the
// command's verbs take them. -h and --help are the helper's own.
#ifndef CXSINK_CLI_OPTIONS_H
#define CXSINK_CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

enum cli_option_type {
    CLI_FLAG,     // bool
    CLI_TEXT,     // const char *
    CLI_COUNT,    // long long, above 0
    CLI_DURATION, // int64_t, microseconds, above 0
};

struct cli_option {
    const char *name;
    char letter; // of the short form; 0: none
    enum cli_option_type type;
    size_t offset;  // of the field in the target
    unsigned verbs; // bits of the verbs that take it; 0: all
};

// An entry of a table, of a struct's field.
#define CLI_OPTION(struct_, name_, type_, field_)                                \
    {                                                                            \
        .name = name_, .type = type_, .offset = offsetof(struct struct_, field_) \
    }
#define CLI_CONFIG_OPTION(struct_, field_)                 \
    {                                                      \
        .name = "config", .letter = 'c', .type = CLI_TEXT, \
        .offset = offsetof(struct struct_, field_)         \
    }

struct cli_options {
    const char *command;
    const char *help;
    const struct cli_option *list;
    size_t n;
    bool arguments; // it takes what is no option, too
};

#define CLI_GO_ON (-1)

// Reads argv into `target`, whose fields are zero before; what is no option stands behind `optind`
// then. CLI_GO_ON, else the exit code (after --help, or a fault, which is told).
int cli_options_read(const struct cli_options *options, int argc, char **argv, void *target);
// The name of an option in `target` that the verb does not take; NULL: none.
const char *cli_options_misplaced(const struct cli_options *options, const void *target,
                                  unsigned verb);

struct option;

// Tells what is wrong with an option, with the nearest known one: `returned` is the '?' or ':' of
// getopt_long(3), which was called with opterr 0 and a list of letters that begins with ':'.
// Returns EXIT_WRONG_USAGE.
int cli_option_fault(const char *command, const struct option *longs, char *const *argv,
                     int returned);
#define CLI_SUGGESTION_SIZE 512
// " (did you mean "x"?)" or the like, or "", for a name that is none of the `n` known ones; in
// `room`. `known` is an array of structs of `size` bytes that begin with their name (a char *).
const char *cli_suggestion(const char *wrong, const void *known, size_t n, size_t size,
                           char room[CLI_SUGGESTION_SIZE]);

#endif
