#include "link.h"

#include <string.h>

#include "board.h"
#include "bytes.h"
#include "commands.h"
#include "image.h"
#include "switching.h"

enum {
    TEXT_MAX = 48, /* characters of an error's text */
    STATE_BYTES = 6,
    CHUNK_BYTES = 256, /* taken out of the board's receive buffer at once */
    SILENCE_S = 10,    /* without a frame from the host, after which it counts as gone */
};

static void put_header(uint8_t *body, uint8_t type, uint8_t seq, uint16_t session) {
    put16(put8(put8(put8(body, TS_LINK_VERSION), type), seq), session);
}

/* Sends a body whose header and payload are in place; there is room for the CRC behind them. */
static void send(uint8_t *body, uint32_t payload_bytes) {
    const uint32_t n = TS_LINK_HEADER + payload_bytes;
    put32(body + n, ts_crc32(0, body, n));
    ts_cobs_encode(body, n + TS_LINK_CRC, board_write);
}

static void send_boot(ts_link *l) {
    const char *fault = board_fault();
    uint8_t *payload = l->answer + TS_LINK_HEADER;
    const uint8_t *end = put_string(put8(payload, board_reset_cause()), fault ? fault : "", 255);
    put_header(l->answer, TS_LINK_BOOT, 0, 0);
    send(l->answer, (uint32_t)(end - payload));
}

/* Where the sequence and the image are: acknowledges all frames before `next`. */
static void send_state(const ts_link *l, uint8_t type, uint8_t seq) {
    uint8_t body[TS_LINK_HEADER + STATE_BYTES + TS_LINK_CRC];
    put_header(body, type, seq, l->session);
    put32(put8(put8(body + TS_LINK_HEADER, l->next), l->image.state), l->image.received);
    send(body, STATE_BYTES);
}

/* Writes the payload of an ERROR, at most 6 + TEXT_MAX bytes; returns its length. */
static uint32_t put_error(uint8_t *payload, const ts_frame *f, ts_refusal refusal) {
    const char *text = ts_link_error_text(refusal.code);
    const size_t n = strlen(text);
    uint8_t *p = put32(put8(put8(payload, f->type), refusal.code), refusal.detail);
    memcpy(p, text, n < TEXT_MAX ? n : TEXT_MAX);
    return (uint32_t)(p - payload + (n < TEXT_MAX ? n : TEXT_MAX));
}

/* Refuses a frame that is outside the session and changes nothing. */
static void turn_away(const ts_frame *f, uint8_t code, uint32_t detail) {
    const ts_refusal refusal = {code, detail};
    uint8_t body[TS_LINK_HEADER + 6 + TEXT_MAX + TS_LINK_CRC];
    put_header(body, TS_LINK_ERROR, f->seq, f->session);
    send(body, put_error(body + TS_LINK_HEADER, f, refusal));
}

/* The host's next frame isn't the one that was expected. */
static void tell_lost(ts_link *l) {
    if (l->session != 0 && !l->lost_told) {
        send_state(l, TS_LINK_LOST, 0);
        l->lost_told = 1;
    }
}

static void set_baud(ts_link *l, uint32_t baud) {
    if (board_set_baud(baud) != 0) {
        baud = TS_LINK_BAUD;
        board_set_baud(baud);
    }
    l->baud = baud;
    l->speed_on_trial = baud != TS_LINK_BAUD;
    l->heard = board_cycles();
    l->strange = 0;
}

/* Sends the last answer, and does what had to wait for that. */
static void send_answer(ts_link *l) {
    send(l->answer, l->answer_bytes);
    if (l->answer[1] == (TS_LINK_ANSWER | TS_LINK_SET_BAUD)) {
        set_baud(l, get32(l->answer + TS_LINK_HEADER));
    } else if (l->answer[1] == (TS_LINK_ANSWER | TS_LINK_RESET)) {
        board_reset();
    }
}

/* Carries out a command, or refuses it for a reason that is known already. */
static void answer(ts_link *l, const ts_frame *f, ts_refusal refusal) {
    uint8_t *payload = l->answer + TS_LINK_HEADER;
    if (refusal.code == TS_LINK_OK) {
        refusal = ts_link_command(l, f, payload, &l->answer_bytes);
    }
    const int ok = refusal.code == TS_LINK_OK;
    if (!ok) {
        l->answer_bytes = put_error(payload, f, refusal);
    }
    put_header(l->answer, ok ? TS_LINK_ANSWER | f->type : TS_LINK_ERROR, f->seq, f->session);
    l->has_answer = 1;
    send_answer(l);
}

static void hello(ts_link *l, const ts_frame *f) {
    if (f->session == l->session) {
        if (l->has_answer && l->answer[1] == (TS_LINK_ANSWER | TS_LINK_HELLO)) {
            send_answer(l);
        }
        return;
    }
    if (f->payload_bytes != 2) {
        turn_away(f, TS_LINK_ERR_LENGTH, f->payload_bytes);
        return;
    }
    if (f->payload[0] > TS_LINK_VERSION || f->payload[1] < TS_LINK_VERSION) {
        turn_away(f, TS_LINK_ERR_VERSION, TS_LINK_VERSION | TS_LINK_VERSION << 8);
        return;
    }
    l->session = f->session;
    l->next = (uint8_t)(f->seq + 1u);
    l->lost_told = 0;
    l->profile = 0;
    l->held = 0;
    ts_switcher_init(&l->switcher);
    ts_link_use(l, 0);
    if (l->application->begin != NULL) {
        l->application->begin(l);
    }
    answer(l, f, (ts_refusal){TS_LINK_OK, 0});
}

