// SPDX-License-Identifier: Apache-2.0
// What the files of cxsink-jscheck share. The program checks the syntax of action code that nobody
// vouches for: it parses and never runs it, in a process that can do nothing but read its standard
// input, use memory and CPU time, and write its verdict.
//
// Order, in main(): confine_process() takes away what the parent left behind; syntax_start() starts
// the engine with all of its threads; confine_system_calls() closes the door for all of them; only
// then the code is read and parsed.
#ifndef CXSINK_JSCHECK_JSCHECK_H
#define CXSINK_JSCHECK_JSCHECK_H

#include <stdbool.h>
#include <stddef.h>

struct verdict {
    // NULL: the code is fine. "syntax"; "too_complex": nested deeper than the engine's stack;
    // refused unread: "too_large", "not_utf8", "nul".
    const char *kind;
    unsigned line;     // from 1; 0: not known (the engine tells no column)
    char message[512]; // unless fine; may be cut within a character
};

// Both say on stderr what cannot be done, and return false.
bool confine_process(void);
bool confine_system_calls(void);

struct syntax; // the engine, whose headers stay in syntax.c

// Before confine_system_calls(). What it returns lives as long as the process.
struct syntax *syntax_start(void);
// `code` ends with a NUL beyond `length`. Looks at UTF-8 and NUL first: the engine takes text that
// is not UTF-8 for an empty one.
void syntax_check(struct syntax *syntax, const char *code, size_t length, bool module,
                  struct verdict *verdict_r);

// Tries what must be refused after confine_system_calls(), prints {"NAME":"EPERM",...}, and returns
// whether all of it was. Part of the program, so that a test meets the very filter of production.
bool self_test(void);

#endif
