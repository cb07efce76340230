#include "app/problems.h"

#include <stdarg.h>
#include <stdio.h>

enum { WORDS_MAX = 512 };

void problems_add(struct problems *p, const char *format, ...)
{
    char words[WORDS_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof(words), format, arguments);
    va_end(arguments);
    text_add_json(&p->text, bytes_from_string(words));
    text_add_char(&p->text, ',');
    p->count++;
}

void problems_deinit(struct problems *p)
{
    text_deinit(&p->text);
}
