/* SPDX-License-Identifier: MIT */
/* The assembler puts the files into the program as they are (.incbin, of GNU as and of clang's); it is started in the root of
 * the tree, and the Makefile makes this file anew when one of them changes. */
#include "secbox/lan/app-files.h"

#include "lib/base/strv.h"

#define INCLUDE_FILE(symbol, file)                                                                                     \
    __asm__(".pushsection .rodata\n"                                                                                   \
            ".global app_" #symbol "\n"                                                                                \
            ".global app_" #symbol "_end\n"                                                                            \
            "app_" #symbol ":\n"                                                                                       \
            ".incbin \"secbox/lan/app/" file "\"\n"                                                                    \
            "app_" #symbol "_end:\n"                                                                                   \
            ".popsection\n");                                                                                          \
    extern const unsigned char app_##symbol[], app_##symbol##_end[]

#define JS "text/javascript; charset=utf-8"

INCLUDE_FILE(index, "index.html");
INCLUDE_FILE(style, "style.css");
INCLUDE_FILE(main, "main.mjs");
INCLUDE_FILE(match, "match.mjs");
INCLUDE_FILE(verdict, "verdict.mjs");
INCLUDE_FILE(texts, "texts.mjs");
INCLUDE_FILE(store, "store.mjs");
INCLUDE_FILE(views, "views.mjs");
INCLUDE_FILE(box, "box.mjs");
INCLUDE_FILE(net, "net.mjs");
INCLUDE_FILE(copies, "copies.mjs");
INCLUDE_FILE(pass, "pass.mjs");
INCLUDE_FILE(camera, "camera.mjs");
INCLUDE_FILE(cameras, "cameras.mjs");
INCLUDE_FILE(photo, "photo.mjs");
INCLUDE_FILE(sightings, "sightings.mjs");
INCLUDE_FILE(jsqr, "jsqr-1.4.0.mjs");
INCLUDE_FILE(jsqr_license, "jsqr-1.4.0.LICENSE");
INCLUDE_FILE(worker, "worker.mjs");
INCLUDE_FILE(manifest, "manifest.json");
INCLUDE_FILE(icon, "icon.svg");

const AppFile app_files[] = {
    { "/", "text/html; charset=utf-8", app_index, app_index_end },
    { "/style.css", "text/css; charset=utf-8", app_style, app_style_end },
    { "/main.mjs", JS, app_main, app_main_end },
    { "/match.mjs", JS, app_match, app_match_end },
    { "/verdict.mjs", JS, app_verdict, app_verdict_end },
    { "/texts.mjs", JS, app_texts, app_texts_end },
    { "/store.mjs", JS, app_store, app_store_end },
    { "/views.mjs", JS, app_views, app_views_end },
    { "/box.mjs", JS, app_box, app_box_end },
    { "/net.mjs", JS, app_net, app_net_end },
    { "/copies.mjs", JS, app_copies, app_copies_end },
    { "/pass.mjs", JS, app_pass, app_pass_end },
    { "/camera.mjs", JS, app_camera, app_camera_end },
    { "/cameras.mjs", JS, app_cameras, app_cameras_end },
    { "/photo.mjs", JS, app_photo, app_photo_end },
    { "/sightings.mjs", JS, app_sightings, app_sightings_end },
    { "/jsqr-1.4.0.mjs", JS, app_jsqr, app_jsqr_end },
    { "/jsqr-1.4.0.LICENSE", "text/plain; charset=utf-8", app_jsqr_license, app_jsqr_license_end },
    { "/worker.mjs", JS, app_worker, app_worker_end },
    { "/manifest.json", "application/manifest+json", app_manifest, app_manifest_end },
    { "/icon.svg", "image/svg+xml", app_icon, app_icon_end },
    {},
};

const AppFile *app_file_find(const char *path)
{
    for (const AppFile *f = app_files; f->path; f++)
        if (str_equal(f->path, path))
            return f;
    return NULL;
}
