/* SPDX-License-Identifier: MIT */
/* What a container sees of the volumes' folder, and whether it is nosuid,nodev there. */
#include "tests/unit/agent-root.h"

#include <errno.h>

#include "mgmt-agent/host/volume-mounts.h"

#define FOLDER "/var/lib/tucomunidad/volumes"
#define ROOT_FS "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw\n"
#define DISK "40 22 8:17 / /var/lib/tucomunidad/volumes/video rw shared:9 - ext4 /dev/sdb1 rw\n"
#define BESIDE "41 22 8:33 / /var/lib/tucomunidad/volumes2 rw shared:8 - ext4 /dev/sdc1 rw\n"
#define OVER(options) "50 22 254:1 " FOLDER " " FOLDER " " options " shared:7 - ext4 /dev/vda1 rw\n"
#define INSIDE(device, root, options) "700 690 " device " " root " /data " options " - ext4 /dev/vda1 rw\n"
#define PLAIN INSIDE("254:1", FOLDER "/web", "rw,relatime")

static void test_what_is_seen_without_flags(void **state)
{
    static const struct {
        const char *host, *container;
        bool flags, bare;
    } cases[] = {
        { ROOT_FS OVER("rw,nosuid,nodev,relatime"), PLAIN, true, true },
        { ROOT_FS OVER("rw,nosuid,nodev"), INSIDE("254:1", FOLDER "/web", "rw,nosuid,nodev,relatime"), true, false },
        { ROOT_FS OVER("rw,nosuid,nodev"), INSIDE("254:1", FOLDER "/web", "rw,nosuid"), true, true },
        { ROOT_FS OVER("rw,nosuid,nodev"), INSIDE("254:1", FOLDER "/web", "rw,nodev"), true, true },
        { ROOT_FS OVER("rw,nosuid,nodev"), INSIDE("254:1", FOLDER, "rw"), true, true },
        { ROOT_FS OVER("rw,nosuid,nodev"), INSIDE("254:1", FOLDER "2/web", "rw"), true, false },
        { ROOT_FS OVER("rw,nosuid,nodev"), INSIDE("254:1", "/", "rw"), true, false },
        { ROOT_FS OVER("rw,nosuid,nodev"), INSIDE("254:2", FOLDER "/web", "rw"), true, false },
        { ROOT_FS OVER("rw,nosuid"), PLAIN, false, true },
        { ROOT_FS, PLAIN, false, true },
        { ROOT_FS, "", false, false },
        /* the one that was mounted last counts */
        { ROOT_FS OVER("rw,nosuid,nodev") OVER("rw"), "", false, false },
        { ROOT_FS OVER("rw") OVER("rw,nosuid,nodev"), "", true, false },
        /* a disk of its own below the folder, and one beside it */
        { ROOT_FS DISK OVER("rw,nosuid,nodev"), INSIDE("8:17", "/", "rw"), true, true },
        { ROOT_FS DISK OVER("rw,nosuid,nodev"), INSIDE("8:17", "/cam", "rw"), true, true },
        { ROOT_FS BESIDE OVER("rw,nosuid,nodev"), INSIDE("8:33", "/cam", "rw"), true, false },
        /* all of it on a disk of its own */
        { ROOT_FS "23 22 8:1 / /var/lib rw,nosuid,nodev - ext4 /dev/sda rw\n",
          INSIDE("8:1", "/tucomunidad/volumes/web", "rw"), true, true },
        { ROOT_FS "23 22 8:1 / /var/lib rw - ext4 /dev/sda rw\n", INSIDE("8:1", "/other", "rw"), false, false },
        { ROOT_FS "23 22 8:1 / " FOLDER " rw,nosuid,nodev - ext4 /dev/sda rw\n", INSIDE("8:1", "/", "rw"), true, true },
    };

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
        _cleanup_(volume_places_done) FolderPlaces p = {};
        _cleanup_(strv_freep) char **bare = NULL;

        assert_int_equal(volume_places_parse(cases[i].host, FOLDER, &p), 0);
        assert_int_equal(volume_mounts_find_bare(&p, cases[i].container, &bare), 0);
        if (p.flags != cases[i].flags || (bare != NULL) != cases[i].bare)
            fail_msg("case %zu: flags %d, bare %s", i, p.flags, bare ? bare[0] : "no");
        assert_true(!bare || (str_equal(bare[0], "/data") && !bare[1]));
    }
}

static void test_what_is_no_mountinfo(void **state)
{
    static const char *const bad[] = { "", "22 1 254:1 /\n", "22 1 8:1 / /home rw - ext4 a rw\n", ROOT_FS "rubbish\n" };
    FolderPlaces p = {};
    char **bare = NULL;

    (void) state;
    for (size_t i = 0; i < ELEMENTSOF(bad); i++)
        assert_int_equal(volume_places_parse(bad[i], FOLDER, &p), -EINVAL);
    assert_null(p.places);
    assert_int_equal(volume_mounts_find_bare(&p, "rubbish", &bare), -EINVAL);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_seen_without_flags),
        cmocka_unit_test(test_what_is_no_mountinfo),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
