# The classes of octets that HTTP speaks of, as one table of bits: one load and one test say whether a byte may stand
# somewhere.
#
# The table is C because only C makes it a constant (a Cython array is filled when the module is imported), and its
# ranges are written so that none overlaps another: -Wextra warns if they do.

cdef extern from *:
    """
    enum {
        PRONGHORN_TOKEN = 1,    /* RFC 9110 section 5.6.2: methods, field names, codings */
        PRONGHORN_TARGET = 2,   /* VCHAR without `#`: a fragment is never sent (RFC 9112 section 3.2) */
        PRONGHORN_LINE = 4,     /* VCHAR and SP: what any request line is made of */
        PRONGHORN_TEXT = 8,     /* HTAB, SP, VCHAR, obs-text: field values (RFC 9110 section 5.5) */
        PRONGHORN_HEX = 16,
        PRONGHORN_HOST = 32,    /* RFC 3986 reg-name but for `%` (what follows it counts) and `,` (two Hosts joined) */
        PRONGHORN_V = PRONGHORN_TARGET | PRONGHORN_LINE | PRONGHORN_TEXT,
        PRONGHORN_VT = PRONGHORN_V | PRONGHORN_TOKEN,
        PRONGHORN_VH = PRONGHORN_V | PRONGHORN_HOST,
        PRONGHORN_VTH = PRONGHORN_VT | PRONGHORN_HOST,
        PRONGHORN_VTHX = PRONGHORN_VTH | PRONGHORN_HEX
    };
    static const unsigned char pronghorn_octets[256] = {
        [0x09] = PRONGHORN_TEXT,
        [' '] = PRONGHORN_LINE | PRONGHORN_TEXT,
        ['!'] = PRONGHORN_VTH,
        ['"'] = PRONGHORN_V,
        ['#'] = PRONGHORN_TOKEN | PRONGHORN_LINE | PRONGHORN_TEXT,
        ['$'] = PRONGHORN_VTH,
        ['%'] = PRONGHORN_VT,
        ['&' ... 0x27] = PRONGHORN_VTH,
        ['(' ... ')'] = PRONGHORN_VH,
        ['*' ... '+'] = PRONGHORN_VTH,
        [','] = PRONGHORN_V,
        ['-' ... '.'] = PRONGHORN_VTH,
        ['/'] = PRONGHORN_V,
        ['0' ... '9'] = PRONGHORN_VTHX,
        [':'] = PRONGHORN_V,
        [';'] = PRONGHORN_VH,
        ['<'] = PRONGHORN_V,
        ['='] = PRONGHORN_VH,
        ['>' ... '@'] = PRONGHORN_V,
        ['A' ... 'F'] = PRONGHORN_VTHX,
        ['G' ... 'Z'] = PRONGHORN_VTH,
        ['[' ... ']'] = PRONGHORN_V,
        ['^'] = PRONGHORN_VT,
        ['_'] = PRONGHORN_VTH,
        ['`'] = PRONGHORN_VT,
        ['a' ... 'f'] = PRONGHORN_VTHX,
        ['g' ... 'z'] = PRONGHORN_VTH,
        ['{'] = PRONGHORN_V,
        ['|'] = PRONGHORN_VT,
        ['}'] = PRONGHORN_V,
        ['~'] = PRONGHORN_VTH,
        [0x80 ... 0xff] = PRONGHORN_TEXT,
    };
    """
    const unsigned char OCTETS "pronghorn_octets"[256]
    enum:
        TOKEN "PRONGHORN_TOKEN"
        TARGET "PRONGHORN_TARGET"
        LINE "PRONGHORN_LINE"
        TEXT "PRONGHORN_TEXT"
        HEX "PRONGHORN_HEX"
        HOST "PRONGHORN_HOST"

cdef enum:
    HTAB = 0x09
    LF = 0x0A
    CR = 0x0D
    SP = 0x20
    QUOTE = 0x22
    HASH = 0x23
    PERCENT = 0x25
    STAR = 0x2A
    COMMA = 0x2C
    DOT = 0x2E
    SLASH = 0x2F
    ZERO = 0x30
    NINE = 0x39
    COLON = 0x3A
    SEMICOLON = 0x3B
    EQUALS = 0x3D
    QUESTION = 0x3F
    AT = 0x40
    OPEN_BRACKET = 0x5B
    BACKSLASH = 0x5C
    CLOSE_BRACKET = 0x5D
