/* Recognises gestures from the board's motion sensor, or from samples that arrive over the link. */
#include "board.h"
#include "gesture_commands.h"
#include "gestures.h"
#include "tasks.h"

int main(void) {
    static ts_gestures gestures;
    static const ts_application application = {
        .name = "gesture",
        .begin = ts_gesture_session,
        .commands = ts_gesture_commands,
        .n_commands = TS_GESTURE_COMMANDS,
        .context = &gestures,
    };
    static ts_link link;
    board_init();
    ts_link_init(&link, &application);
    ts_gestures_init(&gestures, &link);
    for (;;) {
        board_watchdog_kick();
        const int samples = ts_gestures_poll(&gestures);
        if (!ts_link_poll(&link) && !samples && !ts_tasks_idle()) {
            board_idle();
        }
    }
}
