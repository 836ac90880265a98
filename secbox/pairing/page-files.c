/* SPDX-License-Identifier: MIT */
/* As secbox/lan/app-files.c does it; what reads QR codes is the guards' app's. */
#include "secbox/pairing/page-files.h"

#include "lib/base/strv.h"

#define INCLUDE_FILE(symbol, file)                                                                                     \
    __asm__(".pushsection .rodata\n"                                                                                   \
            ".global page_" #symbol "\n"                                                                               \
            ".global page_" #symbol "_end\n"                                                                           \
            "page_" #symbol ":\n"                                                                                      \
            ".incbin \"" file "\"\n"                                                                                   \
            "page_" #symbol "_end:\n"                                                                                  \
            ".popsection\n");                                                                                          \
    extern const unsigned char page_##symbol[], page_##symbol##_end[]

#define JS "text/javascript; charset=utf-8"

INCLUDE_FILE(index, "secbox/pairing/app/index.html");
INCLUDE_FILE(style, "secbox/pairing/app/style.css");
INCLUDE_FILE(main, "secbox/pairing/app/main.mjs");
INCLUDE_FILE(texts, "secbox/pairing/app/texts.mjs");
INCLUDE_FILE(jsqr, "secbox/lan/app/jsqr-1.4.0.mjs");
INCLUDE_FILE(jsqr_license, "secbox/lan/app/jsqr-1.4.0.LICENSE");

static const PageFile files[] = {
    { "/", "text/html; charset=utf-8", page_index, page_index_end },
    { "/style.css", "text/css; charset=utf-8", page_style, page_style_end },
    { "/main.mjs", JS, page_main, page_main_end },
    { "/texts.mjs", JS, page_texts, page_texts_end },
    { "/jsqr-1.4.0.mjs", JS, page_jsqr, page_jsqr_end },
    { "/jsqr-1.4.0.LICENSE", "text/plain; charset=utf-8", page_jsqr_license, page_jsqr_license_end },
};

const PageFile *page_file_find(const char *path)
{
    for (size_t i = 0; i < ELEMENTSOF(files); i++)
        if (str_equal(files[i].path, path))
            return &files[i];
    return NULL;
}
