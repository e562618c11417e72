/* SPDX-License-Identifier: Apache-2.0
 *
 * The numbers of a record.
 */
#include "trainer/data/rows.h"

#include "base/guard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static bool ends_number(uint8_t c)
{
    return c == ',' || is_blank(c);
}

/* A few digits, as pixels are, without strtod. */
static bool parse_digits(struct rn_view text, double *out)
{
    uint32_t value = 0;
    if (text.length == 0 || text.length > 7) {
        return false;
    }
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(text.data[i] - '0');
    }
    *out = (double)value;
    return true;
}

static bool parse_number(struct rn_view text, double *out)
{
    char copy[RN_ROW_NUMBER_BYTES_MAX + 1];
    char *end = NULL;

    if (parse_digits(text, out)) {
        return true;
    }
    if (text.length == 0 || text.length > RN_ROW_NUMBER_BYTES_MAX ||
        memchr(text.data, 0, text.length) != NULL) {
        return false;
    }
    memcpy(copy, text.data, text.length);
    copy[text.length] = '\0';
    *out = strtod(copy, &end);
    return *end == '\0' && isfinite(*out);
}

static size_t skip_blanks(struct rn_view text, size_t at)
{
    while (at < text.length && is_blank(text.data[at])) {
        at++;
    }
    return at;
}

/* The next number's bytes; *at moves behind it and the comma, if *out_comma. An empty cell is a
 * number of no bytes. */
static struct rn_view next_number(struct rn_view text, size_t *at, bool *out_comma)
{
    size_t end = *at;
    while (end < text.length && !ends_number(text.data[end])) {
        end++;
    }
    const struct rn_view number = rn_view_of(text.data + *at, end - *at);
    end = skip_blanks(text, end);
    *out_comma = end < text.length && text.data[end] == ',';
    *at = skip_blanks(text, end + (*out_comma ? 1 : 0));
    return number;
}

rn_result rn_row_parse(struct rn_view text, const struct rn_row_scale *scale, uint32_t width,
                       float *out, struct rn_error *err)
{
    size_t at = skip_blanks(text, 0);
    bool comma = false;
    for (uint32_t i = 0; i < width; i++) {
        double value = 0;
        RN_ENSURE(at < text.length, err, RN_E_DATA, "the row has %u numbers, the model reads %u", i,
                  width);
        RN_ENSURE(parse_number(next_number(text, &at, &comma), &value), err, RN_E_DATA,
                  "number %u of the row is no finite number", i + 1);
        out[i] = (float)((value / scale->divisor - scale->mean) / scale->deviation);
        RN_ENSURE(isfinite(out[i]), err, RN_E_DATA, "number %u of the row is too large", i + 1);
    }
    RN_ENSURE(at >= text.length && !comma, err, RN_E_DATA,
              "the row has more than the %u numbers that the model reads", width);
    return rn_ok();
}
