/*
 * What an engine's observer is told, as lines of text.
 *
 * Owns     its text; borrows the interface's name
 * Threads  that of its engine
 */
#pragma once

#include "base/macros.h"
#include "base/text.h"
#include "core/report.h"
#include "io/console.h"

/* Takes one or more whole lines, valid during the call. */
typedef void reporter_lines_fn(void *context, const struct text *lines);

struct reporter {
    const char *interface;
    reporter_lines_fn *lines;
    void *context;
    struct text text;
};

void reporter_init(struct reporter *r, const char *interface, reporter_lines_fn *lines,
                   void *context);
void reporter_deinit(struct reporter *r);
#define reporter_deinit_auto reporter_deinit

/* What an engine has to tell for @form: nothing for those that show totals. */
struct observer reporter_observer(struct reporter *r, enum console_form form);
