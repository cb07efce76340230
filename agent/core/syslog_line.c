#include "core/syslog_line.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

void syslog_fact_make(struct syslog_fact *f, const struct due_line *l)
{
    const struct metric *m = &metrics[l->metric];
    const char *dot = strrchr(m->name, '.'); /* the subject says what is before */
    const char *name = dot ? dot + 1 : m->name;
    f->value = l->value;
    switch (m->form) {
    case METRIC_EACH_WAY:
        snprintf(f->name, sizeof(f->name), "%s_%s", l->variant, name);
        break;
    case METRIC_BY_CLASS:
        snprintf(f->name, sizeof(f->name), "%s_%s", name, l->variant);
        break;
    case METRIC_TIMING:
        snprintf(f->name, sizeof(f->name), "%s_%s_us", name, l->variant);
        f->value /= 1000;
        break;
    case METRIC_COUNTER:
    case METRIC_GAUGE:
        snprintf(f->name, sizeof(f->name), "%s", name);
        break;
    }
}

/* PRINTUSASCII of RFC 5424. */
static bool is_printable(char c)
{
    return c > 0x20 && c < 0x7f;
}

void syslog_header_field(char *to, size_t to_size, const char *from)
{
    size_t size = 0;
    for (; *from && size + 1 < to_size; from++)
        to[size++] = is_printable(*from) ? *from : '_';
    if (size == 0)
        to[size++] = '-';
    to[size] = '\0';
}

bool syslog_header_field_is_valid(const char *text, size_t size_max)
{
    size_t size = strlen(text);
    for (size_t i = 0; i < size; i++)
        if (!is_printable(text[i]))
            return false;
    return size > 0 && size <= size_max;
}

bool syslog_tag_is_valid(const char *tag)
{
    return syslog_header_field_is_valid(tag, SYSLOG_APP_NAME_MAX) && !strpbrk(tag, "[]:");
}

bool syslog_sd_id_is_valid(const char *id)
{
    const char *at = strchr(id, '@');
    if (!at || at == id || !isdigit((unsigned char)at[1]) || strlen(id) > SYSLOG_SD_NAME_MAX)
        return false;
    for (const char *c = id; c < at; c++)
        if (!is_printable(*c) || strchr("=]\"", *c))
            return false;
    return strspn(at + 1, "0123456789.") == strlen(at + 1);
}

static void add_facts(struct text *t, const struct syslog_message *m)
{
    text_printf(t, "%s=%s", m->subject, m->name);
    for (size_t i = 0; i < m->fact_count; i++)
        text_printf(t, " %s=%llu", m->facts[i].name, (unsigned long long)m->facts[i].value);
}

void syslog_words(struct text *t, const struct syslog_message *m)
{
    if (m->subject)
        add_facts(t, m);
    else
        text_add_utf8(t, m->line);
}

/* PARAM-VALUE of RFC 5424, section 6.3.3. */
static void add_escaped(struct text *t, const char *value)
{
    for (; *value; value++) {
        if (strchr("\"\\]", *value))
            text_add_char(t, '\\');
        text_add_char(t, *value);
    }
}

static void add_data(struct text *t, const char *sd_id, const struct syslog_message *m)
{
    text_printf(t, "[%s %s=\"", sd_id, m->subject);
    add_escaped(t, m->name);
    text_add_char(t, '"');
    for (size_t i = 0; i < m->fact_count; i++)
        text_printf(t, " %s=\"%llu\"", m->facts[i].name, (unsigned long long)m->facts[i].value);
    text_add_char(t, ']');
}

static bool is_ascii(const char *text, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (text[i] & 0x80)
            return false;
    return true;
}

/* MSG of RFC 5424, section 6.4: what is more than ASCII needs a byte order mark. */
static void add_text(struct text *t, const struct syslog_message *m)
{
    AUTO(text_deinit) struct text words = {0};
    syslog_words(&words, m);
    if (text_failed(&words)) {
        t->failed = true;
        return;
    }
    if (!is_ascii(words.data, words.size))
        text_add_string(t, "\xef\xbb\xbf");
    text_add(t, bytes_make(words.data, words.size));
}

/* Shorten @t to @size bytes or less, at the end of a word or of a character. */
static void cut(struct text *t, size_t size, bool words)
{
    if (t->size <= size)
        return;
    while (words ? t->data[size] != ' ' : (t->data[size] & 0xc0) == 0x80)
        size--;
    t->size = size;
    t->data[size] = '\0';
}

void syslog_line(struct text *t, const struct syslog_origin *o, const struct syslog_message *m)
{
    size_t start = t->size;
    text_printf(t, "<%d>1 %s %s %s %u %s ", o->facility | m->severity, m->timestamp, o->hostname,
                o->app_name, o->process_id, m->subject ? "FLUSH" : "LOG");
    if (m->subject)
        add_data(t, o->sd_id, m);
    text_printf(t, "[meta sequenceId=\"%u\"] ", m->sequence);
    add_text(t, m);
    cut(t, start + SYSLOG_LINE_MAX, m->subject != NULL);
}
