#include "app/top_ui.h"

#include <string.h>

#include "base/macros.h"

static const struct {
    char key;
    const char *words;
} sorts[] = {
#define SORT_ENTRY(NAME, key, words) {(key), (words)},
    TOP_SORTS(SORT_ENTRY)
#undef SORT_ENTRY
};

const char *top_sort_words(enum top_sort sort)
{
    return sorts[sort].words;
}

static void type_key(struct top_ui *u, int key)
{
    size_t size = strlen(u->filter);
    if (key == TOP_KEY_ENTER) {
        u->typing = false;
    } else if (key == TOP_KEY_ESCAPE) {
        u->typing = false;
        u->filter[0] = '\0';
    } else if (key == TOP_KEY_BACKSPACE) {
        u->filter[size ? size - 1 : 0] = '\0';
    } else if (key > ' ' && key <= '~' && size < TOP_FILTER_MAX) {
        u->filter[size] = (char)key;
        u->filter[size + 1] = '\0';
    }
    u->first = 0;
}

static void scroll(struct top_ui *u, int key)
{
    size_t page = MAX(u->rows, (size_t)1);
    size_t up = key == TOP_KEY_UP ? 1 : page;
    switch (key) {
    case TOP_KEY_UP:
    case TOP_KEY_PAGE_UP:
        u->first -= MIN(u->first, up);
        break;
    case TOP_KEY_DOWN:
        u->first++;
        break;
    case TOP_KEY_PAGE_DOWN:
        u->first += page;
        break;
    case TOP_KEY_HOME:
        u->first = 0;
        break;
    case TOP_KEY_END:
        u->first = SIZE_MAX / 2;
        break;
    default:
        break;
    }
}

static void choose_sort(struct top_ui *u, int key)
{
    for (unsigned s = 0; s < TOP_SORT_COUNT; s++) {
        if (sorts[s].key != key)
            continue;
        u->sort = s;
        u->page = TOP_PAGE_SERVICES;
        u->first = 0;
    }
}

static void command(struct top_ui *u, int key)
{
    switch (key) {
    case 'q':
        u->quit = true;
        break;
    case 'h':
    case '?':
        u->help = true;
        break;
    case ' ':
    case 'p':
        u->paused = !u->paused;
        break;
    case 'b':
        u->bits = !u->bits;
        break;
    case '/':
        u->typing = true;
        break;
    case TOP_KEY_ESCAPE:
        u->filter[0] = '\0';
        break;
    case '\t':
        u->page = u->page == TOP_PAGE_SERVICES ? TOP_PAGE_INTERFACES : TOP_PAGE_SERVICES;
        u->first = 0;
        break;
    case 's':
        choose_sort(u, sorts[(u->sort + 1) % TOP_SORT_COUNT].key);
        break;
    default:
        choose_sort(u, key);
        scroll(u, key);
    }
}

void top_ui_key(struct top_ui *u, int key)
{
    if (u->typing)
        type_key(u, key);
    else if (u->help && key != 'q')
        u->help = false;
    else
        command(u, key);
}
