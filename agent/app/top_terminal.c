/*
 * ncurses speaks to the terminal, and knows what is on it: each screen is handed
 * over whole, and only what differs is sent.
 */
#include "app/top_terminal.h"

#include <curses.h>
#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "app/top_ui.h"

enum { ESCAPE_DELAY_MS = 25, CHARACTER_ESCAPE = 27, CHARACTER_DELETE = 127, CHARACTER_ERASE = 8 };

struct top_terminal {
    SCREEN *screen;
    bool unicode;
    bool colours;
    cchar_t row[TOP_SCREEN_MAX];
};

/* Without colours, shades tell. */
static const struct {
    attr_t attributes; /* without colours */
    attr_t coloured;
    short colour;
} styles[TOP_STYLES] = {
    [TOP_PLAIN] = {A_NORMAL, A_NORMAL, -1},
    [TOP_DIM] = {A_NORMAL, A_NORMAL, COLOR_CYAN},
    [TOP_STRONG] = {A_BOLD, A_BOLD, -1},
    [TOP_TITLE] = {A_REVERSE, A_REVERSE, -1},
    [TOP_IN_STYLE] = {A_NORMAL, A_NORMAL, COLOR_YELLOW},
    [TOP_OUT_STYLE] = {A_NORMAL, A_NORMAL, COLOR_GREEN},
    [TOP_GOOD] = {A_NORMAL, A_BOLD, COLOR_GREEN},
    [TOP_BAD] = {A_BOLD, A_BOLD, COLOR_RED},
};

static void init_colours(struct top_terminal *t)
{
    t->colours = has_colors() && start_color() == OK && use_default_colors() == OK;
    for (short s = 0; t->colours && s < TOP_STYLES; s++)
        init_pair((short)(s + 1), styles[s].colour, -1);
}

int top_terminal_open(struct top_terminal **out)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
        return -ENOTTY;
    AUTO(top_terminal_close) struct top_terminal *t = calloc(1, sizeof(*t));
    if (!t)
        return -ENOMEM;
    /* Of the locale only what its characters are: numbers are read and written as in C. */
    setlocale(LC_CTYPE, "");
    t->unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    t->screen = newterm(NULL, stdout, stdin);
    if (!t->screen)
        return -ENODEV;
    cbreak();
    noecho();
    nonl();
    curs_set(0);
    set_escdelay(ESCAPE_DELAY_MS);
    keypad(stdscr, TRUE);
    nodelay(stdscr, TRUE);
    init_colours(t);
    *out = TAKE(t);
    return 0;
}

struct top_terminal *top_terminal_close(struct top_terminal *t)
{
    if (!t)
        return NULL;
    if (t->screen) {
        endwin();
        delscreen(t->screen);
    }
    free(t);
    return NULL;
}

void top_terminal_resize(struct top_terminal *t)
{
    (void)t; /* ncurses has but one that is current */
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row && size.ws_col)
        resizeterm(size.ws_row, size.ws_col);
}

void top_terminal_begin(struct top_terminal *t, struct top_screen *s)
{
    int rows, columns;
    getmaxyx(stdscr, rows, columns);
    s->unicode = t->unicode;
    top_screen_begin(s, (unsigned)MAX(rows, 0), (unsigned)MAX(columns, 0));
}

static void set_cell(const struct top_terminal *t, cchar_t *to, const struct top_cell *cell)
{
    const wchar_t glyph[] = {cell->glyph, L'\0'};
    attr_t attributes = t->colours ? styles[cell->style].coloured : styles[cell->style].attributes;
    setcchar(to, glyph, attributes, t->colours ? (short)(cell->style + 1) : (short)0, NULL);
}

void top_terminal_show(struct top_terminal *t, const struct top_screen *s)
{
    erase();
    for (unsigned row = 0; row < s->rows; row++) {
        for (unsigned column = 0; column < s->columns; column++)
            set_cell(t, &t->row[column], &s->cells[(size_t)row * s->columns + column]);
        mvadd_wchnstr((int)row, 0, t->row, (int)s->columns); /* no wrap at the last cell */
    }
    refresh();
}

int top_terminal_key(struct top_terminal *t)
{
    (void)t;
    int key;
    do {
        key = getch();
    } while (key == KEY_RESIZE); /* our own doing, in top_terminal_resize() */
    switch (key) {
    case ERR:
        return 0;
    case KEY_UP:
        return TOP_KEY_UP;
    case KEY_DOWN:
        return TOP_KEY_DOWN;
    case KEY_PPAGE:
        return TOP_KEY_PAGE_UP;
    case KEY_NPAGE:
        return TOP_KEY_PAGE_DOWN;
    case KEY_HOME:
        return TOP_KEY_HOME;
    case KEY_END:
        return TOP_KEY_END;
    case KEY_BACKSPACE:
    case CHARACTER_DELETE:
    case CHARACTER_ERASE:
        return TOP_KEY_BACKSPACE;
    case KEY_ENTER:
    case '\r':
    case '\n':
        return TOP_KEY_ENTER;
    case CHARACTER_ESCAPE:
        return TOP_KEY_ESCAPE;
    default:
        return key;
    }
}