/* Takes a part of the image; learns from what the whole of it took. */
static void take_data(ts_link *l, const uint8_t *src, uint32_t n) {
    ts_image *im = &l->image;
    ts_image_data(im, src, n);
    if (im->state == TS_LINK_DONE && !im->profiled) {
        ts_switcher_ran(&l->switcher, im->cycles - im->stolen);
    }
}

/* The frame that was expected: carries it out. */
static void accept(ts_link *l, const ts_frame *f) {
    ts_refusal refusal = {TS_LINK_OK, 0};
    l->next++;
    l->lost_told = 0;
    if (f->type == TS_LINK_DATA) {
        refusal = ts_link_check_data(l, f);
        if (refusal.code == TS_LINK_OK) {
            const uint32_t n = f->payload_bytes - 4;
            l->has_answer = 0;
            l->image.received += n;
            send_state(l, TS_LINK_ANSWER | TS_LINK_DATA, f->seq); /* first: the host can send meanwhile */
            take_data(l, f->payload + 4, n);
            return;
        }
    }
    answer(l, f, refusal);
}

/* A frame that had been accepted before: its answer may have got lost. */
static void repeat(ts_link *l, const ts_frame *f) {
    if (l->has_answer && l->answer[2] == f->seq) {
        send_answer(l);
    } else if (f->type == TS_LINK_DATA) {
        send_state(l, TS_LINK_ANSWER | TS_LINK_DATA, f->seq);
    }
}

static void handle(ts_link *l, const ts_frame *f) {
    const uint8_t ahead = (uint8_t)(f->seq - l->next);
    if (f->version != TS_LINK_VERSION) {
        turn_away(f, TS_LINK_ERR_VERSION, TS_LINK_VERSION | TS_LINK_VERSION << 8);
    } else if (f->type == TS_LINK_HELLO && f->session != 0) {
        hello(l, f);
    } else if (f->session == 0 || f->session != l->session) {
        turn_away(f, TS_LINK_ERR_SESSION, l->session);
    } else if (f->type == TS_LINK_POLL) {
        l->lost_told = 0;
        send_state(l, TS_LINK_ANSWER | TS_LINK_POLL, f->seq);
    } else if (ahead == 0) {
        accept(l, f);
    } else if (ahead >= 128) {
        repeat(l, f);
    } else {
        tell_lost(l);
    }
}

/* A body of `n` bytes has arrived. Returns 1 if it is a frame, 0 if it is damaged. */
static int receive(ts_link *l, uint32_t n) {
    const uint8_t *b = l->frame;
    if (n < TS_LINK_HEADER + TS_LINK_CRC || ts_crc32(0, b, n - TS_LINK_CRC) != get32(b + n - TS_LINK_CRC)) {
        return 0;
    }
    const ts_frame frame = {
        .version = b[0],
        .type = b[1],
        .seq = b[2],
        .session = get16(b + 3),
        .payload_bytes = n - TS_LINK_HEADER - TS_LINK_CRC,
        .payload = b + TS_LINK_HEADER,
    };
    l->speed_on_trial = 0;
    handle(l, &frame);
    l->heard = board_cycles();
    l->strange = 0;
    return 1;
}

/* Goes back to the speed that every host begins with if this one doesn't work. */
static void check_speed(ts_link *l) {
    const int doubtful = l->speed_on_trial || (l->baud != TS_LINK_BAUD && l->strange >= TS_LINK_STRANGE);
    if (doubtful && board_cycles() - l->heard > board_clock_hz) {
        set_baud(l, TS_LINK_BAUD);
    }
}

void ts_link_init(ts_link *l, const ts_application *application) {
    memset(l, 0, sizeof *l);
    l->application = application;
    l->baud = TS_LINK_BAUD;
    l->decoder.buffer = l->frame;
    l->decoder.capacity = sizeof l->frame;
    ts_switcher_init(&l->switcher);
    ts_link_use(l, 0);
    send_boot(l);
}

int ts_link_poll(ts_link *l) {
    uint8_t chunk[CHUNK_BYTES];
    const size_t n = board_read(chunk, sizeof chunk);
    if (n > 0 && l->strange == 0 && !l->speed_on_trial) {
        l->heard = board_cycles(); /* from here on a frame is due */
    }
    l->strange += (uint32_t)n;
    for (size_t i = 0; i < n; i++) {
        const int32_t body = ts_cobs_decode(&l->decoder, chunk[i]);
        if (body == TS_COBS_DAMAGED || (body > 0 && !receive(l, (uint32_t)body))) {
            tell_lost(l);
        }
    }
    check_speed(l);
    ts_monitor_tick(&l->switcher.monitor);
    if (n == 0) {
        ts_monitor_measure_supply(&l->switcher.monitor);
    }
    return n > 0;
}

int ts_link_is_alone(const ts_link *l) {
    return l->session == 0 || board_cycles() - l->heard > (uint64_t)SILENCE_S * board_clock_hz;
}
