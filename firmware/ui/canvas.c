#include "canvas.h"
#include "font.h"
#include <string.h>

static int32_t least(int32_t a, int32_t b) {
    return a < b ? a : b;
}

/* [*from, *to) without what is outside [0, limit); empty: *from >= *to. */
static void clip(int32_t *from, int32_t *to, int32_t limit) {
    *from = *from > 0 ? *from : 0;
    *to = least(*to, limit);
}

void ui_fill(const ui_canvas *canvas, ui_rect rect, uint8_t colour) {
    int32_t left = rect.x, right = (int32_t)rect.x + rect.width;
    int32_t top = rect.y, bottom = (int32_t)rect.y + rect.height;
    clip(&left, &right, canvas->width);
    clip(&top, &bottom, canvas->height);
    if (left >= right) {
        return;
    }
    for (int32_t y = top; y < bottom; y++) {
        memset(canvas->pixels + y * canvas->stride + left, colour, (size_t)(right - left));
    }
}

/* One row of a character, as wide as it is drawn. Made here and then copied, because frames may lie in memory
 * that is slow to write in small pieces. */
static void expand(uint8_t *line, uint8_t bits, int32_t scale, uint8_t colour, uint8_t background) {
    for (int32_t i = UI_FONT_WIDTH - 1; i >= 0; i--) {
        const uint8_t pixel = bits >> i & 1 ? colour : background;
        for (int32_t n = scale; n > 0; n--) {
            *line++ = pixel;
        }
    }
}

void ui_glyph_rows(const ui_canvas *canvas, int16_t x, int16_t y, uint8_t scale, char character,
                   uint8_t first, uint8_t n, uint8_t colour, uint8_t background) {
    uint8_t line[UI_FONT_WIDTH * UI_SCALE_MAX];
    const unsigned code = (unsigned char)character;
    const uint8_t *glyph =
        ui_font[(code >= UI_FONT_FIRST && code <= UI_FONT_LAST ? code : '?') - UI_FONT_FIRST];
    const int32_t size = least(scale, UI_SCALE_MAX);
    const int32_t end = least((int32_t)first + n, UI_FONT_HEIGHT);
    int32_t left = x, right = x + UI_FONT_WIDTH * size;
    clip(&left, &right, canvas->width);
    if (left >= right) {
        return;
    }
    for (int32_t row = first; row < end; row++) {
        int32_t top = y + row * size, bottom = y + (row + 1) * size;
        clip(&top, &bottom, canvas->height);
        expand(line, glyph[row], size, colour, background);
        for (int32_t at = top; at < bottom; at++) {
            memcpy(canvas->pixels + at * canvas->stride + left, line + (left - x), (size_t)(right - left));
        }
    }
}

void ui_text(const ui_canvas *canvas, int16_t x, int16_t y, uint8_t scale, const char *text, uint8_t colour,
             uint8_t background) {
    const int32_t step = UI_FONT_WIDTH * least(scale, UI_SCALE_MAX);
    for (int32_t at = x; *text != '\0' && at < canvas->width; text++, at += step) {
        ui_glyph_rows(canvas, (int16_t)at, y, scale, *text, 0, UI_FONT_HEIGHT, colour, background);
        if (step == 0) {
            return;
        }
    }
}

void ui_bar(const ui_canvas *canvas, ui_rect rect, uint16_t permille, uint8_t colour, uint8_t background) {
    ui_rect lit = rect, rest = rect;
    lit.width = (int16_t)((int32_t)rect.width * least(permille, 1000) / 1000);
    rest.width = (int16_t)(rect.width - lit.width);
    ui_fill(canvas, lit, colour);
    /* a rectangle whose right part begins beyond the coordinates' range has none of it in the frame */
    if ((int32_t)rect.x + lit.width <= INT16_MAX) {
        rest.x = (int16_t)(rect.x + lit.width);
        ui_fill(canvas, rest, background);
    }
}
