#include "keyword_screen.h"

#include "board.h"
#include "model_table.h"

enum {
    UPDATES_A_SECOND = 10,
    NEW_S = 2,     /* after which a word is no longer new */
    PIXELS = 1000, /* drawn at once */
};

void ts_keyword_screen_start(ts_keyword_screen *screen) {
    ui_keyword_start(&screen->ui);
    ui_show_start(&screen->show, &screen->ui.screen, ui_palette, UI_COLOURS);
    screen->updated = screen->heard = 0;
    screen->shown = 0;
}

static void tell_word(ts_keyword_screen *screen, const ts_detector *d, uint64_t now) {
    if (d->detected != screen->shown) {
        screen->shown = d->detected;
        screen->heard = now;
    }
    if (d->detected == 0) {
        ui_keyword_word(&screen->ui, "", 0, UI_GREY);
        return;
    }
    const ts_detection *newest = &d->detections[(d->detected - 1) % TS_DETECTOR_DETECTIONS];
    const int is_new = now - screen->heard < (uint64_t)NEW_S * board_clock_hz;
    ui_keyword_word(&screen->ui, ts_keyword_classes[newest->word],
                    (uint16_t)((newest->mean * 1000u + 32768) >> 16), is_new ? UI_GREEN : UI_GREY);
}

static void tell_notice(ts_keyword_screen *screen, const ts_keywords *k) {
    board_audio audio;
    board_audio_status(&audio);
    if (k->source == TS_KEYWORDS_LINK) {
        ui_keyword_notice(&screen->ui, "sound from the link", UI_BLUE);
    } else if (audio.state == BOARD_AUDIO_SILENT) {
        ui_keyword_notice(&screen->ui, "codec does not answer", UI_RED);
    } else if (audio.state == BOARD_AUDIO_ON && audio.lost > 0) {
        ui_keyword_notice(&screen->ui, "samples were lost", UI_RED);
    } else if (audio.state == BOARD_AUDIO_ON) {
        ui_keyword_notice(&screen->ui, "listening", UI_GREEN);
    } else {
        ui_keyword_notice(&screen->ui, audio.state == BOARD_AUDIO_NONE ? "no microphones" : "off", UI_GREY);
    }
}

int ts_keyword_screen_step(ts_keyword_screen *screen, const ts_keywords *k) {
    ui_show *show = &screen->show;
    if (show->display == NULL) {
        return 0;
    }
    const uint64_t now = k->polled; /* to the 10 ms: the clock takes time to read */
    if (now - screen->updated >= board_clock_hz / UPDATES_A_SECOND) {
        screen->updated = now;
        tell_word(screen, &k->spotter.detector, now);
        tell_notice(screen, k);
        ui_keyword_level(&screen->ui, k->level);
        ui_keyword_net(&screen->ui, ts_model_table[k->spotter.entry].model->name);
        ui_keyword_cpu(&screen->ui, k->load.permille);
    }
    ui_show_step(show, PIXELS);
    return ui_screen_stale(show->screen, show->front) && board_display_shown() == show->front;
}
