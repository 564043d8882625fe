#include "show.h"

int ui_show_start(ui_show *show, ui_screen *screen, const uint32_t *palette, size_t colours) {
    show->screen = screen;
    show->front = 0;
    show->display = board_display_start(palette, colours);
    if (show->display != NULL &&
        (screen->width > show->display->width || screen->height > show->display->height)) {
        show->display = NULL;
    }
    return show->display != NULL;
}

void ui_show_step(ui_show *show, uint32_t most) {
    if (show->display == NULL || !ui_screen_stale(show->screen, show->front)) {
        return;
    }
    if (board_display_shown() != show->front) {
        return; /* the other frame is still on the display */
    }
    const unsigned back = 1 - show->front;
    const ui_canvas canvas = {.pixels = show->display->frames[back],
                              .width = (int16_t)show->display->width,
                              .height = (int16_t)show->display->height,
                              .stride = show->display->stride};
    ui_screen_draw(show->screen, back, &canvas, most);
    if (!ui_screen_stale(show->screen, back)) {
        board_display_show(back);
        show->front = back;
    }
}
