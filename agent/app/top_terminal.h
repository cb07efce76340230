/*
 * The terminal of `httpacct top`, by way of ncurses: shows a screen, gives keys.
 *
 * Owns     the terminal of standard input and output, from open to close. Who
 *          opens it must have blocked SIGINT, SIGTERM and SIGWINCH: ncurses would
 *          act on them in the midst of other work.
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>

#include "app/top_screen.h"
#include "base/macros.h"

struct top_terminal;

/* Returns -ENOTTY, -ENODEV if TERM is none that is known, or can't do, or another -errno. */
int top_terminal_open(struct top_terminal **out);

/* As it was. NULL is fine. */
struct top_terminal *top_terminal_close(struct top_terminal *t);
AUTO_DEFINE(struct top_terminal, top_terminal_close)

/* It has another size. */
void top_terminal_resize(struct top_terminal *t);

/* An empty @s as large as the terminal. */
void top_terminal_begin(struct top_terminal *t, struct top_screen *s);

void top_terminal_show(struct top_terminal *t, const struct top_screen *s);

/* The next key that was pressed (see top_ui_key()), or 0 without any. */
int top_terminal_key(struct top_terminal *t);
