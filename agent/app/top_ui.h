/*
 * What the user of `httpacct top` has chosen, by keys.
 *
 * Owns     nothing, embed it by value
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOP_FILTER_MAX = 64 };

/* Keys that are no characters. */
enum top_key {
    TOP_KEY_UP = 0x110000,
    TOP_KEY_DOWN,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_BACKSPACE,
    TOP_KEY_ENTER,
    TOP_KEY_ESCAPE,
};

/* X(NAME, key, words) for what services are sorted by. */
#define TOP_SORTS(X)                                                                               \
    X(TOTAL, 't', "bytes in and out")                                                              \
    X(IN, 'i', "bytes in")                                                                         \
    X(OUT, 'o', "bytes out")                                                                       \
    X(REQUESTS, 'r', "requests")                                                                   \
    X(ERRORS, 'e', "errors: 4xx and 5xx")                                                          \
    X(NAME, 'n', "name")

enum top_sort {
#define TOP_SORT_MEMBER(NAME, key, words) TOP_SORT_##NAME,
    TOP_SORTS(TOP_SORT_MEMBER)
#undef TOP_SORT_MEMBER
        TOP_SORT_COUNT
};

enum top_page { TOP_PAGE_SERVICES, TOP_PAGE_INTERFACES };

struct top_ui {
    enum top_page page;
    enum top_sort sort;
    bool help;
    bool paused;
    bool bits; /* rates in bit/s, else B/s */
    bool quit;
    bool typing; /* the filter */
    char filter[TOP_FILTER_MAX + 1];
    size_t first; /* row of the table that is shown first; who draws bounds it */
    size_t rows;  /* of it that fit, for whole pages; who draws sets it */
};

/* @key: a character, or an enum top_key. Any other is fine, and nothing. */
void top_ui_key(struct top_ui *u, int key);

/* What the services are sorted by, in words. */
const char *top_sort_words(enum top_sort sort);
