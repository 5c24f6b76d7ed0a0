/* CRC-32 as zlib and Ethernet have it (polynomial 0xEDB88320, reflected), eight bytes a step (Kounavis and Berry,
 * 2005). For code without the GIL, which cannot ask Python's zlib. REQUIRES: d43_crc_prepare was called. */
#ifndef D43_CRC_H
#define D43_CRC_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static uint32_t d43_crc_table[8][256];

static void d43_crc_prepare(void) {
    uint32_t c;
    int i, k;
    for (i = 0; i < 256; i++) {
        c = (uint32_t)i;
        for (k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
        d43_crc_table[0][i] = c;
    }
    for (i = 0; i < 256; i++)
        for (k = 1; k < 8; k++)
            d43_crc_table[k][i] = d43_crc_table[k - 1][i] >> 8 ^ d43_crc_table[0][d43_crc_table[k - 1][i] & 255];
}

/* The checksum of what ``crc`` was the checksum of (0: nothing), followed by n bytes. */
static uint32_t d43_crc(uint32_t crc, const void *bytes, size_t n) {
    const unsigned char *p = bytes;
    uint32_t (*t)[256] = d43_crc_table;
    crc = ~crc;
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    for (; n >= 8; n -= 8, p += 8) {
        uint32_t a, b;
        memcpy(&a, p, 4);
        memcpy(&b, p + 4, 4);
        a ^= crc;
        crc = t[7][a & 255] ^ t[6][a >> 8 & 255] ^ t[5][a >> 16 & 255] ^ t[4][a >> 24] ^ t[3][b & 255] ^
              t[2][b >> 8 & 255] ^ t[1][b >> 16 & 255] ^ t[0][b >> 24];
    }
#endif
    while (n--) crc = crc >> 8 ^ t[0][(crc ^ *p++) & 255];
    return ~crc;
}
#endif
