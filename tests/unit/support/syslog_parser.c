#include "support/syslog_parser.h"

#include <ctype.h>
#include <iconv.h>
#include <regex.h>
#include <string.h>

#include "base/macros.h"

static bool is_utf8(struct bytes b)
{
    char out[4 * SYSLOG_PARSED_VALUE_MAX * 64];
    iconv_t utf8 = iconv_open("UTF-32LE", "UTF-8");
    char *in = (char *)b.data, *to = out;
    size_t in_left = b.size, out_left = sizeof(out);
    bool valid = iconv(utf8, &in, &in_left, &to, &out_left) == 0;
    iconv_close(utf8);
    return valid;
}

static bool take_char(struct bytes *in, char c)
{
    if (in->size == 0 || in->data[0] != c)
        return false;
    bytes_take(in, 1);
    return true;
}

/* 1 to @max printable characters without a space, and not one of @not. */
static bool take_printable(struct bytes *in, char *out, size_t max, const char * not )
{
    size_t size = 0;
    while (in->size && in->data[0] > 0x20 && in->data[0] < 0x7f && !strchr(not, in->data[0])) {
        if (size == max)
            return false;
        out[size++] = (char)bytes_take(in, 1).data[0];
    }
    out[size] = '\0';
    return size > 0;
}

static bool take_field(struct bytes *in, char *out, size_t max)
{
    return take_printable(in, out, max, "") && take_char(in, ' ');
}

static bool take_priority(struct bytes *in, unsigned *priority)
{
    char digits[4];
    if (!take_char(in, '<') || !take_printable(in, digits, 3, ">") || !take_char(in, '>'))
        return false;
    if (strspn(digits, "0123456789") != strlen(digits) || (digits[0] == '0' && digits[1]))
        return false;
    *priority = 0;
    for (const char *d = digits; *d; d++)
        *priority = *priority * 10 + (unsigned)(*d - '0');
    return *priority <= 191 && take_char(in, '1') && take_char(in, ' ');
}

static bool is_timestamp(const char *text)
{
    regex_t pattern;
    regcomp(&pattern,
            "^([0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]"
            ":[0-5][0-9](\\.[0-9]{1,6})?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])|-)$",
            REG_EXTENDED | REG_NOSUB);
    bool matches = regexec(&pattern, text, 0, NULL, 0) == 0;
    regfree(&pattern);
    return matches;
}

static bool take_value(struct bytes *in, char *out)
{
    struct bytes start = *in;
    size_t size = 0;
    if (!take_char(in, '"'))
        return false;
    while (in->size && in->data[0] != '"') {
        if (in->data[0] == '\\' && in->size > 1 && strchr("\"\\]", in->data[1]))
            bytes_take(in, 1);
        else if (strchr("\\]", in->data[0]))
            return false;
        if (size == SYSLOG_PARSED_VALUE_MAX)
            return false;
        out[size++] = (char)bytes_take(in, 1).data[0];
    }
    out[size] = '\0';
    return take_char(in, '"') && is_utf8(bytes_make(start.data, start.size - in->size));
}

static bool has_element(const struct syslog_parsed *p, const char *element)
{
    for (size_t i = 0; i < p->param_count; i++)
        if (strcmp(p->params[i].element, element) == 0)
            return true;
    return false;
}

static const char *take_element(struct bytes *in, struct syslog_parsed *p)
{
    char element[SYSLOG_PARSED_FIELD_MAX + 1];
    if (!take_printable(in, element, 32, "= ]\""))
        return "SD-ID";
    if (has_element(p, element))
        return "an SD-ID twice";
    while (take_char(in, ' ')) {
        if (p->param_count == SYSLOG_PARSED_PARAMS_MAX)
            return "too many parameters for this test";
        struct syslog_param *param = &p->params[p->param_count++];
        strcpy(param->element, element);
        if (!take_printable(in, param->name, 32, "= ]\"") || !take_char(in, '='))
            return "PARAM-NAME";
        if (!take_value(in, param->value))
            return "PARAM-VALUE";
    }
    return take_char(in, ']') ? NULL : "the end of an SD-ELEMENT";
}

static const char *take_data(struct bytes *in, struct syslog_parsed *p)
{
    if (take_char(in, '-'))
        return NULL;
    if (in->size == 0 || in->data[0] != '[')
        return "STRUCTURED-DATA";
    while (take_char(in, '[')) {
        const char *problem = take_element(in, p);
        if (problem)
            return problem;
    }
    return NULL;
}

static const char *take_header(struct bytes *in, struct syslog_parsed *p)
{
    if (!take_priority(in, &p->priority))
        return "PRI VERSION";
    if (!take_field(in, p->timestamp, SYSLOG_PARSED_FIELD_MAX) || !is_timestamp(p->timestamp))
        return "TIMESTAMP";
    if (!take_field(in, p->hostname, 255))
        return "HOSTNAME";
    if (!take_field(in, p->app_name, 48))
        return "APP-NAME";
    if (!take_field(in, p->process_id, 128))
        return "PROCID";
    return take_field(in, p->message_id, 32) ? NULL : "MSGID";
}

static bool has_control(struct bytes b)
{
    for (size_t i = 0; i < b.size; i++)
        if (iscntrl(b.data[i]))
            return true;
    return false;
}

static bool is_ascii(struct bytes b)
{
    for (size_t i = 0; i < b.size; i++)
        if (b.data[i] > 0x7f)
            return false;
    return true;
}

const char *syslog_parse(struct syslog_parsed *out, struct bytes message)
{
    memset(out, 0, sizeof(*out));
    if (has_control(message))
        return "a control character";
    const char *problem = take_header(&message, out);
    if (!problem)
        problem = take_data(&message, out);
    if (problem)
        return problem;
    if (message.size && !take_char(&message, ' '))
        return "what follows STRUCTURED-DATA";

    struct bytes mark = BYTES("\xef\xbb\xbf");
    out->has_mark =
        message.size >= mark.size && bytes_equal(bytes_make(message.data, mark.size), mark);
    if (out->has_mark)
        bytes_take(&message, mark.size);
    out->text = message;
    if (!is_utf8(message))
        return "MSG that is not UTF-8";
    return out->has_mark || is_ascii(message) ? NULL : "MSG in UTF-8 without its mark";
}

const char *syslog_parsed_value(const struct syslog_parsed *p, const char *element,
                                const char *name)
{
    for (size_t i = 0; i < p->param_count; i++)
        if (strcmp(p->params[i].element, element) == 0 && strcmp(p->params[i].name, name) == 0)
            return p->params[i].value;
    return NULL;
}
