/* preprocessor_config.json to lf_image_processor and back. */
#include <string.h>

#include "base/json.h"
#include "base/obj.h"
#include "data/image/internal.h"

/* Files from before transformers 4.27 leave out what is a processor class's own default. These are the classes whose
 * defaults we know; a file of another class has to say everything. */
static const struct family {
    const char *prefix; /* of ...ImageProcessor or ...FeatureExtractor */
    lf_resample resample;
    int resize, crop; /* 0: the model's image_size; no crop */
    bool number_is_shortest_edge;
    double mean[3], std[3];
} families[] = {
    {"ViT", LF_BILINEAR, 0, 0, false, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
    {"DeiT", LF_BICUBIC, 256, 224, false, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
    {"Beit", LF_BICUBIC, 256, 224, false, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
    {"Siglip", LF_BICUBIC, 224, 0, false, {0.5, 0.5, 0.5}, {0.5, 0.5, 0.5}},
    {"Bit", LF_BICUBIC, 224, 224, true, {0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}},
    {"CLIP", LF_BICUBIC, 224, 224, true, {0.48145466, 0.4578275, 0.40821073}, {0.26862954, 0.26130258, 0.27577711}},
};

/* Keys beside do_* that change the result, in files of other classes. */
static const char *const unsupported_keys[] = {"crop_pct", "size_divisor", "include_top", "rescale_offset", "offset"};

/* do_convert_rgb needs no asking: pictures always get the model's channels. */
static const char *const known_steps[] = {"do_resize", "do_center_crop", "do_rescale", "do_normalize",
                                          "do_convert_rgb"};

static bool listed(const char *name, const char *const *list, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (!strcmp(name, list[i])) return true;
    return false;
}

#define LISTED(name, list) listed(name, list, sizeof(list) / sizeof *(list))

static bool truthy(const cJSON *v) {
    if (cJSON_IsNumber(v)) return v->valuedouble != 0;
    if (cJSON_IsString(v)) return v->valuestring[0] != 0;
    return cJSON_IsTrue(v) || v->child;
}

static lf_status refuse_unsupported(const cJSON *json, const char *path, lf_err *err) {
    const cJSON *v;
    cJSON_ArrayForEach(v, json) {
        const bool step = !strncmp(v->string, "do_", 3) && !LISTED(v->string, known_steps);
        if (truthy(v) && (step || LISTED(v->string, unsupported_keys)))
            return lf_fail(err, LF_EUNSUPPORTED,
                           "%s: '%s' is not supported; expected resize, center_crop, rescale and normalize alone", path,
                           v->string);
    }
    return LF_OK;
}

static lf_status get_int(const cJSON *o, const char *key, int64_t high, int fallback, int *out, const char *path,
                         lf_err *err) {
    int64_t v = fallback;
    const lf_status rc = lf_json_get_i64(o, key, fallback, &v, path, err);
    if (rc) return rc;
    if (v < 0 || v > high)
        return lf_fail(err, LF_EDATA, "%s: '%s': expected 0 to %lld, found %lld", path, key, (long long)high,
                       (long long)v);
    *out = (int)v;
    return LF_OK;
}

enum { MAX_SIDE = 16384 };

static lf_status get_side(const cJSON *o, const char *key, int *out, const char *path, lf_err *err) {
    return get_int(o, key, MAX_SIDE, 0, out, path, err);
}

/* {"height", "width"}, {"shortest_edge"} or a number; *h, *w, *edge are left as they are if the key is absent. */
static lf_status get_size(const cJSON *json, const char *key, bool number_is_edge, int *h, int *w, int *edge,
                          const char *path, lf_err *err) {
    const cJSON *size = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!size || cJSON_IsNull(size)) return LF_OK;
    int height = 0, width = 0, shortest = 0;
    lf_status rc = LF_OK;
    if (cJSON_IsNumber(size)) {
        rc = get_side(json, key, &height, path, err);
        width = height;
        if (number_is_edge) shortest = height;
    } else if (cJSON_IsObject(size)) {
        const cJSON *v;
        cJSON_ArrayForEach(
            v, size) if (!cJSON_IsNull(v) && strcmp(v->string, "height") && strcmp(v->string, "width") &&
                         strcmp(v->string, "shortest_edge")) return lf_fail(err, LF_EUNSUPPORTED,
                                                                            "%s: '%s.%s' is not supported; expected "
                                                                            "height and width, or shortest_edge",
                                                                            path, key, v->string);
        if ((rc = get_side(size, "height", &height, path, err)) || (rc = get_side(size, "width", &width, path, err)) ||
            (rc = get_side(size, "shortest_edge", &shortest, path, err)))
            return rc;
    }
    if (rc) return rc;
    if (shortest ? !edge : !(height && width))
        return lf_fail(err, LF_EDATA, "%s: '%s': expected a number, {\"height\", \"width\"}%s above 0", path, key,
                       edge ? " or {\"shortest_edge\"}" : "");
    *h = shortest ? 0 : height;
    *w = shortest ? 0 : width;
    if (edge) *edge = shortest;
    return LF_OK;
}

/* A number for all channels, or one a channel; more than that only if they are all the same. */
static lf_status get_channels(const cJSON *json, const char *key, double *out, int channels, const char *path,
                              lf_err *err) {
    const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, key);
    if (!v || cJSON_IsNull(v)) return LF_OK;
    const int n = cJSON_IsArray(v) ? cJSON_GetArraySize(v) : 1;
    const cJSON *first = cJSON_IsArray(v) ? v->child : v;
    bool numbers = n > 0, equal = true;
    for (const cJSON *e = first; e && numbers; e = e == v ? NULL : e->next) {
        numbers = cJSON_IsNumber(e);
        equal = equal && e->valuedouble == first->valuedouble;
    }
    if (!numbers || (n != channels && !equal))
        return lf_fail(err, LF_EDATA, "%s: '%s': expected %d numbers (num_channels of the model), found %d%s", path,
                       key, channels, n, numbers ? "" : " values that are not all numbers");
    const cJSON *e = first;
    for (int c = 0; c < channels; c++) {
        out[c] = e->valuedouble;
        if (n == channels) e = e->next;
    }
    return LF_OK;
}

static const struct family *named(const struct family *f, const char *name) {
    const size_t n = strlen(f->prefix);
    return !strncmp(name, f->prefix, n) && (!name[n] || name[n] == 'I' || name[n] == 'F') ? f : NULL;
}

/* The class's defaults into p. A class that is not known must come with every key whose default differs by class. */
static lf_status start_from_family(lf_image_processor *p, const cJSON *json, const struct family **out,
                                   const char *path, lf_err *err) {
    static const char *const by_class[] = {"size", "resample", "image_mean", "image_std", "do_center_crop"};
    const char *name = "ViT";
    lf_status rc = lf_json_get_str(json, "feature_extractor_type", name, &name, path, err);
    if (!rc) rc = lf_json_get_str(json, "image_processor_type", name, &name, path, err);
    if (rc) return rc;
    *out = NULL;
    for (size_t i = 0; i < sizeof families / sizeof *families && !*out; i++) *out = named(&families[i], name);
    for (size_t i = 0; i < sizeof by_class / sizeof *by_class && !*out; i++) {
        const cJSON *v = cJSON_GetObjectItemCaseSensitive(json, by_class[i]);
        if (!v || (i == 0 && !cJSON_IsObject(v)))
            return lf_fail(err, LF_EUNSUPPORTED, "%s: what a %s does without '%s'%s is not known; add it to the file",
                           path, name, by_class[i], i == 0 ? " as an object" : "");
    }
    const struct family *f = *out ? *out : (*out = &families[0]);
    p->resample = f->resample;
    if (f->resize) p->size_h = p->size_w = f->resize;
    if (f->number_is_shortest_edge) p->shortest_edge = f->resize;
    p->crop_h = p->crop_w = f->crop;
    p->do_center_crop = f->crop > 0;
    for (int c = 0; c < p->channels; c++) {
        p->mean[c] = f->mean[c];
        p->std[c] = f->std[c];
    }
    return LF_OK;
}

static lf_status check(const lf_image_processor *p, int image_h, int image_w, const char *path, lf_err *err) {
    if (p->do_resize && p->shortest_edge && !p->do_center_crop)
        return lf_fail(
            err, LF_EUNSUPPORTED,
            "%s: size.shortest_edge without do_center_crop gives pictures of different sizes; use height and "
            "width, or do_center_crop",
            path);
    if (p->do_center_crop && !(p->crop_h && p->crop_w))
        return lf_fail(err, LF_EDATA, "%s: do_center_crop is true but there is no crop_size", path);
    for (int c = 0; c < p->channels; c++)
        if (p->do_normalize && p->std[c] == 0) return lf_fail(err, LF_EDATA, "%s: 'image_std' holds a 0", path);
    int h, w;
    lf_image_processor_out_size(p, &h, &w);
    if (h != image_h || w != image_w)
        return lf_fail(
            err, LF_ESHAPE,
            "%s: makes pictures of %d x %d pixels, expected %d x %d (image_size in the model's config.json); are "
            "the two files from one model?",
            path, w, h, image_w, image_h);
    return LF_OK;
}

void lf_image_processor_default(lf_image_processor *p, int image_h, int image_w, int channels) {
    *p = (lf_image_processor){.do_resize = true,
                              .do_rescale = true,
                              .do_normalize = true,
                              .size_h = image_h,
                              .size_w = image_w,
                              .resample = LF_BILINEAR,
                              .rescale_factor = 1.0 / 255,
                              .channels = channels};
    for (int c = 0; c < 4; c++) p->mean[c] = p->std[c] = 0.5;
}

lf_status lf_image_processor_read(lf_image_processor *p, const cJSON *json, int image_h, int image_w, int channels,
                                  const char *path, lf_err *err) {
    if (channels != 1 && channels != 3)
        return lf_fail(err, LF_EUNSUPPORTED, "%s: the model has num_channels %d; pictures have 1 or 3", path, channels);
    if (!cJSON_IsObject(json)) return lf_fail(err, LF_EDATA, "%s: expected a JSON object", path);
    lf_image_processor_default(p, image_h, image_w, channels);
    const struct family *family;
    bool to_square = true;
    int resample = 0;
    lf_status rc;
    if ((rc = refuse_unsupported(json, path, err)) || (rc = start_from_family(p, json, &family, path, err)) ||
        (rc = lf_json_get_bool(json, "default_to_square", !family->number_is_shortest_edge, &to_square, path, err)) ||
        (rc = lf_json_get_bool(json, "do_resize", p->do_resize, &p->do_resize, path, err)) ||
        (rc = lf_json_get_bool(json, "do_center_crop", p->do_center_crop, &p->do_center_crop, path, err)) ||
        (rc = lf_json_get_bool(json, "do_rescale", p->do_rescale, &p->do_rescale, path, err)) ||
        (rc = lf_json_get_bool(json, "do_normalize", p->do_normalize, &p->do_normalize, path, err)) ||
        (rc = lf_json_get_f64(json, "rescale_factor", p->rescale_factor, &p->rescale_factor, path, err)) ||
        (rc = get_int(json, "resample", LF_HAMMING, (int)p->resample, &resample, path, err)) ||
        (rc = get_size(json, "size", !to_square, &p->size_h, &p->size_w, &p->shortest_edge, path, err)) ||
        (rc = get_size(json, "crop_size", false, &p->crop_h, &p->crop_w, NULL, path, err)) ||
        (rc = get_channels(json, "image_mean", p->mean, channels, path, err)) ||
        (rc = get_channels(json, "image_std", p->std, channels, path, err)))
        return rc;
    p->resample = (lf_resample)resample;
    if (!p->do_resize) { /* then pictures have to come in the right size */
        p->size_h = image_h;
        p->size_w = image_w;
        p->shortest_edge = 0;
    }
    return check(p, image_h, image_w, path, err);
}

void lf_image_processor_out_size(const lf_image_processor *p, int *h, int *w) {
    *h = p->do_center_crop ? p->crop_h : p->size_h;
    *w = p->do_center_crop ? p->crop_w : p->size_w;
}

static cJSON *size_json(int h, int w) {
    lf_obj size = lf_obj_new();
    lf_obj_number(&size, "height", h);
    lf_obj_number(&size, "width", w);
    return lf_obj_take(&size);
}

static cJSON *edge_json(int edge) {
    lf_obj size = lf_obj_new();
    lf_obj_number(&size, "shortest_edge", edge);
    return lf_obj_take(&size);
}

/* In transformers 4 ViTImageProcessor cannot crop and DeiTImageProcessor cannot keep the aspect. */
static const char *class_for(const lf_image_processor *p) {
    if (!p->do_center_crop) return "ViTImageProcessor";
    return p->shortest_edge ? "CLIPImageProcessor" : "DeiTImageProcessor";
}

cJSON *lf_image_processor_to_json(const lf_image_processor *p) {
    lf_obj o = lf_obj_new();
    lf_obj_put(&o, "image_mean", cJSON_CreateDoubleArray(p->mean, p->channels));
    lf_obj_put(&o, "image_std", cJSON_CreateDoubleArray(p->std, p->channels));
    lf_obj_string(&o, "image_processor_type", class_for(p));
    lf_obj_bool(&o, "do_convert_rgb", p->channels == 3);
    lf_obj_bool(&o, "do_resize", p->do_resize);
    lf_obj_number(&o, "resample", (double)p->resample);
    lf_obj_put(&o, "size", p->shortest_edge ? edge_json(p->shortest_edge) : size_json(p->size_h, p->size_w));
    lf_obj_bool(&o, "do_center_crop", p->do_center_crop);
    if (p->do_center_crop) lf_obj_put(&o, "crop_size", size_json(p->crop_h, p->crop_w));
    lf_obj_bool(&o, "do_rescale", p->do_rescale);
    lf_obj_number(&o, "rescale_factor", p->rescale_factor);
    lf_obj_bool(&o, "do_normalize", p->do_normalize);
    return lf_obj_take(&o);
}
