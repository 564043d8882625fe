/* Numbers of the link protocol. docs/link.md explains them. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

enum {
    TS_LINK_VERSION = 1,
    TS_LINK_HEADER = 5,     /* version, type, seq, session */
    TS_LINK_PAYLOAD = 1088, /* longest payload */
    TS_LINK_CRC = 4,
    TS_LINK_BODY = TS_LINK_HEADER + TS_LINK_PAYLOAD + TS_LINK_CRC,
    TS_LINK_BAUD = 115200, /* after a reset, and when all else fails */
    TS_LINK_BAUD_MAX = 2000000,
    TS_LINK_STRANGE = 8, /* bytes without a frame that make a speed suspicious */
    TS_LINK_TOP = 5,     /* best classes of a result */
};

enum ts_link_type {
    TS_LINK_HELLO = 0x01,
    TS_LINK_DESCRIBE = 0x02,
    TS_LINK_SELECT = 0x03,
    TS_LINK_BEGIN = 0x04,
    TS_LINK_DATA = 0x05,
    TS_LINK_FINISH = 0x06,
    TS_LINK_READ = 0x07,
    TS_LINK_ABORT = 0x08,
    TS_LINK_SET_BAUD = 0x09,
    TS_LINK_RESET = 0x0A,
    TS_LINK_POLL = 0x0B,
    TS_LINK_PROFILE = 0x0C,
    TS_LINK_STAGES = 0x0D,
    TS_LINK_TABLE = 0x0E,
    TS_LINK_POLICY = 0x0F,
    TS_LINK_TASK = 0x10,
    TS_LINK_LIMITS = 0x11,
    TS_LINK_NEXT = 0x12,
    TS_LINK_STATUS = 0x13,
    TS_LINK_GESTURE = 0x14,
    TS_LINK_SMOOTHING = 0x15,
    TS_LINK_SOURCE = 0x16,
    TS_LINK_PUSH = 0x17,
    TS_LINK_RESULTS = 0x18,
    TS_LINK_MOTION = 0x19,
    TS_LINK_KEYWORD = 0x1A,
    TS_LINK_DETECTOR = 0x1B,
    TS_LINK_LISTEN = 0x1C,
    TS_LINK_SOUND = 0x1D,
    TS_LINK_SCORES = 0x1E,
    TS_LINK_DETECTIONS = 0x1F,
    TS_LINK_FEATURES = 0x20,
    TS_LINK_ANSWER = 0x80, /* + the command's type */
    TS_LINK_BOOT = 0xC0,
    TS_LINK_LOST = 0xC1,
    TS_LINK_ERROR = 0xFF,
};

enum ts_link_error {
    TS_LINK_OK = 0, /* never on the line */
    TS_LINK_ERR_SESSION = 1,
    TS_LINK_ERR_VERSION = 2,
    TS_LINK_ERR_TYPE = 3,
    TS_LINK_ERR_LENGTH = 4,
    TS_LINK_ERR_MODEL = 5,
    TS_LINK_ERR_STATE = 6,
    TS_LINK_ERR_OFFSET = 7,
    TS_LINK_ERR_INCOMPLETE = 8,
    TS_LINK_ERR_BAUD = 9,
    TS_LINK_ERR_RANGE = 10,
    TS_LINK_ERR_ENGINE = 11,
    TS_LINK_ERR_STAGES = 12,
    TS_LINK_ERR_POLICY = 13,
    TS_LINK_ERR_LIMIT = 14,
    TS_LINK_ERR_SLOT = 15,
    TS_LINK_ERR_SHARE = 16,
    TS_LINK_ERR_MEMORY = 17,
    TS_LINK_ERR_GROUP = 18,
    TS_LINK_ERR_RAM = 19,
    TS_LINK_ERR_SENSOR = 20,
    TS_LINK_ERR_RATE = 21,
    TS_LINK_ERR_MICROPHONE = 22,
};

enum ts_link_state {
    TS_LINK_IDLE = 0,      /* no image */
    TS_LINK_RECEIVING = 1, /* an image has begun */
    TS_LINK_DONE = 2,      /* it is complete, the outputs are valid */
};

#endif
