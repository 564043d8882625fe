#include "screen.h"
#include "font.h"

static int same(ui_cell a, ui_cell b) {
    return a.character == b.character && (a.colour == b.colour || a.character == ' ');
}

void ui_screen_start(ui_screen *screen) {
    const ui_cell empty = {' ', screen->background};
    for (unsigned i = 0; i < screen->text_count; i++) {
        for (unsigned column = 0; column < UI_COLUMNS; column++) {
            screen->texts[i].wanted[column] = empty;
            screen->texts[i].drawn[0][column] = screen->texts[i].drawn[1][column] = empty;
        }
    }
    for (unsigned i = 0; i < screen->bar_count; i++) {
        screen->bars[i].wanted = screen->bars[i].drawn[0] = screen->bars[i].drawn[1] = 0;
    }
    for (unsigned frame = 0; frame < UI_FRAMES; frame++) {
        screen->progress[frame] = (struct ui_progress){.stale = 1};
    }
}

static void all_stale(ui_screen *screen) {
    for (unsigned frame = 0; frame < UI_FRAMES; frame++) {
        screen->progress[frame].stale = 1;
    }
}

void ui_screen_text(ui_screen *screen, unsigned text_number, const char *text, uint8_t colour) {
    ui_text_field *field = &screen->texts[text_number];
    unsigned length = 0;
    while (length < field->columns && text[length] != '\0') {
        length++;
    }
    const unsigned start = field->centred ? (field->columns - length) / 2 : 0;
    for (unsigned column = 0; column < field->columns; column++) {
        const int inside = column >= start && column < start + length;
        const ui_cell cell = {inside ? text[column - start] : ' ', colour};
        if (!same(cell, field->wanted[column])) {
            field->wanted[column] = cell;
            all_stale(screen);
        }
    }
}

void ui_screen_bar(ui_screen *screen, unsigned bar_number, uint16_t permille) {
    ui_bar_field *bar = &screen->bars[bar_number];
    const int32_t part = permille < 1000 ? permille : 1000;
    const int16_t wanted = (int16_t)(bar->rect.width * part / 1000);
    if (wanted != bar->wanted) {
        bar->wanted = wanted;
        all_stale(screen);
    }
}

int ui_screen_stale(const ui_screen *screen, unsigned frame) {
    return screen->progress[frame].stale;
}

/* The next row of the background, then of the bars' tracks. */
static uint32_t clear_row(ui_screen *screen, struct ui_progress *progress, const ui_canvas *canvas) {
    ui_rect row = {0, (int16_t)progress->cleared, screen->width, 1};
    uint8_t colour = screen->background;
    unsigned first = (unsigned)screen->height;
    for (unsigned i = 0; i < screen->bar_count && progress->cleared >= first; i++) {
        const ui_rect bar = screen->bars[i].rect;
        row = (ui_rect){bar.x, (int16_t)(bar.y + (int16_t)(progress->cleared - first)), bar.width, 1};
        first += (unsigned)bar.height;
        colour = screen->track;
    }
    progress->cleared++;
    ui_fill(canvas, row, colour);
    return (uint32_t)row.width;
}

static unsigned rows_to_clear(const ui_screen *screen) {
    unsigned rows = (unsigned)screen->height;
    for (unsigned i = 0; i < screen->bar_count; i++) {
        rows += (unsigned)screen->bars[i].rect.height;
    }
    return rows;
}

/* Looks for a character that isn't as wanted, unless one is being drawn and still wanted; 0: there is none. */
static int find_cell(const ui_screen *screen, unsigned frame, struct ui_progress *progress) {
    if (progress->row != 0) {
        if (same(progress->cell, screen->texts[progress->text].wanted[progress->column])) {
            return 1;
        }
        progress->row = 0; /* another one is wanted meanwhile */
        progress->cell = screen->texts[progress->text].wanted[progress->column];
        return 1;
    }
    for (unsigned i = 0; i < screen->text_count; i++) {
        const ui_text_field *field = &screen->texts[i];
        for (unsigned column = 0; column < field->columns; column++) {
            if (!same(field->wanted[column], field->drawn[frame][column])) {
                progress->text = (uint8_t)i;
                progress->column = (uint8_t)column;
                progress->cell = field->wanted[column];
                return 1;
            }
        }
    }
    return 0;
}

/* The next row of the character that is being drawn. */
static uint32_t draw_row(ui_screen *screen, unsigned frame, struct ui_progress *progress,
                         const ui_canvas *canvas) {
    ui_text_field *field = &screen->texts[progress->text];
    const int16_t width = (int16_t)(UI_FONT_WIDTH * field->scale);
    const int16_t x = (int16_t)(field->x + progress->column * width);
    ui_glyph_rows(canvas, x, field->y, field->scale, progress->cell.character, progress->row, 1,
                  progress->cell.colour, screen->background);
    if (++progress->row == UI_FONT_HEIGHT) {
        progress->row = 0;
        field->drawn[frame][progress->column] = progress->cell;
    }
    return (uint32_t)width * field->scale;
}

/* Lights or darkens columns of a bar that isn't as long as wanted, of one colour, at most `most` pixels. */
static uint32_t draw_bar(const ui_screen *screen, ui_bar_field *bar, unsigned frame, const ui_canvas *canvas,
                         uint32_t most) {
    const ui_zone *zone = bar->zones;
    int32_t from = bar->drawn[frame], to = bar->wanted;
    const int32_t columns = (int32_t)(most / (uint32_t)bar->rect.height);
    uint8_t colour = screen->track;
    if (from < to) {
        while (zone->end < 1000 && bar->rect.width * zone->end / 1000 <= from) {
            zone++;
        }
        const int32_t end = bar->rect.width * zone->end / 1000;
        to = to < end ? to : end;
        to = to < from + columns ? to : from + columns;
        bar->drawn[frame] = (int16_t)to;
        colour = zone->colour;
    } else {
        const int32_t lit = to > from - columns ? to : from - columns;
        to = from;
        from = lit;
        bar->drawn[frame] = (int16_t)from;
    }
    ui_fill(canvas,
            (ui_rect){(int16_t)(bar->rect.x + from), bar->rect.y, (int16_t)(to - from), bar->rect.height},
            colour);
    return (uint32_t)(to - from) * (uint32_t)bar->rect.height;
}

/* The next piece of work; at most UI_LEAST_PIXELS, or `most` if that is more. 0: nothing is left. */
static uint32_t draw_piece(ui_screen *screen, unsigned frame, const ui_canvas *canvas, uint32_t most) {
    struct ui_progress *progress = &screen->progress[frame];
    if (progress->cleared < rows_to_clear(screen)) {
        return clear_row(screen, progress, canvas);
    }
    for (unsigned i = 0; i < screen->bar_count; i++) {
        if (screen->bars[i].wanted != screen->bars[i].drawn[frame]) {
            return draw_bar(screen, &screen->bars[i], frame, canvas, most);
        }
    }
    if (find_cell(screen, frame, progress)) {
        return draw_row(screen, frame, progress, canvas);
    }
    progress->stale = 0;
    return 0;
}

uint32_t ui_screen_draw(ui_screen *screen, unsigned frame, const ui_canvas *canvas, uint32_t most) {
    uint32_t drawn = 0;
    most = most > UI_LEAST_PIXELS ? most : UI_LEAST_PIXELS;
    while (screen->progress[frame].stale && (drawn == 0 || drawn + UI_LEAST_PIXELS <= most)) {
        drawn += draw_piece(screen, frame, canvas, most - drawn);
    }
    return drawn;
}
