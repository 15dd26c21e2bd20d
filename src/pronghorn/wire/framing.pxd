# The chunked coding (RFC 9112 section 7.1): a decoder that can stop at any byte and go on.

from libc.stdint cimport uint8_t, uint32_t, uint64_t

cdef enum:
    PIECE = 2   # `piece` holds body bytes; call again with what is left

cdef struct ChunkLimits:
    uint64_t body           # octets of the decoded body
    uint32_t field_line     # octets of one trailer line
    uint32_t fields         # number of trailer lines
    uint32_t section        # octets of the trailer section

cdef struct Chunked:        # starts zeroed
    int state
    int line_state
    uint64_t left           # octets of the current chunk still to come
    uint64_t total          # octets of body so far
    uint32_t digits
    uint32_t line_extension  # octets of extension on this chunk-size line
    uint32_t extensions     # octets of extension in the whole body
    uint64_t chunks         # chunks so far
    uint32_t trailer_line
    uint32_t trailers
    uint32_t trailer_bytes

# Reads on from `data`. Returns MORE (all of `data` was used), PIECE (`piece`/`length` point into `data`), DONE (the
# body and its trailer section are complete) or a fault. `used` is how many bytes of `data` are consumed in every case.
cdef int decode_chunked(
    Chunked* state, const ChunkLimits* limits, const uint8_t* data, size_t size,
    size_t* used, const uint8_t** piece, size_t* length,
) noexcept nogil
