/* WebP by libwebp: a still picture, or the first frame of an animation on its canvas. Colours under transparent pixels
 * are what the file holds, as PIL's convert("RGB") leaves them; what the first frame does not cover is black. */
#include <string.h>

#include <webp/decode.h>
#include <webp/demux.h>

#include "data/image/internal.h"

enum { FILE_HEADER = 12, CHUNK_HEADER = 8 };

static const char *reason_of(VP8StatusCode status) {
    return status == VP8_STATUS_NOT_ENOUGH_DATA       ? "the WebP's pixel data are not all there; is the file whole?"
           : status == VP8_STATUS_UNSUPPORTED_FEATURE ? "the WebP asks for what libwebp does not know"
                                                      : "the WebP's pixel data are damaged";
}

/* The frame into its place on the canvas `img`; libwebp's demuxer has seen to it that it lies inside. */
static lf_status read_frame(lf_image *img, const WebPIterator *frame, const char *name, lf_err *err) {
    WebPDecoderConfig c;
    if (!WebPInitDecoderConfig(&c)) return lf_image_not_decoded(name, "libwebp is of another version", err);
    const size_t stride = lf_image_bytes(img->width, 1, 3), all = lf_image_bytes(img->width, img->height, 3),
                 begin = (size_t)frame->y_offset * stride + 3 * (size_t)frame->x_offset;
    c.output.colorspace = MODE_RGB;
    c.output.is_external_memory = 1;
    c.output.u.RGBA.rgba = img->pixels + begin;
    c.output.u.RGBA.stride = (int)stride;
    c.output.u.RGBA.size = all - begin;
    const VP8StatusCode status = WebPDecode(frame->fragment.bytes, frame->fragment.size, &c);
    if (status == VP8_STATUS_OUT_OF_MEMORY) return lf_no_memory(err, "decoding %s", name);
    return status == VP8_STATUS_OK ? LF_OK : lf_image_not_decoded(name, reason_of(status), err);
}

static lf_status read_picture(lf_image *img, WebPDemuxer *file, size_t size, const char *name, lf_err *err) {
    const uint32_t w = WebPDemuxGetI(file, WEBP_FF_CANVAS_WIDTH), h = WebPDemuxGetI(file, WEBP_FF_CANVAS_HEIGHT);
    if (w > LF_IMAGE_MAX_PIXELS || h > LF_IMAGE_MAX_PIXELS)
        return lf_image_not_decoded(name, "the WebP size is out of range (a decompression bomb?)", err);
    lf_status rc = lf_image_check_size((int)w, (int)h, size, name, err);
    if (rc) return rc;
    WebPIterator frame;
    if (!WebPDemuxGetFrame(file, 1, &frame)) return lf_image_not_decoded(name, "the WebP holds no picture", err);
    if (lf_image_new(img, (int)w, (int)h, 3, NULL))
        rc = lf_no_memory(err, "decoding %s", name);
    else {
        if (frame.width != (int)w || frame.height != (int)h) memset(img->pixels, 0, lf_image_bytes((int)w, (int)h, 3));
        rc = read_frame(img, &frame, name, err);
    }
    WebPDemuxReleaseIterator(&frame);
    return rc;
}

lf_status lf_image_decode_webp(lf_image *out, const unsigned char *bytes, size_t size, const char *name, lf_err *err) {
    WebPDemuxState state;
    const WebPData data = {bytes, size};
    lf_image img = {0};
    WebPDemuxer *file = WebPDemuxPartial(&data, &state);
    const lf_status rc = state == WEBP_DEMUX_PARSE_ERROR
                             ? lf_image_not_decoded(name, "the WebP's chunks are damaged", err)
                         : !file || state != WEBP_DEMUX_DONE ? lf_image_not_decoded(name, "the WebP is cut short", err)
                                                             : read_picture(&img, file, size, name, err);
    WebPDemuxDelete(file);
    if (rc) lf_image_free(&img);
    *out = img;
    return rc;
}

static size_t little_endian(const unsigned char *p) {
    return (size_t)p[3] << 24 | (size_t)p[2] << 16 | (size_t)p[1] << 8 | p[0];
}

const char *lf_image_refuse_webp(const unsigned char *bytes, size_t size) {
    return little_endian(bytes + 4) > size - CHUNK_HEADER ? "the WebP is cut short; is the file whole?" : NULL;
}

int lf_image_orientation_webp(const unsigned char *bytes, size_t size) {
    int in_exif = 0, in_xmp = 0;
    for (size_t at = FILE_HEADER; at <= size && size - at >= CHUNK_HEADER;) {
        const unsigned char *chunk = bytes + at;
        const size_t n = little_endian(chunk + 4);
        at += CHUNK_HEADER;
        if (n > size - at) break;
        if (!in_exif && !memcmp(chunk, "EXIF", 4)) in_exif = lf_exif_orientation(bytes + at, n);
        if (!in_xmp && !memcmp(chunk, "XMP ", 4)) in_xmp = lf_xmp_orientation(bytes + at, n);
        at += n + (n & 1);
    }
    return in_exif ? in_exif : in_xmp;
}
